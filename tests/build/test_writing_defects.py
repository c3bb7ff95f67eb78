"""What the earlier systems lost, doubled or deleted while writing.

Each test also writes the defective way, on the same data, and shows that the result is wrong there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support import (
    at,
    differences_from_oracle,
    found_gaps,
    leftovers,
    merged_totals,
    session_id,
    states,
)
from web_analytics.build import steps
from web_analytics.build.steps import VerificationFailed, build_partition
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import partition_id
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, BUILT_TABLES, STATS, TABLES

TASK = TaskIdentity(run_id="defects")


def pageviews(clickhouse, table=STATS) -> int:
    return clickhouse.client.execute(f"SELECT sumMerge(pageviews_count_state) FROM {table.name}")[0][0]


def staged_and_inserted(source, settings, day, team_ids) -> tuple[steps.Build, list[str]]:
    made = steps.stage(source.clickhouse, settings, TASK, day, team_ids)
    return made, [steps.insert(source.clickhouse, TASK, made, table) for table in BUILT_TABLES]


def test_defect_10_every_step_may_be_repeated(source, settings, days):
    day = days(1)[0]
    source.visits([1, 2], [day])
    first = steps.stage(source.clickhouse, settings, TASK, day, [1, 2])
    made = steps.stage(source.clickhouse, settings, TASK, day, [1, 2])
    assert made.lock == first.lock, "the retry of the same run continues its lock"
    for _ in range(2):
        fresh = [steps.insert(source.clickhouse, TASK, made, table) for table in BUILT_TABLES]
    published = [steps.publish(source.clickhouse, settings, TASK, made, fresh) for _ in range(2)]
    totals = merged_totals(source.clickhouse)
    assert published[0]["build"] != published[1]["build"], "each publishing has a name of its own"
    assert [each | {"build": ""} for each in published] == [published[0] | {"build": ""}] * 2
    assert differences_from_oracle(source.clickhouse, [day], [1, 2]) == []
    for _ in range(2):
        steps.release(source.clickhouse, made)
    assert leftovers(source.clickhouse) == []

    build_partition(source.clickhouse, settings, day, [1, 2])
    assert merged_totals(source.clickhouse) == totals
    for table in TABLES:
        source.clickhouse.client.execute(f"OPTIMIZE TABLE {table.name} FINAL")
    assert merged_totals(source.clickhouse) == totals


def test_defect_10_a_direct_insert_doubles_on_retry_and_uniq_hides_it(source, settings, days):
    """The proof that the comparison above would see a doubled sum."""
    day = days(1)[0]
    source.visits([1], [day])
    made = steps.stage(source.clickhouse, settings, TASK, day, [1])
    for _ in range(2):
        source.clickhouse.run(
            "build/insert_bounces", names={"fresh": BOUNCES.name, "sessions": made.staged.sessions}
        )
    measures = {
        (table, measure)
        for _, _, table, measure, _, _ in differences_from_oracle(source.clickhouse, [day], [1])
    }
    assert ("bounces", "pageviews") in measures
    assert ("bounces", "session_estimate") not in measures
    assert pageviews(source.clickhouse, BOUNCES) == 12
    steps.release(source.clickhouse, made)


def test_defect_10_a_publication_that_stopped_between_the_tables_is_seen_and_finished(
    source, settings, days, monkeypatch
):
    day = days(1)[0]
    source.visits([1], [day])
    build_partition(source.clickhouse, settings, day, [1])
    source.event(1, at(day, 20), ingested=at(day, 21))

    made, fresh = staged_and_inserted(source, settings, day, [1])
    replaced = []

    def replace_one(clickhouse, lock, table, assembled):
        if replaced:
            raise KeyboardInterrupt
        replaced.append(table)
        replace_partition(clickhouse, lock, table, assembled)

    replace_partition = steps.replace_partition
    monkeypatch.setattr(steps, "replace_partition", replace_one)
    with pytest.raises(KeyboardInterrupt):
        steps.publish(source.clickhouse, settings, TASK, made, fresh)
    monkeypatch.undo()
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): ("inconsistent", "inconsistent")}

    steps.publish(source.clickhouse, settings, TASK, made, fresh)
    steps.release(source.clickhouse, made)
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): ("complete", "complete")}
    assert differences_from_oracle(source.clickhouse, [day], [1]) == []


def test_a_publishing_that_is_repeated_and_stops_between_the_tables_is_seen(
    source, settings, days, monkeypatch
):
    """The try before had published both tables: only a name of each publishing tells that they are of two."""
    day = days(1)[0]
    source.visits([1], [day])
    made, fresh = staged_and_inserted(source, settings, day, [1])
    steps.publish(source.clickhouse, settings, TASK, made, fresh)
    source.event(1, at(day, 20), ingested=at(day, 21))
    replaced, replace_partition = [], steps.replace_partition

    def replace_one(clickhouse, lock, table, assembled):
        if replaced:
            raise KeyboardInterrupt
        replaced.append(table)
        replace_partition(clickhouse, lock, table, assembled)

    monkeypatch.setattr(steps, "replace_partition", replace_one)
    with pytest.raises(KeyboardInterrupt):
        steps.publish(source.clickhouse, settings, replace(TASK, try_number=2), made, fresh)
    monkeypatch.undo()
    steps.release(source.clickhouse, made)
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): ("inconsistent", "inconsistent")}
    build_partition(source.clickhouse, settings, day, [1])
    assert differences_from_oracle(source.clickhouse, [day], [1]) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 0, 1)])
def test_defect_11_sessions_over_midnight_are_whole_in_any_order(source, settings, days, order):
    built = days(2)
    for day in built[1:]:
        for number in range(3):
            born = at(day, 23.5) + timedelta(minutes=7 * number)
            session = session_id(born)
            for minute in (0, 20, 40, 90):
                source.event(1, born + timedelta(minutes=minute), session, pathname=f"/{minute}")
    source.visits([1], built, per_day=1)
    for index in order:
        build_partition(source.clickhouse, settings, built[index], [1])

    assert differences_from_oracle(source.clickhouse, built, [1]) == []
    raw = source.clickhouse.client.execute("SELECT count() FROM events")[0][0]
    assert [pageviews(source.clickhouse, table) for table in TABLES] == [raw, raw]

    day_by_day = 0
    for day in built:
        day_by_day += source.clickhouse.client.execute(
            "SELECT count() FROM web_analytics_source_events WHERE toDate(timestamp) = %(day)s "
            "AND toDate(session_started_at) = %(day)s",
            {"day": day},
        )[0][0]
    assert day_by_day < raw, "without the bucket rule the pageviews after midnight are lost"


def test_defect_12_teams_that_are_not_rebuilt_keep_their_rows(source, settings, days):
    day = days(1)[0]
    source.visits([1, 2, 3], [day])
    build_partition(source.clickhouse, settings, day, [1, 2, 3])
    source.event(2, at(day, 20), ingested=at(day, 21))
    build_partition(source.clickhouse, settings, day, [2])
    assert differences_from_oracle(source.clickhouse, [day], [1, 2, 3]) == []
    assert found_gaps(source.clickhouse, settings, [day], [1, 2, 3]) == []

    made, fresh = staged_and_inserted(source, settings, day, [2])
    source.clickhouse.run(
        "build/replace_partition",
        {"partition_id": partition_id(day)},
        {"target": STATS.name, "clone": fresh[0]},
    )
    assert source.clickhouse.client.execute(f"SELECT DISTINCT team_id FROM {STATS.name}") == [(2,)], (
        "replacing with the rebuilt teams alone deletes all others"
    )
    steps.release(source.clickhouse, made)


def delete_events(source, condition: str) -> None:
    source.clickhouse.client.execute(
        f"ALTER TABLE events DELETE WHERE {condition} SETTINGS mutations_sync = 2"
    )


def test_defect_13_a_day_whose_last_rows_vanish_is_emptied_and_recorded_as_empty(source, settings, days):
    newer, older = days(2)
    source.visits([1], [newer, older])
    source.visits([2], [newer])
    for day in days(2):
        build_partition(source.clickhouse, settings, day, [1, 2])
    delete_events(source, "team_id = 1")
    assert states(source.clickhouse, settings, days(2), [1, 2]) == {
        (1, newer): ("orphan", "orphan"),
        (1, older): ("orphan", "orphan"),
        (2, newer): ("complete", "complete"),
        (2, older): ("idle", "idle"),
    }
    for day in days(2):
        build_partition(source.clickhouse, settings, day, [1])

    for table in TABLES:
        left = source.clickhouse.client.execute(f"SELECT DISTINCT team_id FROM {table.name}")
        assert left == [(2,)], table.name
    assert differences_from_oracle(source.clickhouse, days(2), [1, 2]) == []
    assert found_gaps(source.clickhouse, settings, days(2), [1, 2]) == []
    empty = source.clickhouse.client.execute(
        "SELECT uniqExact(table_name, partition_date) FROM web_analytics_backfill_ledger FINAL "
        "WHERE team_id = 1 AND row_count = 0"
    )
    assert empty == [(2 * len(BUILT_TABLES),)]


def test_defect_13_a_day_that_has_no_rows_before_and_after_can_be_built_again_and_again(
    source, settings, days
):
    day = days(1)[0]
    replaced, session = source.event(1, at(day)), session_id(at(day))
    source.event(1, at(day), session, event="search", event_uuid=replaced, ingested=at(day, 13))
    assert found_gaps(source.clickhouse, settings, [day], [1]) == [], "the row that holds is no pageview"
    for _ in range(2):
        build_partition(source.clickhouse, settings, day, [1])
        assert found_gaps(source.clickhouse, settings, [day], [1]) == []
    assert differences_from_oracle(source.clickhouse, [day], [1]) == []


def test_defect_13_new_rows_that_got_lost_are_not_published(source, settings, days):
    day = days(1)[0]
    source.visits([1], [day])
    build_partition(source.clickhouse, settings, day, [1])
    totals = merged_totals(source.clickhouse)
    made, fresh = staged_and_inserted(source, settings, day, [1])
    for table in fresh:
        source.clickhouse.client.execute(f"TRUNCATE TABLE {table}")
    with pytest.raises(VerificationFailed, match="team 1 hold 0 .*nothing was published"):
        steps.publish(source.clickhouse, settings, TASK, made, fresh)
    steps.release(source.clickhouse, made)
    assert merged_totals(source.clickhouse) == totals


def stored_by_team(clickhouse, day) -> dict[int, list[tuple]]:
    """Per team what both tables hold of a day."""
    return {
        team_id: [
            clickhouse.client.execute(
                f"SELECT sumMerge(pageviews_count_state), uniqMerge(sessions_uniq_state) FROM {table.name} "
                "WHERE team_id = %(team)s AND toDate(period_bucket) = %(day)s",
                {"team": team_id, "day": day},
            )[0]
            for table in TABLES
        ]
        for team_id in (1, 2, 3, 4)
    }


@pytest.mark.parametrize("cause", ["its events arrive all the time", "its new rows got lost"])
def test_a_team_that_differs_costs_the_others_nothing(source, settings, days, monkeypatch, cause):
    day = days(1)[0]
    source.visits([1, 2, 3, 4], [day])
    build_partition(source.clickhouse, settings, day, [2, 4])
    for team in (1, 2, 3):
        source.event(team, at(day, 20), ingested=at(day, 21))
    before = stored_by_team(source.clickhouse, day)

    fill_stage = steps._fill_stage

    def fill_and_go_on(*arguments):
        fill_stage(*arguments)
        source.event(2, at(day, 22))

    if cause == "its events arrive all the time":
        monkeypatch.setattr(steps, "_fill_stage", fill_and_go_on)
    made, fresh = staged_and_inserted(source, settings, day, [1, 2, 3])
    if cause == "its new rows got lost":
        for table in fresh:
            source.clickhouse.client.execute(f"DELETE FROM {table} WHERE team_id = 2")
    for _ in range(2):  # also when it is tried again
        with pytest.raises(
            VerificationFailed,
            match=r"(of|for) team 2 hold .*the other teams are published\. Teams left out: 2\.",
        ):
            steps.publish(source.clickhouse, settings, TASK, made, fresh)
        after = stored_by_team(source.clickhouse, day)
        assert (after[2], after[4]) == (before[2], before[4]), "as it was"
        assert states(source.clickhouse, settings, [day], [1, 2, 3, 4]) == {
            (1, day): ("complete", "complete"),
            (2, day): ("stale", "stale"),
            (3, day): ("complete", "complete"),
            (4, day): ("complete", "complete"),
        }
        assert differences_from_oracle(source.clickhouse, [day], [1, 3, 4]) == []
    attempts = source.clickhouse.client.execute(
        "SELECT status, team_count FROM web_analytics_backfill_log "
        "WHERE kind = 'attempt' AND reason LIKE '%Teams left out: 2.%'"
    )
    assert attempts == [("failed", 2)] * 2
    steps.release(source.clickhouse, made)
    assert leftovers(source.clickhouse) == []

    monkeypatch.undo()
    build_partition(source.clickhouse, settings, day, [2])
    assert found_gaps(source.clickhouse, settings, [day], [1, 2, 3, 4]) == []
    assert differences_from_oracle(source.clickhouse, [day], [1, 2, 3, 4]) == []


def test_where_all_teams_differ_nothing_is_published(source, settings, days):
    day = days(1)[0]
    source.visits([1, 2, 3], [day])
    build_partition(source.clickhouse, settings, day, [3])
    before = stored_by_team(source.clickhouse, day)
    made, fresh = staged_and_inserted(source, settings, day, [1, 2])
    source.clickhouse.client.execute(f"DELETE FROM {fresh[0]} WHERE team_id = 1")
    source.clickhouse.client.execute(f"DELETE FROM {fresh[1]} WHERE team_id = 2")
    with pytest.raises(VerificationFailed, match=r"nothing was published\. Teams left out: 1, 2\."):
        steps.publish(source.clickhouse, settings, TASK, made, fresh)
    steps.release(source.clickhouse, made)
    assert stored_by_team(source.clickhouse, day) == before


def test_defect_13_replacing_from_a_fully_masked_day_empties_it_without_a_word(source, settings, days):
    """Why the package counts the live rows before it replaces a day."""
    day = days(1)[0]
    source.visits([1], [day])
    build_partition(source.clickhouse, settings, day, [1])
    names = {"target": STATS.name, "clone": "masked"}
    parameters = {"partition_id": partition_id(day)}
    source.clickhouse.run("build/create_like_target", names={"table": "masked", "target": STATS.name})
    with pytest.raises(RuntimeError, match="build/replace_partition failed"):  # refused from 26.6
        source.clickhouse.run("build/replace_partition", parameters, names)
    source.clickhouse.run(
        "build/attach_partition", parameters, {"table": "masked", "source_table": STATS.name}
    )
    source.clickhouse.client.execute("DELETE FROM masked WHERE true SETTINGS lightweight_deletes_sync = 2")
    assert pageviews(source.clickhouse) == 6
    source.clickhouse.run("build/replace_partition", parameters, names)
    assert pageviews(source.clickhouse) == 0


def buckets(clickhouse, team_id: int) -> set[int]:
    """The minutes of the hour at which a team's buckets begin, in both tables."""
    return {
        minute
        for table in TABLES
        for (minute,) in clickhouse.client.execute(
            f"SELECT DISTINCT toMinute(period_bucket) FROM {table.name} WHERE team_id = {team_id}"
        )
    }


def test_defect_14_all_buckets_have_one_width_and_totals_are_not_doubled(source, settings, days):
    day = days(1)[0]
    for minute in range(0, 24 * 60, 13):
        source.event(1, at(day, minute / 60))
    quarters = Settings.load({"WEB_ANALYTICS_BUCKET_MINUTES": "15"})
    for chosen, aligned in ((settings, {0}), (quarters, {0, 15, 30, 45}), (settings, {0})):
        build_partition(source.clickhouse, chosen, day, [1])
        assert buckets(source.clickhouse, 1) == aligned
        assert differences_from_oracle(source.clickhouse, [day], [1], chosen.bucket_minutes) == []
        assert source.clickhouse.client.execute(
            f"SELECT countIf(toSecond(period_bucket) != 0) FROM {STATS.name}"
        ) == [(0,)]
    hourly = pageviews(source.clickhouse)

    columns = [
        name
        for (name,) in source.clickhouse.client.execute(
            f"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{STATS.name}'"
        )
    ]
    daily = ", ".join("toStartOfDay(period_bucket)" if name == "period_bucket" else name for name in columns)
    source.clickhouse.client.execute(f"INSERT INTO {STATS.name} SELECT {daily} FROM {STATS.name}")
    assert pageviews(source.clickhouse) == 2 * hourly, "daily rows beside hourly ones double every total"
    assert differences_from_oracle(source.clickhouse, [day], [1]) != []
