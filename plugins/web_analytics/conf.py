"""What a run may be told: the conf of each DAG. Each param is defined once, here: its name, what it accepts, its
default and what it means. A run's conf is checked against it, the form of the UI and docs/params.md are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from web_analytics import parsers
from web_analytics.errors import BadSetting
from web_analytics.parsers import MAX_TEAM_ID
from web_analytics.rules.decision import PRIORITIES
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import MAX_ROWS, MAX_TEAM_BACKFILL_DAYS, Settings

MAX_RANGE_DAYS = 365
MAX_CHECKED_DAYS = 30
# What ClickHouse's DateTime can hold without wrapping around.
EARLIEST_DATE, LATEST_DATE = date(1970, 1, 2), date(2105, 12, 31)


@dataclass(frozen=True)
class Kind:
    """What a param accepts.

    :ivar schema: as a JSON schema, for the form of the UI and for Airflow's own check of a conf.
    :ivar accepted: the same in words.
    :ivar read: gives the value of what the conf holds; raises ValueError or TypeError for what is not acceptable.
    """

    schema: Mapping[str, Any]
    accepted: str
    read: Callable[[Any], Any]


def _require(is_accepted: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not is_accepted(value):
            raise ValueError
        return value

    return read


def _whole_number(minimum: int, maximum: int | None = None, accepted: str = "") -> Kind:
    bounds = {"minimum": minimum} if maximum is None else {"minimum": minimum, "maximum": maximum}
    return Kind(
        {"type": "integer", **bounds},
        accepted or f"a whole number from {minimum} to {maximum}",
        # True is an int, 7.0 is an integer in JSON schema; neither is meant.
        _require(
            lambda value: type(value) is int and minimum <= value and (maximum is None or value <= maximum)
        ),
    )


def _word(*choices: str) -> Kind:
    return Kind(
        {"type": "string", "enum": list(choices)},
        " or ".join(choices),
        _require(lambda value: isinstance(value, str) and value in choices),
    )


def _list_of(element: Kind, accepted: str) -> Kind:
    """A list without repetitions; its value is a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError
        return tuple(dict.fromkeys(element.read(each) for each in value))

    return Kind({"type": "array", "items": dict(element.schema)}, accepted, read)


_DATE = Kind({"type": "string", "format": "date"}, "a date as YYYY-MM-DD", parsers.iso_date)
_YES_OR_NO = Kind({"type": "boolean"}, "true or false", _require(lambda value: isinstance(value, bool)))
_TEAM_ID = _whole_number(0, MAX_TEAM_ID, f"a team id, {parsers.TEAM_ID_IN_WORDS}")
_TEAM_IDS = _list_of(_TEAM_ID, f"a list of team ids, each {parsers.TEAM_ID_IN_WORDS}")
_GAP_KINDS = _list_of(_word(*GAP_KINDS), "a list of " + ", ".join(GAP_KINDS))

REQUIRED = object()


def _param(
    kind: Kind, meaning: str, default: Any = None, *, setting: str | None = None, section: str | None = None
) -> Any:
    """A field of a conf.

    :param default: in the form and where the conf leaves it out; None for none, REQUIRED where one has to be given.
    :param setting: the field of :class:`Settings` that holds where the conf leaves it out.
    :param section: under which the form shows it.
    """
    metadata = {"kind": kind, "meaning": meaning, "default": default, "setting": setting, "section": section}
    return field(metadata=metadata)


@dataclass(frozen=True)
class ParamDefinition:
    """One param of a DAG, for its form.

    :ivar schema: a JSON schema; of null too, where it may be left out.
    :ivar default: REQUIRED where there is none.
    """

    name: str
    schema: Mapping[str, Any]
    default: Any
    meaning: str
    section: str | None


class Conf:
    """What the confs of all DAGs have in common; their fields are made by :func:`_param`."""

    @classmethod
    def params(cls) -> list[ParamDefinition]:
        """The params, in the order of the form."""
        made = []
        for each in fields(cls):
            schema, default = dict(each.metadata["kind"].schema), each.metadata["default"]
            if default is None:
                schema["type"] = ["null", schema["type"]]
                if "enum" in schema:
                    schema["enum"] = [*schema["enum"], None]
            made.append(
                ParamDefinition(
                    each.name, schema, default, each.metadata["meaning"], each.metadata["section"]
                )
            )
        return made

    @classmethod
    def _read(cls, conf: Mapping[str, Any], settings: Settings | None = None) -> dict[str, Any]:
        """The value of each param by itself.

        :raises BadSetting: naming the parameter, its value and what is accepted.
        """
        known = [each.name for each in fields(cls)]
        for name in conf:
            if name not in known:
                raise BadSetting(name, conf[name], "only the parameters " + ", ".join(known))
        return {
            each.name: _value(each.name, each.metadata, conf.get(each.name), settings) for each in fields(cls)
        }


def _value(name: str, param: Mapping[str, Any], given: Any, settings: Settings | None) -> Any:
    kind: Kind = param["kind"]
    if given is None:
        if param["default"] is REQUIRED:
            raise BadSetting(name, None, kind.accepted)
        if param["setting"] is not None:
            return getattr(settings, param["setting"])
        return () if kind.schema["type"] == "array" else param["default"]
    try:
        return kind.read(given)
    except (ValueError, TypeError) as error:
        raise BadSetting(name, given, kind.accepted) from error


def _check_range(date_start: date | None, date_end: date | None, longest: int, otherwise: str = "") -> None:
    """:raises BadSetting: only one date, reversed, or longer than so many days."""
    for name, given, other in (("date_start", date_start, "date_end"), ("date_end", date_end, "date_start")):
        if given is None and (date_start or date_end):
            raise BadSetting(name, None, f"a date as YYYY-MM-DD, given together with {other}")
    if date_start and date_end and not 0 < (date_end - date_start).days <= longest:
        raise BadSetting(
            "date_end",
            date_end.isoformat(),
            f"1 to {longest} days after date_start {date_start} (the range excludes date_end{otherwise})",
        )


def _check_limited_range(values: Mapping[str, Any]) -> None:
    """Of a run that looks at every day of its range.

    :raises BadSetting: as :func:`_check_range`; longer than 30 days without ``allow_long_range``.
    """
    for name in ("date_start", "date_end"):
        if values[name] is not None and not EARLIEST_DATE <= values[name] <= LATEST_DATE:
            raise BadSetting(name, values[name].isoformat(), f"a date from {EARLIEST_DATE} to {LATEST_DATE}")
    longest = MAX_RANGE_DAYS if values["allow_long_range"] else MAX_CHECKED_DAYS
    otherwise = f"; up to {MAX_RANGE_DAYS} days with allow_long_range"
    _check_range(values["date_start"], values["date_end"], longest, otherwise)


_LOOKBACK, _BUILD = "Which days", "What is built"
_BUDGET = (
    "Budget in rows read in ClickHouse, as estimated: dates until it is used, the first always. 0: no budget; "
    "empty: WEB_ANALYTICS_MAX_ROWS_PER_RUN."
)
_LONG_RANGE = f"Allow up to {MAX_RANGE_DAYS} days instead of {MAX_CHECKED_DAYS}."


@dataclass(frozen=True)
class BackfillConf(Conf):
    """A run's conf of ``web_analytics_backfill``; what it leaves out comes from the settings.

    :ivar date_start: with ``date_end`` the explicit half-open range; otherwise both None.
    :ivar kinds: empty where the conf names none.
    :ivar priority: which dates go first, see :func:`web_analytics.rules.decision.in_order`.
    """

    days_back: int = _param(
        _whole_number(1, MAX_RANGE_DAYS),
        "Complete UTC days before today; empty: WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS.",
        setting="lookback_days",
        section=_LOOKBACK,
    )
    date_start: date | None = _param(
        _DATE, "First day of an explicit range, instead of days_back.", section=_LOOKBACK
    )
    date_end: date | None = _param(
        _DATE, "The day after the last day of the explicit range.", section=_LOOKBACK
    )
    team_ids: tuple[int, ...] = _param(
        _TEAM_IDS, "Only these teams; each must be enabled.", section=_LOOKBACK
    )
    max_partitions: int = _param(
        _whole_number(1, 100),
        "Dates built by this run; empty: WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN.",
        setting="max_partitions_per_run",
        section=_BUILD,
    )
    max_rows: int = _param(_whole_number(0, MAX_ROWS), _BUDGET, setting="max_rows_per_run", section=_BUILD)
    min_missing_partitions: int = _param(
        _whole_number(1, 100_000),
        "Threshold of the rule; empty: WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS.",
        setting="min_missing_partitions",
        section=_BUILD,
    )
    kinds: tuple[str, ...] = _param(
        _GAP_KINDS, "Kinds of gap to act on; empty: missing (at 02:00: all).", section=_BUILD
    )
    priority: str = _param(
        _word(*PRIORITIES),
        "Which dates go first: the newest, those with the most pageviews waiting, or those that dashboards asked for most "
        "in the last 7 days; empty: WEB_ANALYTICS_BACKFILL_PRIORITY.",
        setting="priority",
        section=_BUILD,
    )
    rebuild: bool = _param(
        _YES_OR_NO,
        "Build every date of the explicit range again, whatever its state; with kinds: those in such a state, "
        "whatever the rule says.",
        False,
        section=_BUILD,
    )
    dry_run: bool = _param(_YES_OR_NO, "Decide and print the plan; change nothing.", False, section=_BUILD)

    @classmethod
    def parse(cls, conf: Mapping[str, Any], settings: Settings) -> BackfillConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        parsed = cls(**cls._read(conf, settings))
        _check_range(parsed.date_start, parsed.date_end, MAX_RANGE_DAYS)
        if parsed.date_start and conf.get("days_back") is not None:
            raise BadSetting("days_back", conf["days_back"], "given without date_start and date_end")
        if parsed.rebuild and not parsed.date_start:
            raise BadSetting("rebuild", True, "true only together with date_start and date_end")
        return parsed


@dataclass(frozen=True)
class ValidateConf(Conf):
    """A run's conf of ``web_analytics_validate``.

    :ivar team_id: None for all selected teams.
    :ivar date_start: with ``date_end`` the half-open range; both None for the newest closed days.
    :ivar adopt: give what is exact a ledger entry where it has none.
    """

    team_id: int | None = _param(_TEAM_ID, "Only this team; it must be enabled.")
    date_start: date | None = _param(_DATE, "First day; empty: the 7 newest closed days.")
    date_end: date | None = _param(_DATE, "The day after the last day.")
    allow_long_range: bool = _param(_YES_OR_NO, _LONG_RANGE, False)
    adopt: bool = _param(
        _YES_OR_NO, "Take over exact days that another system wrote: record them in the ledger.", False
    )

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> ValidateConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        values = cls._read(conf)
        _check_limited_range(values)
        return cls(**values)


@dataclass(frozen=True)
class CleanupConf(Conf):
    """A run's conf of ``web_analytics_cleanup``: one team and a half-open range, both required."""

    team_id: int = _param(_TEAM_ID, "The team whose rows are deleted.", REQUIRED)
    date_start: date = _param(_DATE, "First day.", REQUIRED)
    date_end: date = _param(_DATE, "The day after the last day.", REQUIRED)
    disable_team: bool = _param(
        _YES_OR_NO, "Disable the team first, so that nothing is built of it again.", False
    )
    dry_run: bool = _param(_YES_OR_NO, "Show what would be deleted; change nothing.", True)
    allow_long_range: bool = _param(_YES_OR_NO, _LONG_RANGE, False)

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> CleanupConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        values = cls._read(conf)
        _check_limited_range(values)
        return cls(**values)


@dataclass(frozen=True)
class DiagnosticsConf(Conf):
    """A run's conf of ``web_analytics_diagnostics``; without ``team_ids`` all selected teams."""

    days_back: int = _param(
        _whole_number(1, MAX_RANGE_DAYS), "Complete UTC days before today that show_data_gaps lists.", 7
    )
    team_ids: tuple[int, ...] = _param(_TEAM_IDS, "List only these teams; each must be enabled.")

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> DiagnosticsConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        return cls(**cls._read(conf))


@dataclass(frozen=True)
class TeamBackfillConf(Conf):
    """A run's conf of ``web_analytics_team_backfill``.

    :ivar team_id: None for all teams that are selected and not yet backfilled.
    :ivar backfill_days: local days; None for what each team's registration says. May exceed the limit of 30.
    """

    team_id: int | None = _param(
        _TEAM_ID, "An enabled team; empty: every team that is enabled and not yet backfilled."
    )
    backfill_days: int | None = _param(
        _whole_number(
            1,
            accepted=f"a whole number from 1 up; more than {MAX_TEAM_BACKFILL_DAYS} are cut to {MAX_TEAM_BACKFILL_DAYS}",
        ),
        f"Local days before today, at most {MAX_TEAM_BACKFILL_DAYS}; empty: what the team was registered with.",
    )
    max_rows: int = _param(_whole_number(0, MAX_ROWS), _BUDGET, setting="max_rows_per_run")
    dry_run: bool = _param(_YES_OR_NO, "Print the plan; change nothing.", False)

    @classmethod
    def parse(cls, conf: Mapping[str, Any], settings: Settings) -> TeamBackfillConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        return cls(**cls._read(conf, settings))


@dataclass(frozen=True)
class HealthConf(Conf):
    """A run's conf of ``web_analytics_health``."""

    days: int = _param(_whole_number(1, MAX_RANGE_DAYS), "Period of rates and costs, in days.", 7)

    @classmethod
    def parse(cls, conf: Mapping[str, Any]) -> HealthConf:
        """:raises BadSetting: naming the parameter, its value and what is accepted."""
        return cls(**cls._read(conf))
