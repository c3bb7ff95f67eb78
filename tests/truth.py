"""Both tables row by row: as demo/model.py works them out from the raw rows, and as ClickHouse holds them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import date

from demo import model, verification
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import ONE_DAY, DateRange

COLUMNS = [
    "period_bucket",
    "team_id",
    *sql._environment().get_template("macros.sql").module.common_columns[2:],
]
Tables = dict[str, dict[tuple, tuple[int, ...]]]


def expected_tables(
    clickhouse: ClickHouse, days: Collection[date], team_ids: Collection[int] = (), bucket_minutes: int = 60
) -> Tables:
    """(all that a table groups by) → stats: pageviews, sessions, people; bounces: these, then sessions, bounces, seconds."""
    dates = DateRange(min(days), max(days) + ONE_DAY)
    visits, _ = model.visits(verification.read_rows(clickhouse, dates, team_ids), bucket_minutes)
    merged = verification.merged_people(clickhouse)
    pageviews: dict[str, Counter] = {"stats": Counter(), "bounces": Counter()}
    sessions, people = defaultdict(set), defaultdict(set)
    totals: dict[tuple, Counter] = defaultdict(Counter)
    for visit in visits:
        if visit.day not in days:
            continue
        dimensions = model.dimensions(visit)
        common = (visit.bucket, visit.team_id, *(dimensions[column] for column in COLUMNS[2:]))
        person = model.person_of(visit, merged)
        of_bounces = ("bounces", *common)
        pageviews["bounces"][common] += len(visit.pageviews)
        totals[common].update(sessions=1, bounces=visit.is_bounce, seconds=visit.seconds)
        sessions[of_bounces].add(visit.session)
        people[of_bounces].add(person)
        for row in visit.pageviews:
            key = (*common, model.pathname(row))
            pageviews["stats"][key] += 1
            sessions["stats", *key].add(visit.session)
            people["stats", *key].add(person)
    return {
        "stats": {
            key: (count, len(sessions["stats", *key]), len(people["stats", *key]))
            for key, count in pageviews["stats"].items()
        },
        "bounces": {
            key: (
                count,
                len(sessions["bounces", *key]),
                len(people["bounces", *key]),
                *(totals[key][name] for name in ("sessions", "bounces", "seconds")),
            )
            for key, count in pageviews["bounces"].items()
        },
    }


def stored_tables(clickhouse: ClickHouse, days: Collection[date]) -> Tables:
    """The same of what is stored, of all teams."""
    columns = ["toUnixTimestamp(period_bucket)", *COLUMNS[1:]]
    merged = "sumMerge(pageviews_count_state), uniqMerge(sessions_uniq_state), uniqMerge(persons_uniq_state)"
    counted = "sumMerge(total_session_count_state), sumMerge(bounces_count_state), sumMerge(total_session_duration_state)"
    tables: Tables = {}
    for table, keys, values in (
        ("stats", [*columns, "pathname"], merged),
        ("bounces", columns, f"{merged}, {counted}"),
    ):
        rows = clickhouse.client.execute(
            f"SELECT {', '.join(keys)}, {values} FROM web_pre_aggregated_{table} "
            f"WHERE toDate(period_bucket) >= %(start)s AND toDate(period_bucket) <= %(last)s GROUP BY {', '.join(keys)}",
            {"start": min(days), "last": max(days)},
        )
        tables[table] = {row[: len(keys)]: row[len(keys) :] for row in rows}
    return tables


def differences_from_model(
    clickhouse: ClickHouse, days: Collection[date], team_ids: Collection[int] = (), bucket_minutes: int = 60
) -> list[str]:
    """A line for each row of the tables that is not what the model says."""
    expected = expected_tables(clickhouse, days, team_ids, bucket_minutes)
    found = stored_tables(clickhouse, days)
    return [
        f"{table} {key}: expected {expected[table].get(key)}, found {found[table].get(key)}"
        for table in expected
        for key in sorted(expected[table].keys() | found[table].keys())
        if expected[table].get(key) != found[table].get(key)
    ]
