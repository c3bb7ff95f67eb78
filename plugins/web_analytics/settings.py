"""All settings of the package, from the environment; what a run may be told beside them is in conf.py.

Nothing is validated when a DAG file is imported: the first task of a run calls :meth:`Settings.load`, so that
a bad value stops the run with one sentence and never hides the DAG.
"""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from web_analytics import parsers, regions
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import CORRECTNESS_SETTINGS
from web_analytics.clickhouse.placement import TOPOLOGIES, Placement, cluster_name
from web_analytics.errors import BadSetting
from web_analytics.parsers import Notifier
from web_analytics.rules.decision import PRIORITIES
from web_analytics.rules.load import MEASURES

BUCKET_MINUTES = (60, 30, 15)
MAX_TEAM_BACKFILL_DAYS = 30
MAX_ROWS = 10**15
STRATEGIES = Path(__file__).parent / "teams" / "strategies"


def _bucket_minutes(text: str) -> int:
    return BUCKET_MINUTES[BUCKET_MINUTES.index(int(text))]


def strategy_names() -> tuple[str, ...]:
    """The team selection strategies there are: the modules of teams/strategies, none of which is imported for it."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(STRATEGIES)])))


def _strategies(text: str) -> tuple[str, ...]:
    chosen = parsers.comma_separated(text)
    if not chosen or set(chosen) - set(strategy_names()):
        raise ValueError
    return chosen


def _source(text: str) -> str:
    if not text.isidentifier() or not sql.exists(f"source/{text}"):
        raise ValueError
    return text


def _sql_dir(text: str) -> str:
    if text and not Path(text).is_dir():
        raise ValueError
    return text


def _query_settings(text: str) -> dict[str, Any]:
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or set(parsed) & set(CORRECTNESS_SETTINGS):
        raise ValueError
    if any(isinstance(value, (dict, list)) or value is None for value in parsed.values()):
        raise ValueError
    return parsed


def _load_bounds(text: str) -> dict[str, float]:
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or set(parsed) - set(MEASURES):
        raise ValueError
    if any(type(bound) not in (int, float) or not 0 <= bound < float("inf") for bound in parsed.values()):
        raise ValueError
    return parsed


_OPTIONAL_CONNECTION = (parsers.optional_identifier, "the id of an Airflow connection; empty: none is sent")


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
    """All settings of the package, one field each; the table of docs/settings.md is generated from it."""

    lookback_days: int = _setting(
        "BACKFILL_LOOKBACK_DAYS", "30", parsers.whole_number(1, 365), "days the detector looks back"
    )
    max_partitions_per_run: int = _setting(
        "BACKFILL_MAX_PARTITIONS_PER_RUN", "7", parsers.whole_number(1, 100), "dates built per run"
    )
    max_rows_per_run: int = _setting(
        "MAX_ROWS_PER_RUN",
        "0",
        parsers.whole_number(0, MAX_ROWS),
        "budget of a run that builds dates, in rows read in ClickHouse as estimated before: dates are taken in their order "
        "until it is used, the first one always; 0: no budget",
    )
    approve_above_rows: int = _setting(
        "APPROVE_ABOVE_ROWS",
        "0",
        parsers.whole_number(0, MAX_ROWS),
        "a run of the backfill whose dates are estimated above so many rows asks a person first; 0: nobody is asked; "
        "read when the DAG file is parsed, too",
    )
    min_missing_partitions: int = _setting(
        "BACKFILL_MIN_MISSING_PARTITIONS",
        "3",
        parsers.whole_number(1, 100_000),
        "the ≥3 rule: missing (table, partition) pairs from which a run backfills",
    )
    priority: str = _setting(
        "BACKFILL_PRIORITY",
        "newest",
        parsers.one_of(*PRIORITIES),
        "which dates a run builds first where it cannot build all: the newest, those with the most pageviews waiting, or "
        "those that dashboards asked for most (docs/operations.md)",
    )
    max_gap_age_hours: int = _setting(
        "BACKFILL_MAX_GAP_AGE_HOURS",
        "48",
        parsers.whole_number(0, 100_000),
        "a gap older than this is filled even below the threshold",
    )
    backfill_days: int = _setting(
        "BACKFILL_DAYS",
        "7",
        parsers.whole_number(1, MAX_TEAM_BACKFILL_DAYS),
        "period of a team's first backfill",
    )
    settling_minutes: int = _setting(
        "BACKFILL_SETTLING_MINUTES",
        "60",
        parsers.whole_number(0, 7 * 24 * 60),
        "a day is open until this long after it ended",
    )
    daily_build: bool = _setting(
        "DAILY_BUILD",
        "true",
        (parsers.boolean, "true or false"),
        "the 02:00 run builds the newest closed day in any case",
    )
    partitions_start_date: date = _setting(
        "PARTITIONS_START_DATE",
        "2024-01-01",
        (parsers.iso_date, "a date as YYYY-MM-DD"),
        "nothing earlier is built",
    )
    lock_ttl_minutes: int = _setting(
        "LOCK_TTL_MINUTES",
        "120",
        parsers.whole_number(1, 7 * 24 * 60),
        "a lock that was not renewed for this long, and of which no query runs, is abandoned",
    )
    bucket_minutes: int = _setting(
        "BUCKET_MINUTES", "60", (_bucket_minutes, "60, 30 or 15"), "width of a bucket"
    )
    team_selection_strategies: tuple[str, ...] = _setting(
        "TEAM_SELECTION_STRATEGIES",
        "teams_table",
        (_strategies, "a comma-separated list of " + ", ".join(strategy_names())),
        "who is pre-aggregated: the union of these",
    )
    enabled_team_ids: tuple[int, ...] = _setting(
        "ENABLED_TEAM_IDS",
        "",
        (parsers.team_ids, "a comma-separated list of team ids"),
        "teams of the strategy `environment_variable`",
    )
    top_teams_limit: int = _setting(
        "TOP_TEAMS_LIMIT",
        "30",
        parsers.whole_number(1, 100),
        "how many teams the strategy `high_pageviews` gives",
    )
    rollout_percent: int = _setting(
        "ROLLOUT_PERCENT",
        "100",
        parsers.whole_number(0, 100),
        "share of the strategies' teams that is pre-aggregated, always the same teams: for a gradual rollout",
    )
    priority_team_ids: tuple[int, ...] = _setting(
        "PRIORITY_TEAM_IDS",
        "",
        (parsers.team_ids, "a comma-separated list of team ids"),
        "dates on which these teams have gaps are built before others",
    )
    min_daily_pageviews: int = _setting(
        "MIN_DAILY_PAGEVIEWS",
        "0",
        parsers.whole_number(0, 2**31),
        "a team's day with fewer pageviews is not worth a build: its state is `small`, no gap",
    )
    stale_min_events: int = _setting(
        "STALE_MIN_EVENTS",
        "1",
        parsers.whole_number(1, 2**31),
        "a team's built day is stale from so many events on that have come or gone since it was read",
    )
    low_volume_percent: int = _setting(
        "LOW_VOLUME_PERCENT",
        "60",
        parsers.whole_number(0, 95),
        "a team's day with less than so many percent of its usual weekday, and than its noise explains, is told as "
        "suspicious; 0: no day is",
    )
    low_volume_min_pageviews: int = _setting(
        "LOW_VOLUME_MIN_PAGEVIEWS",
        "100",
        parsers.whole_number(1, 2**31),
        "a weekday on which a team usually has fewer pageviews gets no such verdict",
    )
    activity: str = _setting(
        "ACTIVITY",
        "kept",
        parsers.one_of("kept", "scanned"),
        "where detection learns what the source holds: from the table that it keeps, or from a scan each time "
        "(for a source without a useful ingestion time)",
    )
    source: str = _setting(
        "SOURCE",
        "posthog",
        (_source, "the name of a file in include/sql/source (or WEB_ANALYTICS_SQL_DIR/source), without .sql"),
        "which file defines the view `web_analytics_source_events`",
    )
    sql_dir: str = _setting(
        "SQL_DIR",
        "",
        (_sql_dir, "the path of a folder; empty: none"),
        "statements of your own, laid out as include/sql, which go before the package's; one for all regions",
    )
    clickhouse_conn_id: str = _setting(
        "CLICKHOUSE_CONN_ID",
        "clickhouse_default",
        (parsers.identifier, "the id of an Airflow connection"),
        "the connection",
    )
    setup_conn_id: str = _setting(
        "SETUP_CONN_ID",
        "",
        (parsers.optional_identifier, "the id of an Airflow connection; empty: the same one"),
        "the connection of `web_analytics_setup`, whose user alone may change the tables",
    )
    reader_conn_id: str = _setting(
        "READER_CONN_ID",
        "",
        (parsers.optional_identifier, "the id of an Airflow connection; empty: the same one"),
        "the connection of the coverage page, of what the API only reads, of `web_analytics_diagnostics` and of the "
        "teams dictionary",
    )
    deployment: str = _setting(
        "DEPLOYMENT",
        "",
        (parsers.optional_identifier, "a word"),
        "names this Airflow where several work on one ClickHouse; empty: it follows from Airflow's Fernet key",
    )
    topology: str = _setting(
        "TOPOLOGY",
        "single",
        parsers.one_of(*TOPOLOGIES),
        "how the tables are created: on one node, replicated over the nodes of a cluster, or on each of its shards, "
        "with replicas or without (docs/scaling.md)",
    )
    cluster: str = _setting(
        "CLUSTER",
        "{cluster}",
        (cluster_name, "the name of a cluster, or in braces the name of a macro of the server"),
        "the cluster of every topology but `single`",
    )
    node_conn_ids: tuple[str, ...] = _setting(
        "NODE_CONN_IDS",
        "",
        (parsers.comma_separated, "a comma-separated list of ids of Airflow connections"),
        "a connection to each node of the cluster, through which `web_analytics_setup` makes the tables node by node; "
        "empty: `ON CLUSTER` does",
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
        (regions.parse_names, "a comma-separated list of names of lower-case letters and digits"),
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
        "query settings added to every heavy query, over the package's own such as `max_threads` 1 and `os_thread_priority` 19",
    )
    busy_above: dict[str, float] = _setting(
        "BUSY_ABOVE",
        '{"queries": 50, "memory_percent": 80, "merges": 24, "parts": 300, "replication_queue": 100}',
        (
            _load_bounds,
            f"a JSON object with numbers from 0 up for any of {', '.join(MEASURES)}; {{}}: the load is not looked at",
        ),
        "load of the server above which a date waits before it begins: queries of others that run, share of the server's "
        "memory limit, merges and mutations that run, parts in one partition of a target, its replication queue",
    )
    busy_wait_minutes: int = _setting(
        "BUSY_WAIT_MINUTES",
        "60",
        parsers.whole_number(0, 24 * 60),
        "how long a date waits for a busy server at most; then it begins all the same; 0: it does not look",
    )
    api_max_requests: int = _setting(
        "API_MAX_REQUESTS",
        "8",
        parsers.whole_number(1, 1000),
        "requests about ClickHouse that one process of the API server answers at once; one more is told to come back",
    )
    api_max_seconds: int = _setting(
        "API_MAX_SECONDS",
        "20",
        parsers.whole_number(1, 3600),
        "what ClickHouse spends on one request to the API or the coverage page; then it is broken off",
    )
    cleanup_second_person: bool = _setting(
        "CLEANUP_SECOND_PERSON",
        "false",
        (parsers.boolean, "true or false"),
        "whether a cleanup has to be approved by another person than the one who triggered it",
    )

    freshness_deadline_minutes: int = _setting(
        "FRESHNESS_DEADLINE_MINUTES",
        "180",
        parsers.whole_number(1, 7 * 24 * 60),
        "a run of the backfill that takes longer is reported as late; read when the DAG file is parsed",
    )
    service_level_hours: int = _setting(
        "SERVICE_LEVEL_HOURS",
        "6",
        parsers.whole_number(0, 7 * 24),
        "hours after its end until which a team's day has to be complete in both tables; 0, or no longer than "
        "WEB_ANALYTICS_BACKFILL_SETTLING_MINUTES: there is no service level",
    )
    service_level_objective: float = _setting(
        "SERVICE_LEVEL_OBJECTIVE",
        "99",
        parsers.decimal(50, 99.99),
        "percent of the days of teams over 30 days that have to be; the others are the error budget",
    )
    alert_slack_conn_id: str = _setting(
        "ALERT_SLACK_CONN_ID", "", _OPTIONAL_CONNECTION, "Slack webhook to which messages go"
    )
    alert_email_conn_id: str = _setting(
        "ALERT_EMAIL_CONN_ID", "", _OPTIONAL_CONNECTION, "SMTP server through which messages go"
    )
    alert_email_to: tuple[str, ...] = _setting(
        "ALERT_EMAIL_TO",
        "",
        (parsers.addresses, "a comma-separated list of e-mail addresses"),
        "who gets them",
    )
    alert_notifiers: tuple[Notifier, ...] = _setting(
        "ALERT_NOTIFIERS",
        "[]",
        (
            parsers.notifiers,
            'a JSON list such as `[{"notifier": "a.module.SomeNotifier", "arguments": {"text": "$text"}}]`',
        ),
        "further channels: Airflow notifiers by their class; in their arguments `$title`, `$text`, `$html`, `$dag_id` and "
        "`$run_id` stand for the message's",
    )
    posthog_conn_id: str = _setting(
        "POSTHOG_CONN_ID",
        "",
        (parsers.optional_identifier, "the id of an Airflow connection; empty: nothing is captured"),
        "PostHog (host, project API key as password) in which each finished backfill is captured as an event",
    )
    alert_repeat_hours: int = _setting(
        "ALERT_REPEAT_HOURS",
        "24",
        parsers.whole_number(1, 10_000),
        "how often a state that stays bad is reported again",
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Reads and checks every variable.

        :raises BadSetting: the first bad value: its variable, the value and what is accepted; or the package's SQL
            is nowhere.
        """
        if environment is None:
            environment = regions.environment_of(os.environ, regions.region_suffix())
        if nowhere := sql.missing():
            raise BadSetting(sql.DIRECTORY_VARIABLE, environment.get(sql.DIRECTORY_VARIABLE, ""), nowhere)
        values = {}
        for each in fields(cls):
            variable = each.metadata["variable"]
            text = environment.get(variable, "").strip() or each.metadata["default"]
            try:
                values[each.name] = each.metadata["parse"](text)
            except parsers.REFUSALS as error:
                raise BadSetting(variable, text, each.metadata["accepted"]) from error
        if values["alert_email_conn_id"] and not values["alert_email_to"]:
            raise BadSetting(
                "WEB_ANALYTICS_ALERT_EMAIL_CONN_ID",
                values["alert_email_conn_id"],
                "the id of an Airflow connection, together with addresses in WEB_ANALYTICS_ALERT_EMAIL_TO",
            )
        if values["node_conn_ids"] and values["topology"] == "single":
            raise BadSetting(
                "WEB_ANALYTICS_NODE_CONN_IDS",
                ",".join(values["node_conn_ids"]),
                "nothing where WEB_ANALYTICS_TOPOLOGY is single",
            )
        return cls(**values)

    @classmethod
    def of_region(cls, region: str) -> Settings:
        """The settings of a region, outside of its tasks.

        :param region: one of :func:`region_names`; empty for the connection without a region.
        :raises BadSetting: one of its variables is bad.
        """
        return cls.load(regions.environment_of(os.environ, regions.suffix_of(region)))

    @classmethod
    def peek(cls, name: str, environment: Mapping[str, str] | None = None) -> Any:
        """One setting while a DAG file is being parsed, see :func:`web_analytics.parsers.peek`."""
        environment = os.environ if environment is None else environment
        [found] = [each.metadata for each in fields(cls) if each.name == name]
        return parsers.peek(environment, found["variable"], found["default"], found["parse"])

    @property
    def placement(self) -> Placement:
        return Placement(self.topology, self.cluster, self.node_conn_ids)

    @property
    def settling(self) -> timedelta:
        return timedelta(minutes=self.settling_minutes)

    @property
    def lock_ttl(self) -> timedelta:
        return timedelta(minutes=self.lock_ttl_minutes)

    @property
    def busy_wait(self) -> timedelta:
        return timedelta(minutes=self.busy_wait_minutes)

    @property
    def max_gap_age(self) -> timedelta:
        return timedelta(hours=self.max_gap_age_hours)

    @property
    def alert_repeat(self) -> timedelta:
        return timedelta(hours=self.alert_repeat_hours)


def settings_table() -> list[tuple[str, str, str, str]]:
    """(variable, default, accepted, meaning) of each setting, for docs/settings.md."""
    return [
        (f.metadata["variable"], f.metadata["default"], f.metadata["accepted"], f.metadata["meaning"])
        for f in fields(Settings)
    ]
