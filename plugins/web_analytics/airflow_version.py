"""What the Airflow that runs this package can do. It goes when Airflow 3.2 does."""

from __future__ import annotations

import re

from airflow import __version__

OLDEST = (3, 2, 1)


def parse(text: str) -> tuple[int, int, int]:
    """Of ``3.2.1rc1`` the three numbers."""
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)\.(\d+)", text).groups())


def refuse_older(text: str) -> None:
    """:raises ImportError: a version of Airflow that cannot run this package."""
    if parse(text) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ImportError(f"web_analytics needs Airflow {oldest} or newer; this is Airflow {text}.")


refuse_older(__version__)

_is_3_3 = parse(__version__) >= (3, 3, 0)
HAS_RETRY_POLICIES = _is_3_3
HAS_PARTITIONS_IN_EVENTS = _is_3_3
DEADLINES_HAVE_NAMES = _is_3_3
