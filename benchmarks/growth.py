"""What the figures of ``make bench-curve`` say: how fast each grows, where it reaches a bound, as tables and a picture.

Pure functions of the figures: the same figures give the same text.

An exponent is that of ``y = a * x ** b``, fitted by least squares to the logarithms. A fixed cost hides growth at small
sizes, and so makes the exponent of what is measured there too small. Beyond the largest size that was measured, two ways to
go on are therefore looked at, that of the fit and a straight line through the two largest sizes, and the one that reaches
a bound first holds.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from web_analytics.pools import POOL_SLOTS
from web_analytics.settings import Settings

FIGURES = Path(__file__).with_name("growth.json")
# At more than so many times the largest size that was measured nothing is told.
FARTHEST = 1000
# What the axes of the figures count.
AXES = {"events": "events a day", "teams": "teams"}

Points = Sequence[tuple[float, float]]
DEFAULTS = Settings.load({})


@dataclass(frozen=True)
class Bound:
    """What a measure should not reach.

    :ivar limit: in the unit of the measure.
    :ivar reason: where it comes from, as half a sentence.
    """

    limit: float
    reason: str


# The backfill starts every six hours.
RUN_HOURS = 6
DATE = Bound(
    RUN_HOURS * 3600 / DEFAULTS.max_partitions_per_run,
    f"the share of one date where a run every {RUN_HOURS} hours builds {DEFAULTS.max_partitions_per_run} of them one "
    "after the other, each statement on one core (`max_threads` 1)",
)
TASK = Bound(3600, "a task may take an hour, and the detection is one task")
# The smallest server of "What to set".
SERVER_GB = 8
STATEMENT = Bound(
    SERVER_GB * 1000 * DEFAULTS.busy_above["memory_percent"] / 100 / POOL_SLOTS,
    f"{DEFAULTS.busy_above['memory_percent']:g} % of a server with {SERVER_GB} GB (dates wait above it) for {POOL_SLOTS} "
    "tasks at once, the slots of the pool",
)
PAGE = Bound(2, "the goal for any page, even where one core does all of it")
ANSWER = Bound(
    DEFAULTS.api_max_seconds, "`WEB_ANALYTICS_API_MAX_SECONDS`, when ClickHouse breaks the answer off"
)


@dataclass(frozen=True)
class Measure:
    """One thing that was measured at each size.

    :ivar key: in the figures.
    :ivar unit: s or MB: CPU seconds of ClickHouse, memory of the largest statement.
    :ivar colour: to be told from a light and from a dark background.
    :ivar is_floor: less than this no build can take.
    """

    key: str
    name: str
    unit: str
    bounds: tuple[Bound, ...] = ()
    colour: str = "#7a7a7a"
    is_floor: bool = False

    @property
    def largest(self) -> str:
        """Of a peak of memory: the key of the statement that took it."""
        return self.key.replace("peak_mb", "largest")


MEASURES = (
    Measure("build_cpu_s", "building a day", "s", (DATE,), "#c2690a"),
    Measure("floor_read_cpu_s", "floor: reading its columns", "s", is_floor=True),
    Measure("floor_write_cpu_s", "floor: writing its rows", "s", is_floor=True),
    Measure("refresh_cpu_s", "refresh of the kept activity", "s", (TASK,), "#2f8f46"),
    Measure("detect_missing_cpu_s", "detection, missing days", "s", (TASK,), "#3b82d0"),
    Measure("detect_all_cpu_s", "detection, all kinds", "s", (TASK,), "#9a5fd0"),
    Measure("page_cpu_s", "a page", "s", (PAGE, ANSWER), "#d04a55"),
    Measure("build_peak_mb", "building a day", "MB", (STATEMENT,), "#c2690a"),
    Measure("refresh_peak_mb", "refresh of the kept activity", "MB", (STATEMENT,), "#2f8f46"),
    # Without a bound: a statement takes only so many team-days, and more teams are more statements.
    Measure("detect_missing_peak_mb", "detection, missing days", "MB", colour="#3b82d0"),
    Measure("detect_all_peak_mb", "detection, all kinds", "MB", colour="#9a5fd0"),
    Measure("page_peak_mb", "a page", "MB", (STATEMENT,), "#d04a55"),
)


def exponent_of(points: Points) -> float:
    """``b`` of the ``y = a * x ** b`` that is nearest to the points, all of them above 0, in logarithms."""
    return statistics.linear_regression(
        [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    ).slope


def reached_at(points: Points, limit: float) -> float | None:
    """Where a limit is reached: between two sizes that were measured, or beyond them by the steeper of the fit and a straight
    line through the two largest; None where it is not, or too far away to be told (:data:`FARTHEST`).

    :param points: two or more, by size.
    """
    first_x, first_y = points[0]
    if first_y >= limit:
        return first_x
    for (x, y), (next_x, next_y) in zip(points, points[1:], strict=False):
        if next_y >= limit:
            share = math.log(limit / y) / math.log(next_y / y)
            return x * (next_x / x) ** share
    (x, y), (last_x, last_y) = points[-2:]
    found = []
    if (exponent := exponent_of(points)) > 0:
        # In logarithms: of a flat curve the size itself may be more than a number holds.
        times = math.log(limit / last_y) / exponent
        found.append(last_x * math.exp(min(times, 2 * math.log(FARTHEST))))
    if last_y > y:
        found.append(last_x + (limit - last_y) * (last_x - x) / (last_y - y))
    nearest = min(found, default=math.inf)
    return nearest if nearest < FARTHEST * last_x else None


def points_of(figures: Mapping[str, Any], axis: str, measure: Measure) -> list[tuple[float, float]]:
    """The sizes at which a measure was taken, and what was found there."""
    return [
        (point["at"], point[measure.key]) for point in figures["axes"][axis] if point.get(measure.key, 0) > 0
    ]


@dataclass(frozen=True)
class Reached:
    """Where a measure reaches one of its bounds."""

    measure: Measure
    bound: Bound
    size: float


def reached(figures: Mapping[str, Any], axis: str) -> list[Reached]:
    """All bounds that are reached along an axis, the first one first."""
    found = [
        Reached(measure, bound, size)
        for measure in MEASURES
        if len(points := points_of(figures, axis, measure)) > 1
        for bound in measure.bounds
        if (size := reached_at(points, bound.limit)) is not None
    ]
    return sorted(found, key=lambda each: each.size)


def size_shown(size: float) -> str:
    """A size with two significant digits: 150,000 or 2.4 M or 15 billion."""
    rounded = round(size, 1 - math.floor(math.log10(size)))
    for unit, name in ((1e9, " billion"), (1e6, " M")):
        if rounded >= unit:
            return f"{rounded / unit:g}{name}"
    return f"{rounded:,g}"


def value_shown(value: float) -> str:
    """A measured value with two or three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.2g}"


def exponent_shown(points: Points) -> str:
    """An exponent with one digit, as much as so few sizes tell; empty where there is only one."""
    return f"{exponent_of(points):.1f}".replace("-0.0", "0.0") if len(points) > 1 else ""


def first_bound(figures: Mapping[str, Any], axis: str) -> str:
    """The bound that is reached first along an axis, in a sentence."""
    found = reached(figures, axis)
    if not found:
        return f"No bound is reached by more {AXES[axis]}."
    first = found[0]
    largest = points_of(figures, axis, first.measure)[-1][0]
    how = "within" if first.size <= largest else f"{size_shown(first.size / largest)} times"
    what = f"time of {first.measure.name}"
    if first.measure.unit == "MB":
        [*_, statement] = [
            point[first.measure.largest] for point in figures["axes"][axis] if first.measure.largest in point
        ]
        what = f"memory of {first.measure.name} (at the largest size that of `{statement}`)"
    return (
        f"With more {AXES[axis]} the {what} is the first to reach a bound, at about "
        f"{size_shown(first.size)} ({how} what was measured): {first.bound.limit:,.0f} {first.measure.unit}, "
        f"{first.bound.reason}."
    )


def table(figures: Mapping[str, Any], axis: str) -> str:
    """What was measured along an axis: a row for each measure, a column for each size."""
    sizes = [point["at"] for point in figures["axes"][axis]]
    lines = [
        [
            "",
            *(f"{size_shown(size)} {AXES[axis]}" for size in sizes),
            "exponent",
            "bound, and where it is reached",
        ],
        ["---"] * (len(sizes) + 3),
    ]
    for measure in MEASURES:
        points = points_of(figures, axis, measure)
        found = dict(points)
        bounds = []
        for bound in measure.bounds:
            size = reached_at(points, bound.limit) if len(points) > 1 else None
            where = f"at {size_shown(size)}" if size else "far"
            bounds.append(f"{bound.limit:,.0f} {measure.unit}: {where}")
        lines.append(
            [
                f"{measure.name}, {measure.unit}",
                *(value_shown(found[size]) if size in found else "" for size in sizes),
                exponent_shown(points),
                "; ".join(bounds),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bounds() -> str:
    """Every bound with its reason, as a list."""
    units: dict[Bound, str] = {bound: measure.unit for measure in MEASURES for bound in measure.bounds}
    return "\n".join(f"- {bound.limit:,.0f} {unit}: {bound.reason}." for bound, unit in units.items())


def section(figures: Mapping[str, Any]) -> str:
    """What stands in docs/scaling.md between its markers."""
    measured = (
        f"Measured on {figures['date']} on {figures['machine']}, with ClickHouse {figures['clickhouse']}: CPU seconds, and MB "
        f"of the largest statement. An empty cell was not measured; a bound is far where it is not reached within {FARTHEST:,} "
        "times the largest size."
    )
    parts = [measured]
    for axis in AXES:
        parts += [first_bound(figures, axis), table(figures, axis)]
    return "\n\n".join([*parts, "The bounds:", bounds()])


# The picture, in pixels.
PANEL_WIDTH, PANEL_HEIGHT = 330, 260
LABEL_WIDTH, LABEL_HEIGHT = 215, 14
LEFT, TOP, GAP = 62, 74, 70
TEXT = "#767676"
GRID = "#9a9a9a"
TITLES = {"s": "CPU seconds", "MB": "MB of the largest statement"}


def _scale(values: Sequence[float], start: float, length: float):
    """A logarithmic scale over whole powers of ten; the place of a value, and those powers.

    :param length: negative for one that goes up.
    """
    low = math.floor(math.log10(min(values)) + 1e-9)
    high = max(low + 1, math.ceil(math.log10(max(values)) - 1e-9))

    def place(value: float) -> float:
        return start + length * (math.log10(value) - low) / (high - low)

    return place, [10.0**power for power in range(low, high + 1)]


def _apart(places: Sequence[float], highest: float, lowest: float) -> list[float]:
    """The places of labels beside each other, none of them nearer to another than a line, in the order of ``places``."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    moved = list(places)
    at = highest - LABEL_HEIGHT
    for number in order:
        moved[number] = at = max(places[number], at + LABEL_HEIGHT)
    at = lowest + LABEL_HEIGHT
    for number in reversed(order):
        moved[number] = at = min(moved[number], at - LABEL_HEIGHT)
    return moved


def _power(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _panel(figures: Mapping[str, Any], axis: str, unit: str, left: float, top: float) -> list[str]:
    drawn = [
        (measure, points)
        for measure in MEASURES
        if measure.unit == unit and (points := points_of(figures, axis, measure))
    ]
    if not drawn:
        return []
    sizes = [point["at"] for point in figures["axes"][axis]]
    bottom, right = top + PANEL_HEIGHT, left + PANEL_WIDTH
    smallest, largest = math.log(sizes[0]), math.log(sizes[-1])

    def across(size: float) -> float:
        share = (math.log(size) - smallest) / (largest - smallest) if largest > smallest else 0.5
        return left + 12 + share * (PANEL_WIDTH - 24)

    up, powers = _scale([y for _, points in drawn for _, y in points], bottom, -PANEL_HEIGHT)
    lines = [
        f'<text x="{left:.1f}" y="{top - 14:.1f}" class="title">{TITLES[unit]}, by {AXES[axis]}</text>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" class="frame"/>',
    ]
    for value in powers:
        y = up(value)
        lines.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" class="grid"/>')
        lines.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{_power(value)}</text>')
    for size in sizes:
        x = across(size)
        lines.append(
            f'<line x1="{x:.1f}" y1="{bottom:.1f}" x2="{x:.1f}" y2="{bottom + 4:.1f}" class="grid"/>'
        )
        lines.append(
            f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{size_shown(size)}</text>'
        )
    ends = [up(points[-1][1]) for _, points in drawn]
    for (measure, points), end, label_at in zip(drawn, ends, _apart(ends, top, bottom), strict=True):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if measure.is_floor else ""
        lines.append(f'<polyline points="{path}" stroke="{measure.colour}" class="line"{dashes}/>')
        lines += [
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{measure.colour}"/>'
            for x, y in points
        ]
        last = across(points[-1][0])
        lines.append(
            f'<line x1="{last + 4:.1f}" y1="{end:.1f}" x2="{right + 8:.1f}" y2="{label_at:.1f}" '
            f'stroke="{measure.colour}" class="leader"/>'
        )
        grown = f" ({exponent})" if (exponent := exponent_shown(points)) else ""
        lines.append(
            f'<text x="{right + 12:.1f}" y="{label_at + 4:.1f}" fill="{measure.colour}">'
            f"{escape(measure.name + grown)}</text>"
        )
    return lines


def picture(figures: Mapping[str, Any]) -> str:
    """The measured growth as SVG: a panel for each axis and unit, both axes logarithmic."""
    column = LEFT + PANEL_WIDTH + LABEL_WIDTH
    width, height = 2 * column, TOP + 2 * (PANEL_HEIGHT + GAP)
    told = " ".join(first_bound(figures, axis).replace("`", "") for axis in AXES)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description" font-family="sans-serif" font-size="12" fill="{TEXT}">',
        '<title id="title">How building, detection, refresh and a page grow with events and with teams</title>',
        f'<desc id="description">{escape(told)}</desc>',
        "<style>"
        f".title{{font-size:14px;font-weight:bold}}.frame{{fill:none;stroke:{GRID};stroke-width:1}}"
        f".grid{{stroke:{GRID};stroke-width:1;stroke-opacity:.35}}.line{{fill:none;stroke-width:2}}"
        ".leader{stroke-width:1;stroke-opacity:.5}"
        "</style>",
        f'<text x="{LEFT}" y="24">Measured on {figures["date"]} on {escape(figures["machine"])}. In brackets: the exponent '
        "of the growth; 1 is as fast as the axis. Dashed: the floors of a build.</text>",
    ]
    for row, unit in enumerate(TITLES):
        for place, axis in enumerate(AXES):
            top = TOP + row * (PANEL_HEIGHT + GAP)
            lines += _panel(figures, axis, unit, LEFT + place * column, top)
    return "\n".join([*lines, "</svg>"]) + "\n"


def read() -> dict[str, Any]:
    """The figures that the documentation is made of."""
    return json.loads(FIGURES.read_text(encoding="utf-8"))
