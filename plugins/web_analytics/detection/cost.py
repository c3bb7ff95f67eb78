"""What building dates will cost: from what the source holds, and from what earlier builds took."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.rules.cost import BuiltDate, Cost, estimate
from web_analytics.rules.partitions import ONE_DAY

# Earlier builds are of use while the server and the source are about the same.
REMEMBERED = timedelta(days=30)
DATES_READ = 500


def earlier_builds(clickhouse: ClickHouse, now: datetime) -> list[BuiltDate]:
    """Dates that were published in the last days, with what was told of their size before."""
    rows = clickhouse.query(
        "detection/list_costs", {"since": now - REMEMBERED, "row_limit": DATES_READ}, {"of_one_run": False}
    )
    return [
        BuiltDate(row["source_rows"], Cost(row["rows_read"], row["bytes_read"], row["seconds"]))
        for row in rows
        if row["is_published"]
    ]


def source_rows(
    clickhouse: ClickHouse, partition_date: date, team_ids: Collection[int], pageviews: int = 0
) -> int:
    """Rows of the source that building a date reads once, from the primary key alone; no event is read.

    :param pageviews: what is known of the day: holds where the source's engine has no primary key to ask.
    """
    parts = clickhouse.query(
        "detection/estimate_source_read",
        {"date_start": partition_date, "date_end": partition_date + ONE_DAY},
        external_tables=[teams_table(team_ids)],
        heavy=True,  # As what is estimated: with the same settings the same is read.
    )
    return max(pageviews, sum(int(part["rows"]) for part in parts))


def estimated(sizes: dict[date, int], earlier: list[BuiltDate]) -> dict[date, Cost]:
    """The estimate of each date.

    :param sizes: what :func:`source_rows` told of each.
    """
    return {day: estimate(rows, earlier) for day, rows in sizes.items()}


def as_json(
    days: Iterable[date], sizes: Mapping[date, int], estimates: Mapping[date, Cost]
) -> list[dict[str, Any]]:
    """The estimates of these dates as a decision keeps them in the history, where ``detection/list_costs.sql`` reads them."""
    return [{"date": day.isoformat(), "source_rows": sizes[day], **asdict(estimates[day])} for day in days]


def costs_of_run(clickhouse: ClickHouse, dag_id: str, run_id: str, now: datetime) -> list[dict[str, Any]]:
    """What the dates of a run were estimated to cost and have cost, newest first."""
    return clickhouse.query(
        "detection/list_costs",
        {"since": now - REMEMBERED, "row_limit": DATES_READ, "dag_id": dag_id, "run_id": run_id},
        {"of_one_run": True},
    )
