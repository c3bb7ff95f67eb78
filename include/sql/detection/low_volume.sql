-- Which teams have suspiciously few pageviews for the weekday, by the rule of rules/low_volume.py, from the kept activity
-- alone. A property test compares the two.
-- Parameters: date_start, date_end (closed days), known_from (the first day that the activity knows), percent,
--   min_pageviews (at least 1), and the constants of the rule: min_weeks, deviations, from_mad, from_difference,
--   fallen_percent, min_teams, least_percent. External table selected_teams (team_id).
--   days: how many days the range has; weeks: of history before each day.
-- Columns: partition_date, judged, fallen, low: [(team_id, pageviews, usual)]; one row for each day, the oldest first.
-- One array of days for each team, and the weeks as slices of it that are a week apart: no joins, and nothing is sorted for
-- a team-day that is not far below its usual weekday, since a lower median exceeds a bound where more than half of the
-- values do. The steps are sub-selects: an alias that uses aliases is resolved again wherever it is used.
{% set history = 7 * weeks %}
{% macro exceeds(bound) %}({% for number in range(1, weeks + 1) %}(h{{ number }} > {{ bound }}){{ " + " if not loop.last }}{% endfor %} > intDiv(known_weeks, 2)){% endmacro %}
{% set weekdays %}{% for number in range(1, weeks + 1) %}, h{{ number }}{% endfor %}{% endset %}
{% macro lower_median(values) %}arraySort({{ values }})[intDiv(length({{ values }}) + 1, 2)]{% endmacro %}
WITH
    counted AS
    (
        SELECT
            team_id,
            sumResample(0, {{ history + days }}, 1)(
                pageviews, toUInt16(partition_date - toDate(%(date_start)s) + {{ history }})) AS daily
        FROM web_analytics_activity FINAL
        WHERE partition_date >= greatest(toDate(%(date_start)s) - {{ history }}, toDate(%(known_from)s))
          AND partition_date < %(date_end)s
        GROUP BY team_id
        HAVING team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
    ),
    begun AS
    (
        SELECT
            team_id, daily, arraySlice(daily, {{ history + 1 }}) AS found,
            -- of each day the next one with pageviews, itself included; 0 where none follows
            arraySlice(
                arrayReverseFill(each -> each > 0, arrayMap((each, place) -> if(each > 0, place, 0), daily, arrayEnumerate(daily))),
                1, {{ days }}) AS begins
        FROM counted
    ),
    with_weeks AS
    (
        SELECT
            team_id, daily, found,
            arrayMap((first, place) -> if(first = 0 OR first > place + {{ history - 1 }}, 0, intDiv(place + {{ history }} - first, 7)),
                begins, arrayEnumerate(begins)) AS weeks_of
        FROM begun
    ),
    compared AS
    (
        SELECT
            team_id, daily,
            -- 1: there is a verdict; 2: fallen; 4: far enough below the usual, unless too many others are, or it is noise.
            -- A median times p exceeds 100 times a value where it exceeds the whole part of their quotient.
            arrayMap((known_weeks, x{{ weekdays }}) -> if(
                    known_weeks >= %(min_weeks)s AND {{ exceeds("%(min_pageviews)s - 1") }},
                    1 + 2 * ({{ exceeds("intDiv(100 * x, %(fallen_percent)s)") }})
                    + 4 * ({{ exceeds("intDiv(100 * x, %(percent)s)") }}
                        -- Last week the day was not as low: a fall that is older than a week is the new usual.
                        AND NOT {{ exceeds("intDiv(100 * h1, %(percent)s)") }}),
                    0),
                weeks_of, found{% for number in range(1, weeks + 1) %}, arraySlice(daily, {{ 1 + history - 7 * number }}, {{ days }}){% endfor %}) AS marks
        FROM with_weeks
    ),
    together AS
    (
        SELECT
            sumForEach(arrayMap(mark -> mark > 0, marks)) AS judged_on,
            sumForEach(arrayMap(mark -> bitTest(mark, 1), marks)) AS fallen_on,
            groupArrayArray(
                arrayMap(
                    place -> (place, true, team_id, arraySlice(daily, place, {{ history + 1 }})),
                    arrayFilter((place, mark) -> bitTest(mark, 2), arrayEnumerate(marks), marks))) AS candidates
        FROM compared
    ),
    looked_at AS
    (
        SELECT
            row.1 AS place, row.2 AS is_candidate, row.3 AS team_id,
            judged_on[place] AS judged_teams, fallen_on[place] AS fallen_teams,
            row.4[-1] AS found,
            arraySlice(row.4, arrayFirstIndex(each -> each > 0, row.4), {{ history + 1 }} - arrayFirstIndex(each -> each > 0, row.4)) AS before
        FROM together
        -- a row for each day, whether or not anything is low
        ARRAY JOIN arrayConcat(candidates, arrayMap(place -> (toUInt32(place), false, toUInt64(0), [toUInt64(0)]), range(1, {{ days + 1 }}))) AS row
    ),
    with_weekdays AS
    (
        SELECT
            place, is_candidate, team_id, judged_teams, fallen_teams, found, before,
            arrayMap(number -> before[-7 * number], range(1, intDiv(length(before), 7) + 1)) AS same_weekdays
        FROM looked_at
    ),
    with_usual AS
    (
        SELECT
            place, is_candidate, team_id, judged_teams, fallen_teams, found, same_weekdays,
            {{ lower_median("same_weekdays") }} AS usual,
            has(same_weekdays, 0) AS is_sometimes_empty,
            arraySlice(before, 8) AS later_days,
            arraySlice(before, 1, greatest(0, toInt64(length(before)) - 7)) AS earlier_days
        FROM with_weekdays
    ),
    with_differences AS
    (
        SELECT
            place, is_candidate, team_id, judged_teams, fallen_teams, found, usual, is_sometimes_empty,
            arrayMap(each -> abs(toInt64(each) - toInt64(usual)), same_weekdays) AS distances,
            arrayFilter(each -> isFinite(each),
                arrayMap((later, earlier) -> 2 * abs(toInt64(later) - toInt64(earlier)) / (later + earlier), later_days, earlier_days)) AS changes
        FROM with_usual
    ),
    with_bounds AS
    (
        SELECT
            place, is_candidate, team_id, judged_teams, fallen_teams, found, usual, is_sometimes_empty,
            if(judged_teams < %(min_teams)s, %(percent)s,
               least(%(percent)s, greatest(%(least_percent)s, intDiv(%(percent)s * least(100 * judged_teams, 125 * (judged_teams - fallen_teams)), 100 * judged_teams)))) AS threshold,
            greatest(0., 1 - %(deviations)s / 2 * greatest(
                %(from_mad)s * {{ lower_median("distances") }} / usual,
                %(from_difference)s * {{ lower_median("changes") }},
                1 / sqrt(usual))) AS left
        FROM with_differences
    )
SELECT
    toDate(%(date_start)s) + place - 1 AS partition_date,
    any(judged_teams) AS judged,
    any(fallen_teams) AS fallen,
    arraySort(groupArrayIf(
        (team_id, found, usual),
        is_candidate AND 100 * found < threshold * usual AND (found < usual * (left * left) OR (found = 0 AND NOT is_sometimes_empty))
            AND team_id NOT IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE mute_low_volume))) AS low
FROM with_bounds
GROUP BY place
ORDER BY place
