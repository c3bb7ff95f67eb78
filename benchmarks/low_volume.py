"""What the test of days with suspiciously few pageviews costs, and how right it is on data that was not made for it: healthy
teams of seven kinds, drops that are put into them, a holiday, and a loss of everything."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from benchmarks.detection import _cost

TEAMS_OF_A_KIND, WEEKS, WEEKS_JUDGED = 150, 16, 4
DROPS = (30, 50, 80, 100)
# Of the teams, those that lose a part of one day.
DROPPED_PERCENT = 5
WEEKDAYS = (1.0, 1.05, 1.1, 1.05, 0.95, 0.6, 0.5)


def poisson(chance: random.Random, mean: float) -> int:
    if mean > 60:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    left, count = chance.random(), 0
    limit = math.exp(-mean)
    while left > limit:
        left *= chance.random()
        count += 1
    return count


def thinned(chance: random.Random, count: int, share: float) -> int:
    """How many of so many pageviews are left, each with this probability."""
    return min(count, max(0, round(chance.gauss(count * share, math.sqrt(count * share * (1 - share))))))


def steady(chance: random.Random, days: int) -> Iterator[float]:
    """Small teams with the noise of counting alone."""
    level = chance.uniform(110, 400)
    return (level * WEEKDAYS[day % 7] for day in range(days))


def overdispersed(chance: random.Random, days: int) -> Iterator[float]:
    """Noise of 10 to 35 % on each day."""
    level, spread = chance.lognormvariate(7, 1.2), chance.uniform(0.1, 0.35)
    shape = 1 / spread**2
    return (level * WEEKDAYS[day % 7] * chance.gammavariate(shape, 1 / shape) for day in range(days))


def drifting(chance: random.Random, days: int) -> Iterator[float]:
    """Good and bad weeks: noise that one day hands to the next."""
    level, spread, state = chance.lognormvariate(7, 1.2), chance.uniform(0.05, 0.2), 0.0
    for day in range(days):
        state = 0.7 * state + chance.gauss(0, spread)
        yield level * WEEKDAYS[day % 7] * math.exp(state)


def trending(chance: random.Random, days: int) -> Iterator[float]:
    """From 4 % less to 5 % more each week."""
    level, growth = chance.lognormvariate(7, 1.2), chance.uniform(-0.04, 0.05)
    return (
        level * WEEKDAYS[day % 7] * math.exp(growth * day / 7 + chance.gauss(0, 0.1)) for day in range(days)
    )


def weekends_only(chance: random.Random, days: int) -> Iterator[float]:
    level = chance.lognormvariate(7, 1)
    return (level * math.exp(chance.gauss(0, 0.15)) if day % 7 > 4 else 0.0 for day in range(days))


def newly_started(chance: random.Random, days: int) -> Iterator[float]:
    """Begins some time in the range and grows for a month."""
    level, begins = chance.lognormvariate(7, 1.2), chance.randrange(days - 7)
    for day in range(days):
        grown = min(1.0, max(0.1, (day - begins + 1) / 30))
        yield level * WEEKDAYS[day % 7] * grown * math.exp(chance.gauss(0, 0.12)) if day >= begins else 0.0


def with_campaigns(chance: random.Random, days: int) -> Iterator[float]:
    """Days with many times the usual visitors, after which the usual ones come."""
    level = chance.lognormvariate(7, 1.2)
    for day in range(days):
        campaign = chance.uniform(2, 7) if chance.random() < 0.03 else 1
        yield level * WEEKDAYS[day % 7] * campaign * math.exp(chance.gauss(0, 0.15))


KINDS: tuple[Callable[[random.Random, int], Iterator[float]], ...] = (
    steady,
    overdispersed,
    drifting,
    trending,
    weekends_only,
    newly_started,
    with_campaigns,
)


def healthy(chance: random.Random) -> dict[int, list[int]]:
    """Pageviews by day of each team; the teams of a kind follow each other."""
    made = {}
    for kind in KINDS:
        for _ in range(TEAMS_OF_A_KIND):
            made[len(made) + 1] = [poisson(chance, mean) for mean in kind(chance, 7 * WEEKS)]
    return made


def kind_of(team_id: int) -> str:
    return KINDS[(team_id - 1) // TEAMS_OF_A_KIND].__name__


def measure_quality(clickhouse, settings, today: date, seeds: range) -> dict[str, float]:
    """False alarms a week of 1,000 healthy teams, and precision and recall of each drop, over all seeds."""
    from web_analytics.detection import low_volume
    from web_analytics.rules.partitions import DateRange

    first, judged = today - timedelta(weeks=WEEKS), DateRange(today - timedelta(weeks=WEEKS_JUDGED), today)

    def found(pageviews: dict[int, list[int]], percent: int) -> tuple[set[tuple[int, int]], list]:
        clickhouse.run("benchmarks/truncate", names={"table": "web_analytics_activity"})
        clickhouse.insert(
            "benchmarks/insert_activity",
            (
                {
                    "partition_date": first + timedelta(days=day),
                    "team_id": team_id,
                    "ingested_on": first + timedelta(days=day),
                    "pageviews": count,
                }
                for team_id, counts in pageviews.items()
                for day, count in enumerate(counts)
                if count
            ),
        )
        said = low_volume.ask(
            clickhouse, replace(settings, low_volume_percent=percent), judged, list(pageviews), first
        )
        return {(low.team_id, (day.partition_date - first).days) for day in said for low in day.low}, said

    results: dict[str, float] = {}
    alarms: Counter[str] = Counter()
    for percent in (settings.low_volume_percent, 75):
        label = "" if percent == settings.low_volume_percent else f"_at_{percent}_percent"
        false, hits, misses, wrong = 0, Counter(), Counter(), Counter()
        for seed in seeds:
            chance = random.Random(seed)
            teams = healthy(chance)
            low, _ = found(teams, percent)
            false += len(low)
            if not label:
                alarms.update(kind_of(team_id) for team_id, _ in low)
            for drop in DROPS:
                changed = dict(teams)
                lost = set()
                for team_id in chance.sample(sorted(teams), len(teams) * DROPPED_PERCENT // 100):
                    counts = list(teams[team_id])
                    day = chance.randrange(7 * (WEEKS - WEEKS_JUDGED), 7 * WEEKS)
                    usual = sorted(counts[day - 7 * week] for week in range(1, 9))[3]
                    if usual < settings.low_volume_min_pageviews or not any(counts[: day - 28]):
                        continue  # no verdict, whatever happens
                    counts[day] = thinned(chance, counts[day], 1 - drop / 100)
                    changed[team_id] = counts
                    lost.add((team_id, day))
                low, _ = found(changed, percent)
                hits[drop] += len(low & lost)
                misses[drop] += len(lost - low)
                wrong[drop] += len(low - lost)
        team_weeks = len(seeds) * TEAMS_OF_A_KIND * len(KINDS) * WEEKS_JUDGED
        results[f"low_false_alarms_a_week_1000_teams{label}"] = 1000 * false / team_weeks
        for drop in DROPS:
            results[f"low_precision_drop_{drop}{label}"] = hits[drop] / max(1, hits[drop] + wrong[drop])
            results[f"low_recall_drop_{drop}{label}"] = hits[drop] / max(1, hits[drop] + misses[drop])
    for kind in KINDS:
        of_kind = len(seeds) * TEAMS_OF_A_KIND * WEEKS_JUDGED
        results[f"low_false_alarms_{kind.__name__}"] = 1000 * alarms[kind.__name__] / of_kind

    # Days that all teams share: yesterday is a holiday, or nothing arrived.
    chance = random.Random(seeds.stop)
    teams = healthy(chance)
    for label, left in (
        ("holiday", lambda: min(1.0, max(0.1, chance.gauss(0.5, 0.15)))),
        ("total_loss", lambda: 0.0),
    ):
        changed = {
            team_id: [*counts[:-1], thinned(chance, counts[-1], left())] for team_id, counts in teams.items()
        }
        _, said = found(changed, settings.low_volume_percent)
        results[f"low_marks_on_{label}_percent"] = 100 * len(said[-1].low) / said[-1].judged
        results[f"low_{label}_is_told_as_common"] = float(said[-1].is_common_fall)
    return results


def measure_cost(clickhouse, pid: int, settings, today: date, rounds: int) -> dict[str, float]:
    """CPU seconds of the server for the verdicts on 20,000 teams."""
    from web_analytics.detection import low_volume
    from web_analytics.rules.partitions import DateRange

    for offset in (0, 45):
        clickhouse.run(
            "benchmarks/fill_volumes",
            {"teams": 20_000, "days": 45, "date_end": today - timedelta(days=offset)},
        )
    results = {}
    for days in (30, 7):
        asked = DateRange(today - timedelta(days=days), today)
        cpu, wall = _cost(
            pid,
            lambda asked=asked: low_volume.ask(
                clickhouse, settings, asked, range(20_000), asked.start - timedelta(days=60)
            ),
            rounds,
        )
        results[f"low_cpu_s_20k_teams_{days}_days"] = cpu
        results[f"low_wall_s_20k_teams_{days}_days"] = wall
    return results
