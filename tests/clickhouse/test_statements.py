"""Every file of include/sql: it renders, the engine parses it, it is one statement, its header says what it takes."""

from __future__ import annotations

import datetime
import itertools
import re
import uuid
from pathlib import Path

import jinja2
import pytest
from jinja2 import meta, nodes

from tests.support import open_client
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.http import with_values

# What templates may be given: identifiers and whole numbers, never values. A new name belongs here first.
SAMPLE_NAMES = {
    "activity_is_kept": [False, True],
    "bucket_minutes": [60],
    "by_day": [False, True],
    "granule_rows": [8192],
    "build_teams": ["web_analytics_build_teams"],
    "clone": ["web_analytics_build_clone"],
    "database": ["some_database"],
    "dictionary": ["web_pre_aggregated_teams_dict"],
    "fresh": ["web_analytics_build_fresh"],
    "fresh_tables": [["web_analytics_build_fresh_stats", "web_analytics_build_fresh_bounces"]],
    "fresh_bounces": ["web_analytics_build_fresh_bounces"],
    "fresh_stats": ["web_analytics_build_fresh_stats"],
    "bounces": ["web_pre_aggregated_bounces"],
    "stats": ["web_pre_aggregated_stats"],
    "lock_table": ["web_analytics_lock_20260101"],
    "primary_key": [["team_id", "period_bucket"]],
    "events": ["web_analytics_build_events"],
    "repeated": ["web_analytics_build_repeated"],
    "role": ["web_analytics_writer"],
    "sessions": ["web_analytics_build_sessions"],
    "sorting_key": [["team_id", "period_bucket", "host"]],
    "source_table": ["web_pre_aggregated_stats"],
    "table": ["web_pre_aggregated_stats"],
    "target": ["web_pre_aggregated_stats"],
    "targets": [["web_pre_aggregated_stats", "web_pre_aggregated_bounces"]],
    "selected_teams": ["selected_teams"],
    "visits": ["web_analytics_build_visits"],
    "selected": ["web_analytics_build_selected"],
    "old": [["web_analytics_build_old", "web_analytics_build_older"]],
    "new": [["web_analytics_build_new", "web_analytics_build_newer"]],
    # flags and lists change the statement: every combination has to parse
    "all_are_selected": [False, True],
    "days": [2],
    "weeks": [8],
    "counts_sessions": [False, True],
    "has_part_name": [False, True],
    "is_short_range": [False, True],
    "has_person_overrides": [False, True],
    "is_distributed": [False, True],
    "materialized_columns": [[], ["mat_$host", "mat_$pathname", "mat_utm_source"]],
    "tables": [["web_analytics_lock_20260101", "web_analytics_build_events"]],
    "for_readers": [False],  # schema/create_freshness sets it
    "from_kept": [False, True],
    "further_tables": [[], ["paths", "pages"]],
    "of_one_run": [False, True],
    "only_gaps": [False, True],
    "only_missing": [False, True],
    "only_new": [False, True],
    "only_selected": [False, True],
    "people_are_merged": [False, True],
    "stored": [False, True],
    # where the tables are: tests/schema/test_topologies.py looks at what comes of it
    "cluster": ["two", "{cluster}"],
    "all_nodes": [False, True],
    "ddl_on_cluster": [False, True],
    "kill_on_cluster": [False, True],
    "replicated_builds": [False, True],
    "keeper_path": [False, True],
    "replicated": [False, True],
    "with_credentials": [False, True],
    "with_index": [False, True],
    "with_projection": [False, True],
    "with_new": [False, True],
    "with_people": [False, True],
}
SAMPLE_VALUES = {
    "table": "events",
    "database": "some_database",
    "statement": "detection/count_gaps",
    "origin": "some_origin",
    "first_session": 0,
    "last_session": 10,
    "teams": 3,
    "row_count": 10,
    "kind": "refresh",
    "min_daily_pageviews": 0,
    "now": "2026-01-02 03:04:05.000006",
    "priority_team_ids": [7],
    "rows_read": 1000,
    "scanned_at": "2026-01-02 03:04:05.000006",
    "seconds": 1.5,
    "since": "2026-01-01 00:00:00.000000",
    "source": "posthog",
    "stale_min_events": 1,
    "watermark": "2026-01-02 03:04:05.000006",
    "until": "2026-01-01 00:00:01.000000",
    "asked_since": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "backfill_days": 7,
    "build": "0123456789ab",
    "build_prefix": "web_analytics_build_20260101_",
    "changed_by": "o'neill",
    "comment": '{"run_id": "it\'s 100 %"}',
    "dag_id": "some_dag",
    "data_since": datetime.date(2026, 1, 1),
    "date_end": datetime.date(2026, 1, 2),
    "date_start": datetime.date(2026, 1, 1),
    "dates": (datetime.date(2026, 1, 1),),
    "day": datetime.date(2026, 1, 1),
    "days": 35,
    "enabled": True,
    "ingested_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "like": "web_pre_aggregated_stats%",
    "limit": 100,
    "lock_table": "web_analytics_lock_20260101",
    "offset": 0,
    "bucket_minutes": 60,
    "open_from": datetime.date(2026, 1, 2),
    "partition_date": datetime.date(2026, 1, 1),
    "name": "o'neill's",
    "part": "100 %_'",
    "partition_id": "20260101",
    "migrations": ["0001_mark_stats"],
    "password": "it's secret",
    "plan_id": "0123456789ab",
    "days_kept": 30,
    "keep_id": "202601:0123456789ab",
    "keep_ids": ["202601:0123456789ab"],
    "gap_kinds": ("missing", "stale"),
    "rules": "0123456789abcdef",
    "version": 18446744073709551615,
    "versions": [(202601, 18446744073709551615)],
    "prefix": "some_origin:",
    "query_id": "dag:run:task",
    "row_limit": 25,
    "row_offset": 50,
    "run_id": "manual__2026-01-01T00:00:00+00:00",
    "seed": 1,
    "sessions": 1000,
    "settling_minutes": 60,
    "shift_days": 4000,
    "states": ("missing", "stale"),
    "table_name": "web_pre_aggregated_stats",
    "table_names": ("web_pre_aggregated_stats", "web_pre_aggregated_bounces"),
    "table_prefix": "web_analytics_build_20260101_",
    "takeover_prefix": "web_analytics_takeover_20260101_",
    "task_id": "build_date.publish",
    "team_limit": 500,
    "task_prefix": "dag:run:task:-1:",
    "team_id": 7,
    "team_ids": [1, 2],
    "timezone": "Europe/Berlin",
    "token": "0123456789ab",
    "step": "publish",
    "tables": ["web_pre_aggregated_stats", "web_analytics_build_clone"],
    "try_number": 2,
    "try_token": "01234567",
    "try_prefix": "dag:run:task:-1:2:",
    "user": "o'neill",
    "known_from": datetime.date(2025, 12, 1),
    "mute_low_volume": True,
    "percent": 60,
    "min_pageviews": 100,
    "min_weeks": 4,
    "deviations": 4.5,
    "from_mad": 1.4826,
    "from_difference": 1.0484,
    "fallen_percent": 80,
    "min_teams": 10,
    "least_percent": 10,
    "hours": 6,
    "known_until": datetime.date(2026, 1, 2),
}
PARAMETER = re.compile(r"%\((\w+)\)s")

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(sql.SQL_ROOT), trim_blocks=True, lstrip_blocks=True, autoescape=False
)
ALL_FILES = sorted(path.relative_to(sql.SQL_ROOT).as_posix() for path in sql.SQL_ROOT.rglob("*.sql"))


def source_of(file: str) -> str:
    return (sql.SQL_ROOT / file).read_text(encoding="utf-8")


def parts_of(file: str) -> set[str]:
    """The files that a file includes or imports, at any depth."""
    found: set[str] = set()
    for part in meta.find_referenced_templates(ENVIRONMENT.parse(source_of(file))):
        found |= {part} | parts_of(part)
    return found


def names_in(file: str) -> set[str]:
    """The names that a template takes from outside; jinja2 also reports names that are set in one branch only."""
    template = ENVIRONMENT.parse(source_of(file))
    set_inside = {name.name for each in template.find_all(nodes.Assign) for name in each.find_all(nodes.Name)}
    return {
        name
        for name in meta.find_undeclared_variables(template)
        if name in SAMPLE_NAMES or name not in set_inside
    }


def names_of(file: str) -> set[str]:
    """The names that a template needs, with those of its parts."""
    return names_in(file).union(*(names_in(part) for part in parts_of(file) - {"macros.sql"}))


# Files that are only parts of others. A part that is a whole query, such as detection/coverage.sql, is checked as one.
FRAGMENTS = {
    "macros.sql",
    "schema/dimension_columns.sql",
    "schema/lasting.sql",
    "benchmarks/reference_events.sql",
}
# What PostgreSQL executes; tests/teams does so.
FOR_POSTGRESQL = {file for file in ALL_FILES if file.startswith("teams/posthog_db/")}
STATEMENTS = [file for file in ALL_FILES if file not in FRAGMENTS | FOR_POSTGRESQL]


def renderings(file: str) -> list[str]:
    """The statement with every combination of its flags."""
    names = sorted(names_of(file))
    unknown = [name for name in names if name not in SAMPLE_NAMES]
    assert not unknown, (
        f"{file} needs the names {unknown}: give them a sample in SAMPLE_NAMES of {Path(__file__).name}"
    )
    combinations = itertools.product(*(SAMPLE_NAMES[name] for name in names))
    rendered = (
        sql.render(file.removesuffix(".sql"), dict(zip(names, values, strict=True)))
        for values in combinations
    )
    return list(dict.fromkeys(rendered))


def header_of(text: str) -> str:
    return "\n".join(itertools.takewhile(lambda line: line.startswith("--"), text.lstrip().splitlines()))


def without_literals(text: str) -> str:
    """The statement without its comments and with empty string literals."""
    return re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def client(clickhouse_server):
    connection = open_client(clickhouse_server)
    connection.execute("SELECT 1")
    yield connection
    connection.disconnect()


def substituted(file: str, text: str) -> str:
    """The text as the driver sends it."""
    unknown = [name for name in PARAMETER.findall(text) if name not in SAMPLE_VALUES]
    assert not unknown, (
        f"{file} has the parameters {unknown}: give them a sample in SAMPLE_VALUES of {Path(__file__).name}"
    )
    if text.rstrip().endswith("VALUES"):  # rows follow as blocks, the driver substitutes nothing
        assert not PARAMETER.search(text)
        return text
    return with_values(text, SAMPLE_VALUES)


@pytest.mark.parametrize("file", STATEMENTS)
def test_the_engine_parses_it(client, file):
    for text in renderings(file):
        statement = substituted(file, text)
        assert "{{" not in statement
        assert "{%" not in statement
        [(formatted,)] = client.execute("SELECT formatQuery(%(statement)s)", {"statement": statement})
        assert formatted


@pytest.mark.parametrize("file", STATEMENTS)
def test_it_is_one_statement(file):
    for text in renderings(file):
        assert ";" not in without_literals(text)


def test_the_engine_refuses_what_is_not_sql(client):
    from clickhouse_driver.errors import ServerException

    with pytest.raises(ServerException):
        client.execute("SELECT formatQuery('SELECT FROM WHERE (')")


@pytest.mark.parametrize("file", STATEMENTS)
def test_it_begins_with_a_comment_that_says_what_it_is_for(file):
    assert len(header_of(source_of(file))) > 20


@pytest.mark.parametrize("file", sorted(FRAGMENTS))
def test_a_fragment_says_what_it_is_for_in_a_comment_that_is_not_sent(file):
    assert source_of(file).startswith("{#")


@pytest.mark.parametrize("file", sorted(FRAGMENTS))
def test_a_fragment_is_part_of_another_file(file):
    assert any(file in parts_of(other) for other in STATEMENTS)


@pytest.mark.parametrize("file", STATEMENTS)
def test_its_header_names_its_parameters(file):
    header = header_of(source_of(file))
    parameters = {name for text in renderings(file) for name in PARAMETER.findall(text)}
    assert [name for name in sorted(parameters) if not re.search(rf"\b{name}\b", header)] == []


@pytest.mark.parametrize("file", STATEMENTS)
def test_only_identifiers_numbers_and_flags_get_into_its_text(file):
    names = {name: SAMPLE_NAMES[name][-1] for name in names_of(file)}
    for name in names:
        for value in ("x; DROP TABLE events", "'x'", "a b", "1", "", "web_pre_aggregated_stats` --", "a.b"):
            hostile = [value] if isinstance(names[name], list) else value
            with pytest.raises(ValueError, match=rf"^{name} is .* not a plain SQL identifier"):
                sql.render(file.removesuffix(".sql"), {**names, name: hostile})


def test_a_name_that_is_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="clone"):
        sql.render("build/delete_build_teams", {"build_teams": "teams"})


def test_a_value_is_escaped_by_the_driver(client):
    text = substituted("build/create_lock.sql", renderings("build/create_lock.sql")[0])
    assert r"""COMMENT '{"run_id": "it\'s 100 %"}'""" in text


def test_the_bucket_expression_exists_once():
    """Detector and writer share it; only the oracle and the demo have one of their own, on purpose."""
    written = [
        file for file in ALL_FILES if "INTERVAL 24 HOUR" in source_of(file) and not file.startswith("demo/")
    ]
    assert written == ["macros.sql"]


def test_names_of_per_run_tables_are_identifiers():
    token = uuid.uuid4().hex[:12]
    assert sql.render("benchmarks/truncate", {"table": f"web_analytics_build_20260101_{token}_sessions"})
