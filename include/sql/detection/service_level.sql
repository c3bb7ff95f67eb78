-- How many days of teams were on time: built for the first time in both tables within so many hours of the day's end. Which
-- ones count, docs/semantics.md says; a test compares this statement with a model of it. Neither the events nor the tables are read.
-- Parameters: date_start, date_end (days whose deadline has passed), known_until (the first day of which nobody has looked at
--   the source since it ended; after date_start), hours, min_pageviews (at least 1). External table selected_teams (team_id).
--   days: how many days the range has, at most 64.
-- Columns: partition_date, expected (teams whose day counts), late (those of them that were not on time); one row for each day,
--   the oldest first.
{% set never = "toDateTime64(0, 6, 'UTC')" %}
WITH
    held AS
    (
        SELECT
            team_id,
            sumResample(0, {{ days }}, 1)(pageviews, toUInt16(partition_date - toDate(%(date_start)s))) AS daily
        FROM web_analytics_activity FINAL
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
          -- what was ingested on the day of the deadline or later may have come too late for any build
          AND ingested_on <= partition_date + intDiv(%(hours)s, 24)
        GROUP BY team_id
        HAVING team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
    ),
    -- An entry carries over when its day was built first, so older versions of it need not be told from the newest: no FINAL.
    -- A week before the range tells of most teams that they did not begin within it.
    built AS
    (
        SELECT
            team_id,
            min(first) AS first_build,
            bitAnd(groupBitOrIf(day, is_of_stats), groupBitOrIf(day, NOT is_of_stats)) AS on_time
        FROM
        (
            SELECT
                team_id,
                first_built_at AS first,
                table_name = 'web_pre_aggregated_stats' AS is_of_stats,
                if(partition_date >= %(date_start)s
                   AND first <= toDateTime64(partition_date + 1, 6, 'UTC') + toIntervalHour(%(hours)s),
                   bitShiftLeft(toUInt64(1), toUInt8(partition_date - toDate(%(date_start)s))), 0) AS day
            FROM web_analytics_backfill_ledger
            WHERE partition_date >= toDate(%(date_start)s) - 7 AND partition_date < %(date_end)s
              AND table_name IN ('web_pre_aggregated_stats', 'web_pre_aggregated_bounces')
              AND first_built_at > {{ never }}
        )
        GROUP BY team_id
    ),
    enabled AS
    (
        SELECT JSONExtractUInt(details, 'team_id') AS team_id, max(logged_at) AS enabled_at
        FROM web_analytics_backfill_log
        WHERE kind = 'team' AND JSONExtractBool(details, 'after', 'enabled') AND NOT JSONExtractBool(details, 'before', 'enabled')
        GROUP BY team_id
    ),
    counted AS
    (
        SELECT
            built.on_time AS on_time,
            toDate(greatest(built.first_build, enabled.enabled_at), 'UTC') AS begins,
            toUInt32(toDate(%(known_until)s) - toDate(%(date_start)s)) AS last_known,
            arrayMap(
                (pageviews, place) ->
                    toDate(%(date_start)s) + place - 1 >= begins
                    -- Of days that nobody has looked at, the team has what it had on the last one that somebody has.
                    AND (pageviews >= %(min_pageviews)s OR (place > last_known AND held.daily[last_known] >= %(min_pageviews)s)),
                held.daily, arrayEnumerate(held.daily)) AS counts
        FROM held
        -- A team of which nothing was ever built does not count.
        INNER JOIN built ON built.team_id = held.team_id
        LEFT JOIN enabled ON enabled.team_id = held.team_id
    )
SELECT
    toDate(%(date_start)s) + of_day.1 - 1 AS partition_date,
    of_day.2 AS expected,
    of_day.3 AS late
FROM
(
    SELECT
        sumForEach(counts) AS expected_on,
        sumForEach(arrayMap((each, place) -> each AND NOT bitTest(on_time, place - 1), counts, arrayEnumerate(counts))) AS late_on
    FROM counted
)
ARRAY JOIN arrayZip(arrayEnumerate(expected_on), expected_on, late_on) AS of_day
ORDER BY partition_date
