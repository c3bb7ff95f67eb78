"""The only place that reads the environment and a run's conf.

Nothing is validated when a DAG file is imported: the first task of a run calls :meth:`Settings.load`, so that
a bad value stops the run with one sentence and never hides the DAG.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import CORRECTNESS_SETTINGS
from web_analytics.rules.decision import GAP_KINDS, NEWEST, PRIORITIES
from web_analytics.teams import strategies

BUCKET_MINUTES = (60, 30, 15)
TOPOLOGIES = ("single", "replicated", "sharded")
MAX_TEAM_BACKFILL_DAYS = 30


class BadSetting(ValueError):
    """A value from the environment or from a run's conf is not acceptable; the message is for people."""

    code = "bad_setting"

    def __init__(self, name: str, value: object, accepted: str):
        super().__init__(f"{name} is {value!r}; accepted: {accepted}.")
        self.name, self.value, self.accepted = name, value, accepted

    def __reduce__(self):
        return type(self), (self.name, self.value, self.accepted)


def whole_number(minimum: int, maximum: int | None = None) -> tuple[Callable[[str], int], str]:
    accepted = (
        f"a whole number from {minimum} to {maximum}" if maximum else f"a whole number from {minimum} up"
    )

    def parse(text: str) -> int:
        number = int(text)
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError
        return number

    return parse, accepted


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]


def _date(text: str) -> date:
    parsed = date.fromisoformat(text)
    if parsed.isoformat() != text:
        raise ValueError
    return parsed


def _bucket_minutes(text: str) -> int:
    return BUCKET_MINUTES[BUCKET_MINUTES.index(int(text))]


def _one_of(*choices: str) -> tuple[Callable[[str], str], str]:
    """One of at least two words."""
    return lambda text: choices[choices.index(text)], f"{', '.join(choices[:-1])} or {choices[-1]}"


def _strategies(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not chosen or set(chosen) - set(strategies.names()):
        raise ValueError
    return chosen


def _team_ids(text: str) -> tuple[int, ...]:
    ids = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    if any(team_id < 0 or team_id >= 2**63 for team_id in ids):
        raise ValueError
    return ids


def _identifier(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError
    return text


def _source(text: str) -> str:
    if not text.isidentifier() or not (sql.SQL_ROOT / "source" / f"{text}.sql").is_file():
        raise ValueError
    return text


def _query_settings(text: str) -> dict[str, Any]:
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or set(parsed) & set(CORRECTNESS_SETTINGS):
        raise ValueError
    if any(isinstance(value, (dict, list)) or value is None for value in parsed.values()):
        raise ValueError
    return parsed


REGION_SEPARATOR = "__"
_REGIONS_VARIABLE = "WEB_ANALYTICS_REGIONS"
_REGION_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")


def _regions(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not all(_REGION_NAME.fullmatch(name) for name in names):
        raise ValueError
    return names


def region_names() -> tuple[str, ...]:
    """The regions for which there are DAGs; none while WEB_ANALYTICS_REGIONS is not acceptable, which the first
    task of a run says."""
    try:
        return _regions(os.environ.get(_REGIONS_VARIABLE, ""))
    except ValueError:
        return ()


def queue_of_tasks() -> dict[str, str]:
    """The default argument of every task that WEB_ANALYTICS_QUEUE asks for; none where it is empty."""
    queue = os.environ.get("WEB_ANALYTICS_QUEUE", "").strip()
    return {"queue": queue} if queue else {}


def region_of(dag_id: str) -> str:
    """The region that a DAG serves; empty for the connection without a region."""
    _, _, region = dag_id.rpartition(REGION_SEPARATOR)
    return region if region in region_names() else ""


def suffix_of(region: str) -> str:
    """What the ids of a region's DAGs end with."""
    return REGION_SEPARATOR + region if region else ""


def region_suffix() -> str:
    """What the ids of DAGs end with in the region of the running task; empty outside of one."""
    return suffix_of(region_of(os.environ.get("AIRFLOW_CTX_DAG_ID", "")))


def _of_region(environment: Mapping[str, str], suffix: str) -> dict[str, str]:
    """The environment as a region sees it: a variable that ends with its name wins.

    :raises BadSetting: the region has no connection of its own.
    """
    if not suffix:
        return environment
    ending = suffix.upper()
    connection = f"WEB_ANALYTICS_CLICKHOUSE_CONN_ID{ending}"
    if not environment.get(connection, "").strip():
        raise BadSetting(connection, "", "the id of the Airflow connection of this region")
    own = {name.removesuffix(ending): value for name, value in environment.items() if name.endswith(ending)}
    return {**environment, **own}


def _optional_identifier(text: str) -> str:
    return _identifier(text) if text else ""


def _addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if any(not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address) for address in addresses):
        raise ValueError
    return addresses


_OPTIONAL_CONNECTION = (_optional_identifier, "the id of an Airflow connection; empty: none is sent")


def _setting(variable: str, default: str, parser: tuple[Callable[[str], Any], str], meaning: str):
    parse, accepted = parser
    metadata = {
        "variable": f"WEB_ANALYTICS_{variable}",
        "default": default,
        "parse": parse,
        "accepted": accepted,
        "meaning": meaning,
    }
    return field(metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """All settings of the package, one field each; the README's table is generated from this class."""

    lookback_days: int = _setting(
        "BACKFILL_LOOKBACK_DAYS", "30", whole_number(1, 365), "days the detector looks back"
    )
    max_partitions_per_run: int = _setting(
        "BACKFILL_MAX_PARTITIONS_PER_RUN", "7", whole_number(1, 100), "dates built per run"
    )
    min_missing_partitions: int = _setting(
        "BACKFILL_MIN_MISSING_PARTITIONS",
        "3",
        whole_number(1, 100_000),
        "the ≥3 rule: missing (table, partition) pairs from which a run backfills",
    )
    max_gap_age_hours: int = _setting(
        "BACKFILL_MAX_GAP_AGE_HOURS",
        "48",
        whole_number(0, 100_000),
        "a gap older than this is filled even below the threshold",
    )
    backfill_days: int = _setting(
        "BACKFILL_DAYS",
        "7",
        whole_number(1, MAX_TEAM_BACKFILL_DAYS),
        "period of a team's first backfill",
    )
    settling_minutes: int = _setting(
        "BACKFILL_SETTLING_MINUTES",
        "60",
        whole_number(0, 7 * 24 * 60),
        "a day is open until this long after it ended",
    )
    daily_build: bool = _setting(
        "DAILY_BUILD",
        "true",
        (_boolean, "true or false"),
        "the 02:00 run builds the newest closed day in any case",
    )
    partitions_start_date: date = _setting(
        "PARTITIONS_START_DATE",
        "2024-01-01",
        (_date, "a date as YYYY-MM-DD"),
        "nothing earlier is built",
    )
    lock_ttl_minutes: int = _setting(
        "LOCK_TTL_MINUTES",
        "120",
        whole_number(1, 7 * 24 * 60),
        "a lock that was not renewed for this long, and of which no query runs, is abandoned",
    )
    bucket_minutes: int = _setting(
        "BUCKET_MINUTES", "60", (_bucket_minutes, "60, 30 or 15"), "width of a bucket"
    )
    team_selection_strategies: tuple[str, ...] = _setting(
        "TEAM_SELECTION_STRATEGIES",
        "teams_table",
        (_strategies, "a comma-separated list of " + ", ".join(strategies.names())),
        "who is pre-aggregated: the union of these",
    )
    enabled_team_ids: tuple[int, ...] = _setting(
        "ENABLED_TEAM_IDS",
        "",
        (_team_ids, "a comma-separated list of team ids"),
        "teams of the strategy `environment_variable`",
    )
    top_teams_limit: int = _setting(
        "TOP_TEAMS_LIMIT",
        "30",
        whole_number(1, 100),
        "how many teams the strategy `high_pageviews` gives",
    )
    rollout_percent: int = _setting(
        "ROLLOUT_PERCENT",
        "100",
        whole_number(0, 100),
        "share of the strategies' teams that is pre-aggregated, always the same teams: for a gradual rollout",
    )
    priority_team_ids: tuple[int, ...] = _setting(
        "PRIORITY_TEAM_IDS",
        "",
        (_team_ids, "a comma-separated list of team ids"),
        "dates on which these teams have gaps are built before others",
    )
    min_daily_pageviews: int = _setting(
        "MIN_DAILY_PAGEVIEWS",
        "0",
        whole_number(0, 2**31),
        "a team's day with fewer pageviews is not worth a build: its state is `small`, no gap",
    )
    stale_min_events: int = _setting(
        "STALE_MIN_EVENTS",
        "1",
        whole_number(1, 2**31),
        "a team's built day is stale from so many events on that arrived after it was read",
    )
    activity: str = _setting(
        "ACTIVITY",
        "kept",
        _one_of("kept", "scanned"),
        "where detection learns what the source holds: from the table that it keeps, or from a scan each time "
        "(for a source without a useful ingestion time)",
    )
    source: str = _setting(
        "SOURCE",
        "posthog",
        (_source, "the name of a file in include/sql/source, without .sql"),
        "which file defines the view `web_analytics_source_events`",
    )
    clickhouse_conn_id: str = _setting(
        "CLICKHOUSE_CONN_ID",
        "clickhouse_default",
        (_identifier, "the id of an Airflow connection"),
        "the connection",
    )
    topology: str = _setting(
        "TOPOLOGY",
        "single",
        _one_of(*TOPOLOGIES),
        "how the tables are created: on one node, replicated over the nodes of a cluster, or on each of its shards "
        "(docs/scaling.md)",
    )
    queue: str = _setting(
        "QUEUE",
        "",
        (str, "the name of a queue that a worker serves"),
        "Airflow queue of all tasks of the package; empty: Airflow's default one",
    )
    regions: tuple[str, ...] = _setting(
        "REGIONS",
        "",
        (_regions, "a comma-separated list of names of lower-case letters and digits"),
        "further ClickHouse installations: every DAG once more as `<dag_id>__<region>`, whose variables end with "
        "`__<REGION>` where they differ",
    )
    clickhouse_settings: dict[str, Any] = _setting(
        "CLICKHOUSE_SETTINGS",
        "{}",
        (
            _query_settings,
            "a JSON object of ClickHouse query settings that limit resources, such as max_threads or "
            "max_memory_usage, none of them fixed by the package",
        ),
        "query settings added to every heavy query, over `max_threads` 1 and `os_thread_priority` 19",
    )

    health_degraded_gap_hours: int = _setting(
        "HEALTH_DEGRADED_GAP_HOURS",
        "60",
        whole_number(0, 100_000),
        "the state is degraded once the oldest gap has waited longer",
    )
    health_failing_gap_hours: int = _setting(
        "HEALTH_FAILING_GAP_HOURS",
        "96",
        whole_number(0, 100_000),
        "and failing once it has waited longer than this",
    )
    health_degraded_freshness_hours: int = _setting(
        "HEALTH_DEGRADED_FRESHNESS_HOURS",
        "30",
        whole_number(0, 100_000),
        "degraded once the newest complete day ended longer ago",
    )
    health_failing_freshness_hours: int = _setting(
        "HEALTH_FAILING_FRESHNESS_HOURS", "54", whole_number(0, 100_000), "failing once it ended longer ago"
    )
    health_degraded_success_percent: int = _setting(
        "HEALTH_DEGRADED_SUCCESS_PERCENT",
        "95",
        whole_number(0, 100),
        "degraded if fewer of the attempts to build succeed",
    )
    health_failing_success_percent: int = _setting(
        "HEALTH_FAILING_SUCCESS_PERCENT", "80", whole_number(0, 100), "failing if fewer succeed"
    )
    freshness_deadline_minutes: int = _setting(
        "FRESHNESS_DEADLINE_MINUTES",
        "180",
        whole_number(1, 7 * 24 * 60),
        "a run of the backfill that takes longer is reported as late; read when the DAG file is parsed",
    )
    alert_slack_conn_id: str = _setting(
        "ALERT_SLACK_CONN_ID", "", _OPTIONAL_CONNECTION, "Slack webhook to which messages go"
    )
    alert_email_conn_id: str = _setting(
        "ALERT_EMAIL_CONN_ID", "", _OPTIONAL_CONNECTION, "SMTP server through which messages go"
    )
    alert_email_to: tuple[str, ...] = _setting(
        "ALERT_EMAIL_TO", "", (_addresses, "a comma-separated list of e-mail addresses"), "who gets them"
    )
    posthog_conn_id: str = _setting(
        "POSTHOG_CONN_ID",
        "",
        (_optional_identifier, "the id of an Airflow connection; empty: nothing is captured"),
        "PostHog (host, project API key as password) in which each finished backfill is captured as an event",
    )
    alert_repeat_hours: int = _setting(
        "ALERT_REPEAT_HOURS",
        "24",
        whole_number(1, 10_000),
        "how often a state that stays bad is reported again",
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Reads and checks every variable.

        :raises BadSetting: the first bad value: its variable, the value and what is accepted.
        """
        if environment is None:
            environment = _of_region(os.environ, region_suffix())
        values = {}
        for each in fields(cls):
            variable = each.metadata["variable"]
            text = environment.get(variable, "").strip() or each.metadata["default"]
            try:
                values[each.name] = each.metadata["parse"](text)
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise BadSetting(variable, text, each.metadata["accepted"]) from error
        if values["alert_email_conn_id"] and not values["alert_email_to"]:
            raise BadSetting(
                "WEB_ANALYTICS_ALERT_EMAIL_CONN_ID",
                values["alert_email_conn_id"],
                "the id of an Airflow connection, together with addresses in WEB_ANALYTICS_ALERT_EMAIL_TO",
            )
        return cls(**values)

    @classmethod
    def of_region(cls, region: str) -> Settings:
        """The settings of a region, outside of its tasks.

        :param region: one of :func:`region_names`; empty for the connection without a region.
        :raises BadSetting: one of its variables is bad.
        """
        return cls.load(_of_region(os.environ, suffix_of(region)))

    @classmethod
    def peek(cls, name: str, environment: Mapping[str, str] | None = None) -> Any:
        """One setting for a DAG file that is being imported: the default where the value is bad, which the first
        task of a run refuses."""
        environment = os.environ if environment is None else environment
        [found] = [each.metadata for each in fields(cls) if each.name == name]
        try:
            return found["parse"](environment.get(found["variable"], "").strip() or found["default"])
        except (ValueError, KeyError, TypeError, OverflowError):
            return found["parse"](found["default"])

    @property
    def settling(self) -> timedelta:
        return timedelta(minutes=self.settling_minutes)

    @property
    def lock_ttl(self) -> timedelta:
        return timedelta(minutes=self.lock_ttl_minutes)

    @property
    def max_gap_age(self) -> timedelta:
        return timedelta(hours=self.max_gap_age_hours)

    @property
    def alert_repeat(self) -> timedelta:
        return timedelta(hours=self.alert_repeat_hours)


def settings_table() -> list[tuple[str, str, str, str]]:
    """(variable, default, accepted, meaning) of each setting, for the README."""
    return [
        (f.metadata["variable"], f.metadata["default"], f.metadata["accepted"], f.metadata["meaning"])
        for f in fields(Settings)
    ]


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
        return _date(value)
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
