"""Who is pre-aggregated: the union of the configured selection strategies."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import BadSetting
from web_analytics.parsers import team_id
from web_analytics.settings import Settings
from web_analytics.teams import strategies

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TeamSelection:
    """The selected teams.

    :ivar per_strategy: how many teams each strategy gave, before the union.
    :ivar not_yet_rolled_out: teams of the strategies outside the share WEB_ANALYTICS_ROLLOUT_PERCENT.
    """

    team_ids: frozenset[int]
    per_strategy: dict[str, int] = field(default_factory=dict)
    not_yet_rolled_out: int = 0

    def __len__(self) -> int:
        return len(self.team_ids)

    def restricted_to(self, team_ids: Iterable[int] | None) -> TeamSelection:
        """Only these of the selected teams.

        :raises BadSetting: one of them is not selected: unknown, or not enabled.
        """
        if not team_ids:
            return self
        unknown = sorted(set(team_ids) - self.team_ids)
        if unknown:
            raise BadSetting("team_ids", unknown, "teams that exist and are enabled for pre-aggregation")
        return replace(self, team_ids=frozenset(team_ids))

    def counts(self) -> dict[str, Any]:
        """What the asset web_analytics_team_selection tells of a selection."""
        return {
            "teams": len(self),
            "per_strategy": self.per_strategy,
            "not_yet_rolled_out": self.not_yet_rolled_out,
        }

    def log_counts(self) -> None:
        for strategy, teams in self.per_strategy.items():
            log.info("Team selection: %s gave %d teams.", strategy, teams)
        if self.not_yet_rolled_out:
            log.info("WEB_ANALYTICS_ROLLOUT_PERCENT leaves out %d teams.", self.not_yet_rolled_out)


class TeamSelectionFailed(RuntimeError):
    """A strategy could not tell its teams; a failed strategy is never an empty one."""

    def __init__(self, strategy: str, reason: str, code: int = 0):
        super().__init__(f"The team selection strategy {strategy} failed: {reason}")
        self.strategy, self.reason, self.code = strategy, reason, code

    def __reduce__(self):
        return type(self), (self.strategy, self.reason, self.code)


def is_rolled_out(team_id: int, percent: int) -> bool:
    """Whether a team belongs to the share: always the same teams, and a larger share only adds some."""
    return zlib.crc32(b"%d" % team_id) % 100 < percent


def select_teams(clickhouse: ClickHouse, settings: Settings) -> TeamSelection:
    """Asks every configured strategy and takes the share of their teams that is rolled out.

    :raises TeamSelectionFailed: naming the strategy that failed.
    """
    given: set[int] = set()
    per_strategy: dict[str, int] = {}
    for name in settings.team_selection_strategies:
        try:
            team_ids = {team_id(each) for each in strategies.load(name)(clickhouse, settings)}
        except Exception as error:
            raise TeamSelectionFailed(name, str(error), getattr(error, "code", 0)) from error
        per_strategy[name] = len(team_ids)
        given |= team_ids
    selected = frozenset(team_id for team_id in given if is_rolled_out(team_id, settings.rollout_percent))
    return TeamSelection(selected, per_strategy, len(given) - len(selected))
