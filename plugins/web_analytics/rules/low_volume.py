"""Which days have suspiciously few pageviews for their weekday. Pure functions of what the source holds.

``detection/low_volume.sql`` says the same in one statement; a property test compares the two. docs/semantics.md says it
in words.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from web_analytics.rules.partitions import DateRange

# What a day is compared with: the same weekday of so many weeks before it.
WEEKS = 8
HISTORY = timedelta(weeks=WEEKS)
# With fewer of them there is no verdict.
MIN_WEEKS = 4
# A day below what the team's own noise explains: so many standard deviations, of the square root of a count, in which
# the noise of small and of large counts is alike. 4 gave one false alarm a week for 1,000 teams of the noisiest kinds.
DEVIATIONS = 4.5
# The standard deviation of a normal distribution, from the median distance from the median, and from the median
# difference of two values.
FROM_MAD, FROM_DIFFERENCE = 1.4826, 1.0484
# A team that has less than so many percent of its usual weekday has fallen. Where more than a fifth of at least 10 teams
# fall together, a single team has to fall the further the more they are; a day with less than a tenth is always low.
FALLEN_PERCENT, MIN_TEAMS, LEAST_PERCENT = 80, 10, 10
# From this share of fallen teams on, people are told of the day instead of the teams.
COMMON_FALL_PERCENT = 33
# How many of the newest days people are told of, and how many teams of each are named.
DAYS_TOLD, TEAMS_NAMED = 3, 5
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class LowDay:
    """A team's day with suspiciously few pageviews.

    :ivar usual: the median of the same weekday in the weeks before.
    """

    team_id: int
    partition_date: date
    pageviews: int
    usual: int

    @property
    def percent(self) -> int:
        """Of the usual pageviews, rounded down."""
        return 100 * self.pageviews // self.usual


@dataclass(frozen=True)
class DayVolume:
    """What is said of one day.

    :ivar judged: teams with enough pageviews and history for a verdict.
    :ivar fallen: of these the ones with less than :data:`FALLEN_PERCENT` of their usual weekday.
    :ivar low: of these the suspicious ones, by team.
    """

    partition_date: date
    judged: int
    fallen: int
    low: tuple[LowDay, ...] = ()

    @property
    def is_common_fall(self) -> bool:
        """Whether so many teams fall together that it is one matter: a holiday, or a loss on the way of all events."""
        return self.judged >= MIN_TEAMS and 100 * self.fallen >= COMMON_FALL_PERCENT * self.judged

    @property
    def sentence(self) -> str:
        """What people are told of the day; empty where nothing is suspicious."""
        weekday = WEEKDAYS[self.partition_date.weekday()]
        told = []
        if self.is_common_fall:
            told.append(
                f"{100 * self.fallen // self.judged} % of {self.judged} teams have under {FALLEN_PERCENT} % of their usual "
                f"{weekday} on {self.partition_date}: a holiday, or events lost before they were stored"
            )
        if self.low:
            bound = min(100, max(each.percent for each in self.low) // 10 * 10 + 10)
            worst = sorted(self.low, key=lambda each: (each.percent, -each.usual))[:TEAMS_NAMED]
            named = ", ".join(str(each.team_id) for each in worst)
            told.append(
                f"{len(self.low)} {'team has' if len(self.low) == 1 else 'teams have'} under {bound} % of "
                f"{'its' if len(self.low) == 1 else 'their'} usual {weekday} on {self.partition_date}: "
                f"{named}{', …' if len(self.low) > TEAMS_NAMED else ''}"
            )
        return "; ".join(told)


def lower_median(values: Sequence[float]) -> float:
    """The middle value, of an even number of values the smaller one of the two."""
    return sorted(values)[(len(values) - 1) // 2]


def threshold_percent(percent: int, judged: int, fallen: int) -> int:
    """Below which share of its usual weekday a team can be low on a day on which so many have fallen."""
    if judged < MIN_TEAMS:
        return percent
    damped = percent * min(100 * judged, 125 * (judged - fallen)) // (100 * judged)
    return min(percent, max(LEAST_PERCENT, damped))


def same_weekdays(before: Sequence[int]) -> list[int]:
    """The same weekday of the weeks before, the newest first.

    :param before: pageviews of the days before, the newest last, from the team's first day with pageviews on.
    """
    return [before[-7 * week] for week in range(1, len(before) // 7 + 1)]


def noise(before: Sequence[int], usual: int) -> float:
    """The standard deviation that the days before show, as a share of the usual pageviews: at least that of counting."""
    distances = [abs(each - usual) for each in same_weekdays(before)]
    changes = [
        2 * abs(later - earlier) / (later + earlier)
        for earlier, later in zip(before, before[7:], strict=False)
        if later + earlier
    ]
    return max(
        FROM_MAD * lower_median(distances) / usual,
        FROM_DIFFERENCE * lower_median(changes),
        1 / math.sqrt(usual),
    )


def at_least(before: Sequence[int], usual: int) -> float:
    """The pageviews that the team's own noise lets one expect at least."""
    left = max(0.0, 1 - DEVIATIONS / 2 * noise(before, usual))
    return usual * (left * left)


def is_beyond_noise(found: int, before: Sequence[int], usual: int) -> bool:
    """Whether the team's own noise does not explain so few pageviews: none at all never, on a weekday that always had some."""
    return found < at_least(before, usual) or (found == 0 and min(same_weekdays(before)) > 0)


def judge(
    pageviews: Mapping[int, Mapping[date, int]],
    days: DateRange,
    *,
    known_from: date,
    percent: int,
    min_pageviews: int,
    muted: Collection[int] = (),
) -> list[DayVolume]:
    """What is said of each day, the oldest first.

    :param pageviews: by team and day; a day that is not there has none.
    :param days: closed days of which the source has been looked at since they were closed.
    :param known_from: what the source held before this day is not known.
    :param percent: WEB_ANALYTICS_LOW_VOLUME_PERCENT.
    :param min_pageviews: WEB_ANALYTICS_LOW_VOLUME_MIN_PAGEVIEWS, at least 1.
    :param muted: teams without verdicts of their own.
    """
    return [_judge_day(pageviews, day, known_from, percent, min_pageviews, muted) for day in days]


def _judge_day(
    pageviews: Mapping[int, Mapping[date, int]],
    day: date,
    known_from: date,
    percent: int,
    min_pageviews: int,
    muted: Collection[int],
) -> DayVolume:
    judged: dict[int, tuple[int, int, list[int]]] = {}
    for team_id, of_team in pageviews.items():
        before = list(_since_first_pageview(of_team, day, known_from))
        weekdays = same_weekdays(before)
        if len(weekdays) >= MIN_WEEKS and (usual := int(lower_median(weekdays))) >= min_pageviews:
            found = of_team.get(day, 0) if day >= known_from else 0
            judged[team_id] = found, usual, before
    fallen = sum(100 * found < FALLEN_PERCENT * usual for found, usual, _ in judged.values())
    threshold = threshold_percent(percent, len(judged), fallen)
    low = [
        LowDay(team_id, day, found, usual)
        for team_id, (found, usual, before) in sorted(judged.items())
        if team_id not in muted
        and 100 * found < threshold * usual
        # A fall that is older than a week is the new usual.
        and 100 * same_weekdays(before)[0] >= percent * usual
        and is_beyond_noise(found, before, usual)
    ]
    return DayVolume(day, len(judged), fallen, tuple(low))


def _since_first_pageview(of_team: Mapping[date, int], day: date, known_from: date) -> Iterator[int]:
    has_begun = False
    for each in DateRange(max(day - HISTORY, known_from), day):
        found = of_team.get(each, 0)
        has_begun = has_begun or found > 0
        if has_begun:
            yield found
