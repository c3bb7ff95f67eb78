"""The team selection strategies, one module each; the module's name is the strategy's.

To add one, put a module here with a function ``team_ids(clickhouse, settings)`` that gives the ids of its teams
and raises if it cannot tell them. ``WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES`` then accepts its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.settings import Settings

    Strategy = Callable[[ClickHouse, Settings], Iterable[int]]


def load(name: str) -> Strategy:
    """The function of a strategy, by its name."""
    return importlib.import_module(f"{__name__}.{name}").team_ids
