"""Which shown days have suspiciously few pageviews. The verdict on a team depends on how many others fall together, so all
teams are asked about, whichever are shown; a process keeps the answers until the activity or the registry changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import activity, low_volume
from web_analytics.rules.low_volume import HISTORY, DayVolume
from web_analytics.rules.partitions import DateRange, month_of
from web_analytics.settings import Settings

# What the verdicts depend on, beside the settings.
TABLE_NAMES = ("web_analytics_activity", "web_pre_aggregated_teams")
# As many months as gaps are kept of.
ANSWERS_KEPT = 52


class Volumes:
    """Asks for the verdicts on days and keeps what cannot have changed. One for a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, list[DayVolume]] = OrderedDict()

    def question(
        self,
        clickhouse: ClickHouse,
        settings: Settings,
        days: DateRange,
        team_ids: frozenset[int],
        known: activity.KnownRange,
    ) -> Callable[[ClickHouse], list[DayVolume]]:
        """Asks for the verdicts on these days, as :func:`web_analytics.detection.low_volume.find` gives them, beside
        others; no statement where they are kept or the test is off.

        :param clickhouse: tells now whether what is kept still holds.
        :param days: at most as many as one statement holds.
        :param team_ids: all teams that are pre-aggregated.
        """
        judged = low_volume.judged_days(settings, known, days)
        if not judged or not team_ids:
            return _answer([])
        versions = tuple(
            sorted(
                tuple(row.values())
                for row in clickhouse.query("detection/read_versions", {"table_names": TABLE_NAMES})
            )
        )
        needed = tuple(
            (month, version)
            for month, version in versions
            if month == 0 or month_of(judged.start - HISTORY) <= month <= month_of(judged.end)
        )
        key = (
            clickhouse.conn_id,
            judged,
            hash(team_ids),
            needed,
            known.known_from,
            settings.low_volume_percent,
            settings.low_volume_min_pageviews,
        )
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return _answer(kept)

        def ask(connection: ClickHouse) -> list[DayVolume]:
            found = low_volume.ask(connection, settings, judged, team_ids, known.known_from)
            with self._lock:
                self._kept[key] = found
                if len(self._kept) > ANSWERS_KEPT:
                    self._kept.popitem(last=False)
            return found

        return ask


def _answer(found: list[DayVolume]) -> Callable[[ClickHouse], list[DayVolume]]:
    return lambda _: found


VOLUMES = Volumes()
