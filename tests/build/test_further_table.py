"""A table beside the two, as docs/contributing.md has one add it: it never silently lacks a day."""

from __future__ import annotations

import pytest

from web_analytics.build.steps import build_partition
from web_analytics.clickhouse.connection import teams_table
from web_analytics.detection.coverage import coverage_query
from web_analytics.rules.partitions import ONE_DAY, DateRange

FURTHER = "web_pre_aggregated_further"
COMPLETE, INCONSISTENT, STALE = [(state, state) for state in ("complete", "inconsistent", "stale")]


def add_table(source, names: str = "further") -> None:
    """The table with rows and ledger entries, as the builds of the bounces left them."""
    for statement in (
        f"CREATE TABLE web_pre_aggregated_{names} AS web_pre_aggregated_bounces",
        f"INSERT INTO web_pre_aggregated_{names} SELECT * FROM web_pre_aggregated_bounces",
        f"INSERT INTO web_analytics_backfill_ledger SELECT * REPLACE ('web_pre_aggregated_{names}' AS table_name) "
        "FROM (SELECT * FROM web_analytics_backfill_ledger FINAL WHERE table_name = 'web_pre_aggregated_bounces')",
    ):
        source.clickhouse.client.execute(statement)


def state_of(source, settings, day, *further: str, **names) -> tuple[str, str]:
    coverage = coverage_query(source.clickhouse, settings, DateRange(day, day + ONE_DAY))
    [row] = source.clickhouse.query(
        "detection/coverage",
        coverage.parameters,
        {**coverage.names, "further_tables": list(further), **names},
        external_tables=[teams_table([1])],
    )
    return row["stats_state"], row["bounces_state"]


LOST = {
    "rows": f"ALTER TABLE {FURTHER} DELETE WHERE team_id = 1",
    "entry": f"ALTER TABLE web_analytics_backfill_ledger DELETE WHERE table_name = '{FURTHER}'",
    "both": f"TRUNCATE TABLE {FURTHER}",
}


@pytest.fixture
def built(source, settings, newest_closed):
    source.visits([1], [newest_closed])
    build_partition(source.clickhouse, settings, newest_closed, [1])
    return newest_closed


@pytest.mark.parametrize("further", [("further",), ("further", "another")])
def test_what_one_build_made_is_complete(source, settings, built, further):
    for name in further:
        assert state_of(source, settings, built) == COMPLETE
        add_table(source, name)
    assert state_of(source, settings, built, *further) == COMPLETE
    assert state_of(source, settings, built, *further, is_short_range=False) == COMPLETE


@pytest.mark.parametrize(
    ("lost", "further"),
    [("rows", ("further",)), ("entry", ("another", "further")), ("both", ("further", "another"))],
)
def test_a_day_that_the_further_table_lacks_is_inconsistent(source, settings, built, lost, further):
    for name in further:
        add_table(source, name)
    source.clickhouse.client.execute(f"{LOST[lost]} SETTINGS mutations_sync = 2")
    if lost == "both":
        source.clickhouse.client.execute(f"{LOST['entry']} SETTINGS mutations_sync = 2")
    assert state_of(source, settings, built, *further) == INCONSISTENT
    assert state_of(source, settings, built, *further, only_gaps=True) == INCONSISTENT
    assert state_of(source, settings, built, *further, is_short_range=False) == INCONSISTENT
    assert state_of(source, settings, built) == COMPLETE, "without the further table nothing is amiss"


def test_a_day_of_which_the_further_table_has_another_build_is_inconsistent(source, settings, built):
    """As after a publication that was broken off before the last table."""
    add_table(source)
    build_partition(source.clickhouse, settings, built, [1])
    assert state_of(source, settings, built, "further") == INCONSISTENT


def test_a_day_without_anything_for_the_further_table_is_complete(source, settings, built):
    add_table(source)
    for statement in (
        f"TRUNCATE TABLE {FURTHER}",
        f"ALTER TABLE web_analytics_backfill_ledger UPDATE row_count = 0 WHERE table_name = '{FURTHER}' "
        "SETTINGS mutations_sync = 2",
    ):
        source.clickhouse.client.execute(statement)
    assert state_of(source, settings, built, "further") == COMPLETE


def test_rows_of_which_the_ledger_knows_nothing_are_orphans(source, settings, built):
    add_table(source)
    source.clickhouse.client.execute("TRUNCATE TABLE web_analytics_backfill_ledger")
    assert state_of(source, settings, built, "further") == ("orphan", "orphan")
