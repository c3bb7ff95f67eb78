"""How cost grows: the fit, where bounds are reached, and that the documentation is made of the figures that are kept."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import growth
from tests.documentation.commands import text_of
from tests.support import examples

SIZES = (150_000, 600_000, 2_400_000)


def power(factor: float, exponent: float) -> list[tuple[float, float]]:
    return [(size, factor * size**exponent) for size in SIZES]


@examples(50)
@given(factor=st.floats(1e-6, 1e3), exponent=st.floats(-2, 2))
def test_the_exponent_of_a_power_is_found(factor, exponent):
    assert growth.exponent_of(power(factor, exponent)) == pytest.approx(exponent, abs=1e-6)


@examples(50)
@given(exponent=st.floats(1, 2), times=st.floats(1.1, 900))
def test_a_power_that_is_no_flatter_than_a_line_reaches_a_limit_where_it_would(exponent, times):
    points = power(1e-6, exponent)
    limit = 1e-6 * (times * SIZES[-1]) ** exponent
    assert growth.reached_at(points, limit) == pytest.approx(times * SIZES[-1], rel=1e-6)


def test_a_fixed_cost_does_not_hide_where_a_limit_is_reached():
    points = [(size, 0.5 + size * 1e-7) for size in SIZES]
    assert growth.exponent_of(points) < 0.2
    assert growth.reached_at(points, 2) == pytest.approx(15_000_000)


def test_a_limit_between_two_sizes_is_reached_between_them():
    assert growth.reached_at([(1, 1), (100, 100)], 10) == pytest.approx(10)
    assert growth.reached_at([(7, 10), (100, 100)], 10) == 7


@pytest.mark.parametrize("values", [(3, 2, 1), (2, 2, 2), (1, 1, 1 + 1e-9)])
def test_what_does_not_grow_reaches_nothing(values):
    assert growth.reached_at(list(zip(SIZES, values, strict=True)), 1000) is None


def figures(**measures: list) -> dict:
    points = [
        {"at": size, **{name: row[n] for name, row in measures.items()}} for n, size in enumerate(SIZES)
    ]
    return {
        "date": "2026-01-02",
        "machine": "a <machine>",
        "clickhouse": "26.9",
        "axes": {"events": points, "teams": [{"at": 200}, {"at": 2000}]},
    }


def test_the_first_bound_is_named_with_its_reason():
    told = growth.first_bound(
        figures(
            page_cpu_s=[0.5 + size * 1e-7 for size in SIZES], build_cpu_s=[size * 1e-6 for size in SIZES]
        ),
        "events",
    )
    assert told == (
        "With more events a day the time of a page is the first to reach a bound, at about 15 M (6.3 times what was "
        f"measured): 2 s, {growth.PAGE.reason}."
    )
    told = growth.first_bound(
        figures(build_peak_mb=[100, 400, 1600], build_largest=["build/a", "build/a", "build/b"]), "events"
    )
    assert told.startswith(
        "With more events a day the memory of building a day (at the largest size that of `build/b`) is the first to "
        "reach a bound, at about 2.4 M (within what was measured): 1,600 MB, "
    )
    assert growth.first_bound(figures(build_cpu_s=[1, 1, 1]), "events") == (
        "No bound is reached by more events a day."
    )


def test_a_size_that_was_left_out_is_an_empty_cell():
    shown = figures(build_cpu_s=[1.0, 4.0, 16.0], page_cpu_s=[0.5, 0.6, 0.7])
    del shown["axes"]["events"][2]["page_cpu_s"]
    rows = {line.split("|")[1].strip(): line for line in growth.table(shown, "events").splitlines()}
    assert rows["building a day, s"].startswith("| building a day, s | 1.00 | 4.00 | 16.0 | 1.0 |")
    assert rows["a page, s"].startswith("| a page, s | 0.5 | 0.6 |  | 0.1 |")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (1.56, "1.6"),
        (200, "200"),
        (149_000, "150,000"),
        (999_999, "1 M"),
        (2_400_000, "2.4 M"),
        (1.26e10, "13 billion"),
    ],
)
def test_a_size_has_two_digits(size, shown):
    assert growth.size_shown(size) == shown


def test_labels_stand_apart_and_inside():
    places = growth._apart([50, 51, 52, 99, 100], 0, 100)
    assert all(
        after - before >= growth.LABEL_HEIGHT for before, after in zip(places, places[1:], strict=False)
    )
    assert max(places) <= 100


@pytest.mark.parametrize("background", ["#ffffff", "#0d1117"])
def test_the_picture_can_be_read_on_a_light_and_on_a_dark_page(background):
    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in {growth.TEXT, *(measure.colour for measure in growth.MEASURES)}:
        darker, lighter = sorted((luminance(colour), luminance(background)))
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour


def test_the_picture_is_svg_with_a_title_and_a_description():
    drawn = ElementTree.fromstring(
        growth.picture(figures(build_cpu_s=[1, 4, 16], floor_read_cpu_s=[1, 2, 3]))
    )
    named = {element.get("id"): element.text for element in drawn if element.get("id")}
    assert named["title"]
    assert named["description"].startswith("With more events a day")
    assert any("stroke-dasharray" in element.attrib for element in drawn)
    assert "a <machine>" in "".join(drawn.itertext())


def test_every_measure_and_axis_of_the_kept_figures_is_shown():
    kept = growth.read()
    assert kept["axes"].keys() == growth.AXES.keys()
    for axis in growth.AXES:
        for measure in growth.MEASURES:
            assert len(growth.points_of(kept, axis, measure)) >= 3, (axis, measure.key)


def test_the_smallest_server_of_the_bounds_is_the_one_that_is_advised():
    [row] = re.findall(r"^\| up to 10 M \|.*$", text_of("docs/scaling.md"), re.MULTILINE)
    assert f"one node, 4 cores, {growth.SERVER_GB} GB | " in row
    assert f"| {growth.POOL_SLOTS} slots;" in row


def test_the_hours_and_the_limit_of_the_bounds_are_those_of_the_dags(dag_bag):
    backfill = dag_bag.dags["web_analytics_backfill"]
    assert f"*/{growth.RUN_HOURS} * * *" in str([each._expression for each in backfill.timetable._timetables])
    assert backfill.get_task("detect").execution_timeout.total_seconds() == growth.TASK.limit
