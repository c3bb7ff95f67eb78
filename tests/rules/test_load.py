"""When a date waits for a busy server."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.rules.load import MEASURES, Step, judged, why_busy
from web_analytics.settings import Settings

NUMBERS = st.integers(0, 10**6)
LOADS = st.fixed_dictionaries({name: st.none() | NUMBERS for name in MEASURES})
BOUNDS = st.dictionaries(st.sampled_from(sorted(MEASURES)), NUMBERS)
WAITS = st.integers(0, 10_000).map(lambda seconds: timedelta(seconds=seconds))


def above(load, bounds) -> set[str]:
    """The rule written a second time."""
    return {name for name, bound in bounds.items() if load[name] is not None and load[name] > bound}


@given(load=LOADS, bounds=BOUNDS)
@examples(200)
def test_exactly_what_is_above_its_bound_is_named_with_both_numbers(load, bounds):
    reason = why_busy(load, bounds)
    for name, words in MEASURES.items():
        assert (words in reason) == (name in above(load, bounds))
        if name in above(load, bounds):
            assert f"{load[name]:,} {words} (at most {bounds[name]:,g})" in reason


def test_a_load_of_exactly_the_bound_is_no_reason_to_wait():
    assert why_busy({"queries": 50}, {"queries": 50}) == ""
    assert why_busy({"queries": 51}, {"queries": 50}) == "51 queries of others run (at most 50)"


@given(load=LOADS, bounds=BOUNDS, name=st.sampled_from(sorted(MEASURES)), less=NUMBERS)
@examples(100)
def test_a_calmer_server_or_a_wider_bound_never_makes_a_date_wait(load, bounds, name, less):
    if why_busy(load, bounds):
        return
    if load[name] is not None:
        assert not why_busy({**load, name: max(0, load[name] - less)}, bounds)
    if name in bounds:
        assert not why_busy(load, {**bounds, name: bounds[name] + less})


@given(reason=st.sampled_from(["", "busy"]), waited=WAITS, longest=WAITS)
@examples(100)
def test_nothing_waits_longer_than_it_may_and_a_calm_server_keeps_nobody(reason, waited, longest):
    step = judged(reason, waited, longest).step
    assert (step is Step.GO_ON) == (reason == "")
    assert (step is Step.WAIT) == (reason != "" and waited < longest)


def test_the_default_bounds_are_of_all_measures():
    assert set(Settings.load({}).busy_above) == set(MEASURES)
