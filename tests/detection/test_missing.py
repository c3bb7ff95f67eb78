"""The cheaper question, which days are missing, has the answer of the full one."""

from __future__ import annotations

import uuid
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.support import at, examples, found_gaps
from web_analytics.build.steps import build_partition
from web_analytics.detection import activity
from web_analytics.detection.detector import DetectionScope, store_plan
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import GAP_KINDS, MISSING
from web_analytics.settings import Settings
from web_analytics.tables import TABLES

TEAMS = [1, 2, 2**63 - 1]
EVENTS = st.lists(
    st.tuples(st.sampled_from(TEAMS), st.integers(0, 3), st.sampled_from(["$pageview", "$autocapture"])),
    max_size=12,
)
PAIRS = st.sets(st.tuples(st.sampled_from(TEAMS), st.integers(0, 3)), max_size=8)
DELETED = st.sets(st.tuples(st.sampled_from(TEAMS), st.integers(0, 3), st.integers(0, 1)), max_size=4)


def detected(clickhouse, settings, days, kinds):
    """What a run stores, of one kind: asked for alone or together with all others."""
    scope = DetectionScope(DateRange(min(days), max(days) + ONE_DAY), kinds, nightly=False)
    gaps = store_plan(clickhouse, settings, scope, TEAMS, str(uuid.uuid4()))
    return sorted(
        (gap.partition_date, gap.table_name, gap.teams, gap.source_pageviews)
        for gap in gaps
        if gap.state == MISSING
    )


@pytest.mark.thorough
@examples(3, thorough=12)
@given(before=EVENTS, built=PAIRS, after=EVENTS, deleted=DELETED, min_pageviews=st.sampled_from([0, 2]))
def test_missing_days_are_the_same_whichever_way_they_are_asked_for(
    source, days, before, built, after, deleted, min_pageviews
):
    clickhouse, days = source.clickhouse, days(4)
    settings = Settings.load({"WEB_ANALYTICS_MIN_DAILY_PAGEVIEWS": str(min_pageviews)})
    for table in (
        "events",
        "web_analytics_activity",
        "web_analytics_activity_scans",
        "web_analytics_backfill_ledger",
        *(table.name for table in TABLES),
    ):
        clickhouse.client.execute(f"TRUNCATE TABLE {table}")
    for team, day, event in before:
        source.event(team, at(days[day]), event=event)
    for team, day in sorted(built):
        build_partition(clickhouse, settings, days[day], [team])
    for team, day, event in after:
        source.event(team, at(days[day], 13), event=event, ingested=at(days[day], 13) + timedelta(days=1))
    for team, day, table in sorted(deleted):
        clickhouse.client.execute(
            f"DELETE FROM {TABLES[table].name} WHERE team_id = %(team)s AND toDate(period_bucket) = %(day)s",
            {"team": team, "day": days[day]},
        )
    alone = detected(clickhouse, settings, days, (MISSING,))
    assert alone == detected(clickhouse, settings, days, GAP_KINDS)
    # a dry run, which writes nothing, asks in a third way
    assert activity.is_kept(settings)
    assert alone == sorted(
        (gap.partition_date, gap.table_name, gap.teams, gap.source_pageviews)
        for gap in found_gaps(clickhouse, settings, days, TEAMS, (MISSING,))
    )


def test_every_day_of_a_long_range_is_found_once(source, settings, days):
    """Missing days alone are looked for in pieces of 62 days, all kinds in pieces of 31."""
    newest = days(1)[0]
    sent = [newest - back * ONE_DAY for back in (0, 30, 31, 61, 62, 99)]
    source.visits([1, 2], sent, per_day=1)
    for day in sent:
        build_partition(source.clickhouse, settings, day, [2])
    alone = detected(source.clickhouse, settings, sent, (MISSING,))
    assert [day for day, *_ in alone] == [day for day in reversed(sent) for _ in TABLES]
    assert alone == detected(source.clickhouse, settings, sent, GAP_KINDS)


def test_a_day_built_without_rows_is_missing_again_only_when_more_arrives(source, settings, days):
    clickhouse, days = source.clickhouse, days(1)

    def missing():
        alone = detected(clickhouse, settings, days, (MISSING,))
        assert alone == detected(clickhouse, settings, days, GAP_KINDS)
        return len(alone)

    superseded = source.event(1, at(days[0]))
    source.event(1, at(days[0]), event="$autocapture", ingested=at(days[0], 14), event_uuid=superseded)
    assert missing() == 0, "the row that holds is no pageview"
    build_partition(clickhouse, settings, days[0], [1])
    assert missing() == 0
    source.event(1, at(days[0], 15), ingested=at(days[0], 20))
    assert missing() == 2
