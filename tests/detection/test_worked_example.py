"""The examples in the headers of the two statements that are hardest to read: what they say is what comes out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support import at
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import teams_table
from web_analytics.detection import activity
from web_analytics.detection.coverage import coverage_query
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import MISSING

TEAM = 1
STATES = ("stats_state", "bounces_state")


def example_of(statement: str) -> list[tuple[int, list[str], tuple[str, ...]]]:
    """(number of the day, what happened to it, its states) of each line of a header's example."""
    lines = (sql.SQL_ROOT / f"{statement}.sql").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.removeprefix("--").split("|")] for line in lines if "|" in line]
    return [
        (int(day), happened.split(", "), tuple(states)) for day, happened, *states in cells if day.isdigit()
    ]


@pytest.fixture
def happen(source, settings):
    """Does to a day what a line of the example says."""

    def delete(table, column, day):
        source.clickhouse.client.execute(
            f"DELETE FROM {table} WHERE team_id = %(team)s AND {column} = %(day)s", {"team": TEAM, "day": day}
        )

    actions = {
        "visit": lambda day: source.event(TEAM, at(day)),
        "late visit": lambda day: source.event(TEAM, at(day, 13), ingested=at(day, 13) + timedelta(days=1)),
        "build": lambda day: build_partition(source.clickhouse, settings, day, [TEAM]),
        "lose bounces": lambda day: delete("web_pre_aggregated_bounces", "toDate(period_bucket)", day),
        "lose ledger": lambda day: delete("web_analytics_backfill_ledger", "partition_date", day),
    }
    return lambda happened, day: [actions[each](day) for each in happened]


@pytest.mark.parametrize("statement", ["detection/coverage", "detection/missing"])
def test_what_the_header_says_is_what_comes_out(source, settings, days, happen, statement):
    example = example_of(statement)
    assert len(example) == 5
    dates = dict(zip((number for number, *_ in example), reversed(days(5)), strict=True))
    for number, happened, _ in example:
        happen(happened, dates[number])
    partitions = DateRange(dates[1], dates[5] + ONE_DAY)
    known = activity.refresh(source.clickhouse, settings, partitions)
    kinds = (MISSING,) if statement.endswith("missing") else ()
    query = coverage_query(
        source.clickhouse, settings, partitions, kinds=kinds, may_be_behind=True, known=known
    )
    rows = source.clickhouse.query(
        statement, query.parameters, query.names, external_tables=[teams_table([TEAM])]
    )
    found = {row["partition_date"]: tuple(row[state] for state in STATES) for row in rows}
    said = {dates[number]: found.get(dates[number], ("-", "-")) for number, *_ in example}
    assert said == {dates[number]: states for number, _, states in example}
