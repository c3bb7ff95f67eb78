"""What a run may be told: the conf of each DAG, with what it accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from web_analytics import parsers
from web_analytics.errors import BadSetting
from web_analytics.rules.decision import NEWEST, PRIORITIES
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import MAX_TEAM_BACKFILL_DAYS, Settings


def _conf_value(
    conf: Mapping[str, Any], name: str, check: Callable[[Any], bool], accepted: str, default: Any
) -> Any:
    value = conf.get(name)
    if value is None:
        return default
    if not check(value):
        raise BadSetting(name, value, accepted)
    return value


def _conf_number(conf: Mapping[str, Any], name: str, minimum: int, maximum: int, default: int) -> int:
    return _conf_value(
        conf,
        name,
        lambda value: type(value) is int and minimum <= value <= maximum,
        f"a whole number from {minimum} to {maximum}",
        default,
    )


def _conf_date(conf: Mapping[str, Any], name: str) -> date | None:
    value = conf.get(name)
    if value is None:
        return None
    try:
        return parsers.iso_date(value)
    except (ValueError, TypeError) as error:
        raise BadSetting(name, value, "a date as YYYY-MM-DD") from error


def _conf_boolean(conf: Mapping[str, Any], name: str, default: bool = False) -> bool:
    return _conf_value(conf, name, lambda value: isinstance(value, bool), "true or false", default)


def _conf_list(
    conf: Mapping[str, Any], name: str, check: Callable[[Any], bool], accepted: str
) -> tuple[Any, ...]:
    def is_accepted(value: Any) -> bool:
        return isinstance(value, list) and all(check(element) for element in value)

    return tuple(dict.fromkeys(_conf_value(conf, name, is_accepted, accepted, [])))


def _conf_team_ids(conf: Mapping[str, Any]) -> tuple[int, ...]:
    return _conf_list(
        conf,
        "team_ids",
        lambda team_id: type(team_id) is int and 0 <= team_id < 2**63,
        "a list of team ids, whole numbers from 0 up",
    )


def reject_unknown(conf: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """:raises BadSetting: the run's conf has a key that its DAG does not know."""
    for name in conf:
        if name not in known:
            raise BadSetting(name, conf[name], "only the parameters " + ", ".join(known))


MAX_RANGE_DAYS = 365


@dataclass(frozen=True)
class BackfillConf:
    """A run's conf of ``web_analytics_backfill``; what it leaves out comes from the settings.

    :ivar date_start: with ``date_end`` the explicit half-open range; otherwise both None.
    :ivar kinds: empty where the conf names none.
    :ivar priority: which dates go first, see :func:`web_analytics.rules.decision.in_order`.
    """

    days_back: int
    date_start: date | None
    date_end: date | None
    team_ids: tuple[int, ...]
    max_partitions: int
    min_missing_partitions: int
    kinds: tuple[str, ...]
    priority: str
    rebuild: bool
    dry_run: bool

    @classmethod
    def parse(cls, conf: Mapping[str, Any], settings: Settings) -> BackfillConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(conf, tuple(each.name for each in fields(cls)))
        date_start, date_end = _conf_date(conf, "date_start"), _conf_date(conf, "date_end")
        if (date_start is None) != (date_end is None):
            given, absent = ("date_start", "date_end") if date_start else ("date_end", "date_start")
            raise BadSetting(absent, None, f"a date as YYYY-MM-DD, given together with {given}")
        if date_start and date_end:
            if not 0 < (date_end - date_start).days <= MAX_RANGE_DAYS:
                raise BadSetting(
                    "date_end",
                    date_end.isoformat(),
                    f"1 to {MAX_RANGE_DAYS} days after date_start {date_start} (the range excludes date_end)",
                )
            if conf.get("days_back") is not None:
                raise BadSetting("days_back", conf["days_back"], "given without date_start and date_end")
        rebuild = _conf_boolean(conf, "rebuild")
        if rebuild and not date_start:
            raise BadSetting("rebuild", True, "true only together with date_start and date_end")
        return cls(
            days_back=_conf_number(conf, "days_back", 1, 365, settings.lookback_days),
            date_start=date_start,
            date_end=date_end,
            team_ids=_conf_team_ids(conf),
            max_partitions=_conf_number(conf, "max_partitions", 1, 100, settings.max_partitions_per_run),
            min_missing_partitions=_conf_number(
                conf, "min_missing_partitions", 1, 100_000, settings.min_missing_partitions
            ),
            kinds=_conf_list(
                conf, "kinds", lambda kind: kind in GAP_KINDS, "a list of " + ", ".join(GAP_KINDS)
            ),
            priority=_conf_value(
                conf, "priority", lambda value: value in PRIORITIES, " or ".join(PRIORITIES), NEWEST
            ),
            rebuild=rebuild,
            dry_run=_conf_boolean(conf, "dry_run"),
        )


MAX_CHECKED_DAYS = 30

# What ClickHouse's DateTime can hold without wrapping around.
EARLIEST_DATE, LATEST_DATE = date(1970, 1, 2), date(2105, 12, 31)


def _conf_team_id(conf: Mapping[str, Any]) -> int | None:
    return _conf_value(
        conf,
        "team_id",
        lambda value: type(value) is int and 0 <= value < 2**63,
        "a team id, a whole number from 0 up",
        None,
    )


def _conf_limited_range(conf: Mapping[str, Any]) -> tuple[date, date] | None:
    """The half-open range of a run that looks at every day of it; None where the conf has no dates.

    :raises BadSetting: only one date, reversed, or longer than 30 days without ``allow_long_range``.
    """
    date_start, date_end = _conf_date(conf, "date_start"), _conf_date(conf, "date_end")
    if date_start is None and date_end is None:
        return None
    for name, value in (("date_start", date_start), ("date_end", date_end)):
        if value is None:
            raise BadSetting(name, None, "a date as YYYY-MM-DD: date_start and date_end go together")
        if not EARLIEST_DATE <= value <= LATEST_DATE:
            raise BadSetting(name, value.isoformat(), f"a date from {EARLIEST_DATE} to {LATEST_DATE}")
    longest = MAX_RANGE_DAYS if _conf_boolean(conf, "allow_long_range") else MAX_CHECKED_DAYS
    if not 0 < (date_end - date_start).days <= longest:
        raise BadSetting(
            "date_end",
            date_end.isoformat(),
            f"1 to {longest} days after date_start {date_start} (the range excludes date_end; up to "
            f"{MAX_RANGE_DAYS} days with allow_long_range)",
        )
    return date_start, date_end


@dataclass(frozen=True)
class ValidateConf:
    """A run's conf of ``web_analytics_validate``.

    :ivar team_id: None for all selected teams.
    :ivar date_start: with ``date_end`` the half-open range; both None for the newest closed days.
    :ivar adopt: give what is exact a ledger entry where it has none.
    """

    team_id: int | None
    date_start: date | None
    date_end: date | None
    adopt: bool = False

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> ValidateConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(conf, ("team_id", "date_start", "date_end", "allow_long_range", "adopt"))
        _conf_boolean(conf, "allow_long_range")
        date_start, date_end = _conf_limited_range(conf) or (None, None)
        return cls(_conf_team_id(conf), date_start, date_end, _conf_boolean(conf, "adopt"))


@dataclass(frozen=True)
class CleanupConf:
    """A run's conf of ``web_analytics_cleanup``: one team and a half-open range, both required."""

    team_id: int
    date_start: date
    date_end: date
    disable_team: bool
    dry_run: bool

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> CleanupConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(
            conf, ("team_id", "date_start", "date_end", "allow_long_range", "disable_team", "dry_run")
        )
        _conf_boolean(conf, "allow_long_range")
        team_id, dates = _conf_team_id(conf), _conf_limited_range(conf)
        if team_id is None:
            raise BadSetting("team_id", None, "a team id, a whole number from 0 up")
        if dates is None:
            raise BadSetting("date_start", None, "a date as YYYY-MM-DD: what is deleted is always said")
        return cls(team_id, *dates, _conf_boolean(conf, "disable_team"), _conf_boolean(conf, "dry_run", True))


@dataclass(frozen=True)
class DiagnosticsConf:
    """A run's conf of ``web_analytics_diagnostics``; without ``team_ids`` all selected teams."""

    days_back: int
    team_ids: tuple[int, ...]

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> DiagnosticsConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(conf, ("days_back", "team_ids"))
        return cls(_conf_number(conf, "days_back", 1, 365, 7), _conf_team_ids(conf))


@dataclass(frozen=True)
class TeamBackfillConf:
    """A run's conf of ``web_analytics_team_backfill``.

    :ivar team_id: None for all teams that are selected and not yet backfilled.
    :ivar backfill_days: local days; None for what each team's registration says. May exceed the limit of 30.
    """

    team_id: int | None
    backfill_days: int | None
    dry_run: bool

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> TeamBackfillConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(conf, tuple(each.name for each in fields(cls)))
        days = _conf_value(
            conf,
            "backfill_days",
            lambda value: type(value) is int and value >= 1,
            f"a whole number from 1 up; more than {MAX_TEAM_BACKFILL_DAYS} are cut to {MAX_TEAM_BACKFILL_DAYS}",
            None,
        )
        return cls(_conf_team_id(conf), days, _conf_boolean(conf, "dry_run"))


@dataclass(frozen=True)
class HealthConf:
    """A run's conf of ``web_analytics_health``."""

    days: int

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> HealthConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        reject_unknown(conf, ("days",))
        return cls(_conf_number(conf, "days", 1, 365, 7))
