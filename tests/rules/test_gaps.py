"""Gaps as ranges of consecutive days."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.conf import BackfillConf
from web_analytics.rules import gaps
from web_analytics.rules.partitions import DateRange
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings

START = date(2026, 1, 1)
SETTLING = timedelta(hours=1)
STATES = (*GAP_KINDS, "complete", "idle")
daily_states = st.lists(st.sampled_from((*STATES, None)), min_size=1, max_size=40)


def found(states: list[str | None], open_days: int = 0) -> list[gaps.Gap]:
    """``states`` day by day; None is a day without any row. The last ``open_days`` are not closed."""
    days = {START + timedelta(days=offset): state for offset, state in enumerate(states)}
    closed = DateRange(START, START + timedelta(days=len(states) - open_days))
    known = [day for day, state in days.items() if state]
    incomplete = [(day, state, 10) for day, state in days.items() if state and state != "complete"]
    now = datetime.combine(closed.end, datetime.min.time(), UTC) + SETTLING
    return gaps.gaps_of(7, "web_pre_aggregated_stats", closed, known, incomplete, SETTLING, now)


@given(states=daily_states)
@examples(200)
def test_each_day_is_in_exactly_one_range_of_its_state(states):
    ranges = found(states)
    covered = [day for gap in ranges for day in gap.partitions]
    assert len(covered) == len(set(covered))
    by_day = {day: gap.kind for gap in ranges for day in gap.partitions}
    for offset, state in enumerate(states):
        expected = {None: "idle", "complete": None}.get(state, state)
        assert by_day.get(START + timedelta(days=offset)) == expected


@given(states=daily_states)
@examples(200)
def test_ranges_are_as_long_as_they_can_be_and_newest_first(states):
    ranges = found(states)
    for newer, older in zip(ranges, ranges[1:], strict=False):
        assert older.partitions.end <= newer.partitions.start
        assert older.partitions.end < newer.partitions.start or older.kind != newer.kind


@given(states=daily_states, open_days=st.integers(0, 3))
@examples(100)
def test_an_open_day_is_never_a_gap(states, open_days):
    open_days = min(open_days, len(states))
    for gap in found(states, open_days):
        is_open = gap.partitions.start >= START + timedelta(days=len(states) - open_days)
        assert (gap.kind == "open") == is_open
        assert bool(gap.command("")) == (gap.kind in GAP_KINDS)


@given(states=daily_states)
@examples(100)
def test_every_command_is_one_that_the_backfill_accepts_and_covers_its_days(states):
    for gap in found(states):
        if gap.kind in GAP_KINDS:
            conf = json.loads(gap.command("__eu").split("--conf ")[1].strip("'"))
            assert gap.command("__eu").startswith("airflow dags trigger web_analytics_backfill__eu --conf")
            parsed = BackfillConf.parse(conf, Settings.load({}))
            assert DateRange(parsed.date_start, parsed.date_end) == gap.partitions
            assert parsed.team_ids == (7,)
            assert parsed.max_partitions == len(gap.partitions)


def test_pageviews_and_age_of_a_range():
    [gap] = found(["missing", "missing", "complete"])
    assert (gap.source_pageviews, len(gap.partitions)) == (20, 2)
    assert gap.age_hours == 48.0


def test_one_command_for_everything():
    several = found(["missing", "complete", "stale", None, "missing"])
    conf = json.loads(gaps.fill_all_command(several, suffix="").split("--conf ")[1].strip("'"))
    assert conf == {
        "date_start": "2026-01-01",
        "date_end": "2026-01-06",
        "kinds": ["missing", "stale"],
        "rebuild": True,
        "max_partitions": 3,
    }
    assert gaps.fill_all_command(found([None, "complete"]), suffix="") == ""
    only_stale = json.loads(
        gaps.fill_all_command(found(["stale"]), [7], suffix="").split("--conf ")[1].strip("'")
    )
    assert only_stale["rebuild"] is True
    assert only_stale["kinds"] == ["stale"]


def confs(command: str) -> list[dict]:
    return [json.loads(each.split("--conf ")[1].strip("'")) for each in command.split(" && ")]


@given(days=st.integers(1, 365), kinds=st.sets(st.sampled_from(GAP_KINDS), min_size=1))
@examples(100)
def test_the_commands_for_a_long_range_build_each_of_its_days(days, kinds):
    partitions = DateRange(START, START + timedelta(days=days))
    parsed = [
        BackfillConf.parse(conf, Settings.load({}))
        for conf in confs(gaps.fill_command(partitions, kinds, suffix=""))
    ]
    built = [day for each in parsed for day in DateRange(each.date_start, each.date_end)]
    assert sorted(built) == list(partitions)
    for each in parsed:
        assert each.max_partitions == len(DateRange(each.date_start, each.date_end))
        # nothing else, and whatever the rule says of it
        assert kinds == set(each.kinds or ["missing"])
        assert each.rebuild or (kinds == {"missing"} and each.min_missing_partitions == 1)


def test_few_dates_of_a_long_range_are_one_command():
    several = [*found(["missing", *["complete"] * 200, "stale"]), *found(["stale", *["complete"] * 250])]
    [conf] = confs(gaps.fill_all_command(several, suffix=""))
    assert (conf["date_start"], conf["date_end"], conf["max_partitions"]) == ("2026-01-01", "2026-07-22", 2)
    assert len(confs(gaps.fill_all_command(several, suffix="", within=several[0].partitions))) == 1
