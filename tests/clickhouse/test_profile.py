"""A login's settings profile changes nothing: every setting that the engine has is tried, by machine."""

from __future__ import annotations

import functools
import itertools
import os
import re
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.support import at, found_gaps, session_id
from tests.truth import stored_tables
from web_analytics import validation
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.http import HttpClient
from web_analytics.clickhouse.profile import KEPT, TO_READ_IT
from web_analytics.errors import QueryFailed

NUMBERS = re.compile(r"U?Int(?:32|64)(?:Auto)?|NonZeroUInt64|MaxThreads|Milliseconds|Seconds|Microseconds")
FRACTIONS = ("Float", "Double", "FloatAuto")
LEGAL_VALUES = re.compile(r"'([^']+)'")
BATCH = 60


@dataclass
class Tried:
    """What became of the settings.

    :ivar refused: with the sentence.
    :ivar different: the result was another one.
    """

    same: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)


def with_profile(clickhouse: ClickHouse, profile: dict[str, str]) -> ClickHouse:
    """A connection whose login has these settings."""
    assert clickhouse.client is not None
    made = clickhouse.another()
    made.pauses = ()
    made._connect = functools.partial(log_in, clickhouse._connect.keywords, profile)
    return made


def log_in(arguments: dict[str, Any], profile: dict[str, str]):
    """A server keeps the settings of a session apart from those of a statement, as it does those of a login; the embedded
    engine has none of a session."""
    from clickhouse_driver import Client

    if arguments.get("interface"):  # over HTTP a session is one that is asked for
        client = HttpClient(**arguments, session_id=uuid.uuid4().hex)
    elif "CLICKHOUSE_TEST_URL" not in os.environ:
        return Client(**arguments, settings=profile)
    else:
        client = Client(**arguments)
    if profile:
        client.execute("SET " + ", ".join(f"{name} = '{value}'" for name, value in profile.items()))
    return client


def other_value(client, name: str, kind: str, default: str) -> str | None:
    """Another legal value; None where there is none to be found."""
    if kind in ("Bool", "BoolAuto"):
        return "0" if default == "1" else "1"
    if NUMBERS.fullmatch(kind):
        return "2" if default == "1" else "1"
    if kind in FRACTIONS:
        return "0.25" if default != "0.25" else "0.5"
    if kind in ("String", "Char", "URI", "Map"):
        return None
    try:
        client.execute("SELECT 1", settings={name: "no such value"})
    except Exception as error:
        named = LEGAL_VALUES.findall(str(error).split("Must be one of")[-1])
        return next((value for value in named if value not in (default, "no such value")), None)
    return None


@pytest.fixture
def prepared(source, settings, days):
    """Two teams with ordinary and odd events on one day, and what a build of it gives."""
    day = days(1)[0]
    source.enable(1, 2)
    source.visits([1, 2], [day])
    session = session_id(at(day, 23.5))
    for minute in (0, 40):
        source.event(1, at(day, 23.5) + timedelta(minutes=minute), session, pathname=f"/{minute}")
    again = source.event(2, at(day, 5), gclid="Cj0", utm_source="news")
    source.event(2, at(day, 5), event_uuid=again, ingested=at(day, 6))
    return source.clickhouse, day


def outcome(clickhouse: ClickHouse, settings, day):
    """Detection, build, detection and validation of the day."""
    before = found_gaps(clickhouse, settings, [day], [1, 2])
    build_partition(clickhouse, settings, day, [1, 2])
    after = found_gaps(clickhouse, settings, [day], [1, 2])
    verdict = validation.check_day(clickhouse, settings, day, [1, 2])
    return before, after, verdict


def emptied(clickhouse: ClickHouse) -> None:
    for (table,) in clickhouse.client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' "
        "AND name NOT IN ('events', 'person_distinct_id_overrides', 'web_pre_aggregated_teams')"
    ):
        clickhouse.client.execute(f"TRUNCATE TABLE `{table}` SYNC")


def result(clickhouse: ClickHouse, settings, day, profile: dict[str, str]):
    emptied(clickhouse)
    with with_profile(clickhouse, profile) as connection:
        told = outcome(connection, settings, day)
    return told, stored_tables(clickhouse, [day])


def try_all(clickhouse: ClickHouse, settings, day, profile: dict[str, str], expected, tried: Tried) -> None:
    """Halves what is not the same until one setting is left."""
    sentence = None
    try:
        is_same = result(clickhouse, settings, day, profile) == expected
    except QueryFailed as refused:
        is_same, sentence = False, str(refused)
    if is_same:
        tried.same += profile
    elif len(profile) > 1:
        items = list(profile.items())
        for half in (items[: len(items) // 2], items[len(items) // 2 :]):
            try_all(clickhouse, settings, day, dict(half), expected, tried)
    elif sentence is not None:
        tried.refused[next(iter(profile))] = sentence
    else:
        tried.different += profile


@pytest.mark.slow
def test_every_setting_of_a_profile_leaves_the_result_or_is_named(prepared, settings):
    clickhouse, day = prepared
    names = clickhouse.client.execute(
        "SELECT name, type, default FROM system.settings WHERE NOT is_obsolete ORDER BY name"
    )
    profile = {
        name: value
        for name, kind, default in names
        if not KEPT.fullmatch(name)
        and (value := other_value(clickhouse.client, name, kind, default)) is not None
    }
    expected = result(clickhouse, settings, day, {})
    tried = Tried()
    items = iter(profile.items())
    while batch := dict(itertools.islice(items, BATCH)):
        try_all(clickhouse, settings, day, batch, expected, tried)
    print(
        f"{len(names)} settings, {len(profile)} not kept and with another value: {len(tried.same)} the same result, "
        f"{len(tried.refused)} refused, {len(tried.different)} another result"
    )
    for name, sentence in tried.refused.items():
        print(f"  {name}: {sentence}")
    assert tried.different == []
    assert {name: why for name, why in tried.refused.items() if name not in why} == {}
    assert len(profile) > 1000


NAMED_IN_REPORTS = {
    "use_query_cache": "1",
    "aggregate_functions_null_for_empty": "1",
    "data_type_default_nullable": "1",
    "force_primary_key": "1",
    "force_index_by_date": "1",
    "lightweight_delete_mode": "lightweight_update_force",
    "allow_experimental_parallel_reading_from_replicas": "1",
    "max_rows_in_set": "1",
    "max_bytes_in_join": "1",
    "max_rows_to_read": "1",
    "max_rows_to_group_by": "1",
    "join_algorithm": "partial_merge",
    "join_any_take_last_row": "1",
    "limit": "1",
    "final": "1",
    "prefer_column_name_to_alias": "1",
    "cast_keep_nullable": "1",
    "insert_null_as_default": "0",
    "empty_result_for_aggregation_by_empty_set": "1",
    "optimize_on_insert": "0",
    "select_sequential_consistency": "1",
}


def test_settings_that_ended_runs_do_not(prepared, settings):
    clickhouse, day = prepared
    expected = result(clickhouse, settings, day, {})
    tried = Tried()
    try_all(clickhouse, settings, day, NAMED_IN_REPORTS, expected, tried)
    assert (tried.refused, tried.different) == ({}, [])


def test_only_what_is_odd_in_a_profile_is_sent_back(clickhouse):
    def sent_back(profile: dict[str, str]) -> set[str]:
        with with_profile(clickhouse, profile) as connection:
            assert connection.client
            return set(connection._reset)

    of_the_engine_itself = sent_back({})
    assert not of_the_engine_itself & TO_READ_IT.keys()
    assert sent_back({"max_memory_usage": "8000000000", "readonly": "2"}) == of_the_engine_itself
    assert sent_back({"max_rows_in_set": "1"}) - of_the_engine_itself == {"max_rows_in_set"}
    assert sent_back({"max_ast_elements": "1"}) >= TO_READ_IT.keys()


def test_bounds_of_resources_are_kept_and_nothing_else():
    assert KEPT.fullmatch("max_memory_usage")
    assert KEPT.fullmatch("max_execution_time")
    for name in (
        "max_rows_to_read",
        "join_algorithm",
        "final",
        "max_bytes_in_join",
        "timeout_overflow_mode",
        "distributed_group_by_no_merge",
        "distributed_push_down_limit",
    ):
        assert not KEPT.fullmatch(name)
