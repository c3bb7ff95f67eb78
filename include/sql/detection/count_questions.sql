-- How often dashboards asked lately for what a run has found: for each date the number of queries that asked one of the
-- pre-aggregated tables for one of its teams with a gap there. A query that asks for two of these teams counts twice.
-- From the query log of the node that the connection leads to, or of all where it may lead to any; docs/operations.md says
-- how teams and days are read out of a query. Stopped by the server rather than slow: it must not cost more than it is worth.
-- Parameters: states, asked_since, date_start, date_end; plan_id (stored), or those of detection/coverage.sql: since,
--   min_daily_pageviews, stale_min_events, with the external table selected_teams.
-- Columns: partition_date, questions.
{% set team = "(?:_CAST\\\\(|toU?Int\\\\d+\\\\()?\\'?" %}
SELECT partition_date, sum(asked.questions) AS questions
FROM
(
    SELECT DISTINCT partition_date, team_id
{% if stored %}
    FROM web_analytics_backfill_plan
    WHERE plan_id = %(plan_id)s
      AND (stats_state IN %(states)s OR bounces_state IN %(states)s)
{% else %}
    FROM
    (
{% include "detection/states.sql" %}
    )
    WHERE stats_state IN %(states)s OR bounces_state IN %(states)s
{% endif %}
) AS waiting
INNER JOIN
(
    SELECT arrayJoin(team_ids) AS team_id, arrayJoin(days) AS day, sum(times) AS questions
    FROM
    (
        SELECT
            team_ids,
            arrayMap(n -> first_day + n, range(least(toUInt32(greatest(last_day - first_day, 0)), 366) + 1)) AS days,
            count() AS times
        FROM
        (
            SELECT
                arrayDistinct(arrayMap(id -> toUInt64OrZero(id), arrayConcat(
                    extractAll(query, '(?i)\\bteam_id[`"]?\\)?\\s*=+\\s*{{ team }}(\\d+)'),
                    extractAll(query, '(?i)\\bequals\\(\\s*[\\w.`"]*\\bteam_id[`"]?\\s*,\\s*{{ team }}(\\d+)'),
                    extractAll(log_comment, '"team_id"\\s*:\\s*"?(\\d+)'),
                    arrayFlatten(arrayMap(list -> extractAll(list, '\\d+'), arrayConcat(
                        extractAll(query, '(?i)\\bteam_id[`"]?\\)?\\s+(?:GLOBAL\\s+)?IN\\s*(?:_CAST)?[(\\[]+([\\d\\s,]+)'),
                        extractAll(query, '(?i)\\b(?:global)?in\\(\\s*[\\w.`"]*\\bteam_id[`"]?\\s*,\\s*(?:tuple|array|_CAST)?[(\\[]+([\\d\\s,]+)')
                    )))
                ))) AS team_ids,
                arrayMap(text -> toDateOrZero(text),
                    extractAll(log_comment, '"date_(?:from|to|start|end)"\\s*:\\s*"(20\\d\\d-\\d\\d-\\d\\d)')) AS days_of_comment,
                arrayFilter(day -> day > toDate(0), arrayConcat(
                    arrayMap(text -> toDateOrZero(text), extractAll(query, '\\b(20\\d\\d-\\d\\d-\\d\\d)')),
                    arrayMap(text -> toDate(toDateTime(toUInt32OrZero(text), 'UTC')),
                        extractAll(query, '(?i)\\b(?:toDateTime(?:64)?|fromUnixTimestamp)\\(\\s*(1\\d{9}|2\\d{9})\\b')),
                    arrayMap(text -> toDate(toDateTime(toUInt32(intDiv(toUInt64OrZero(text), 1000)), 'UTC')),
                        extractAll(query, '(?i)\\bfromUnixTimestamp64Milli\\(\\s*(\\d{13})\\b')))) AS days_of_text,
                if(empty(days_of_comment), days_of_text, days_of_comment) AS named_days,
                arrayMap(text -> toUInt32OrZero(text), arrayConcat(
                    extractAll(query, '(?i)\\bINTERVAL\\s+\'?(\\d+)\'?\\s*DAY'),
                    extractAll(query, '(?i)\\btoIntervalDay\\(\\s*(\\d+)'),
                    extractAll(query, '(?i)\\bsubtractDays\\([^,]*,\\s*(\\d+)'),
                    extractAll(query, '(?i)\\b(?:today|yesterday|now)\\(\\)\\)?\\s*-\\s*(\\d+)\\b'))) AS days_back,
                multiIf(
                    notEmpty(named_days), arrayMin(named_days),
                    notEmpty(days_back), event_date - least(arrayMax(days_back), 366),
                    toDate(%(date_start)s)) AS asked_from,
                if(length(named_days) > 1, arrayMax(named_days), event_date) AS asked_to,
                greatest(asked_from, toDate(%(date_start)s)) AS first_day,
                least(asked_to, toDate(%(date_end)s) - 1) AS last_day
            FROM {{ "clusterAllReplicas('" ~ cluster ~ "', system.query_log)" if all_nodes else "system.query_log" }}
            WHERE event_date >= toDate(%(asked_since)s) AND event_time >= %(asked_since)s
              AND type = 'QueryFinish' AND query_kind = 'Select'
              AND hasAny(tables, arrayMap(
                  name -> toLowCardinality(concat(currentDatabase(), '.', name)),
                  ['web_pre_aggregated_stats', 'web_pre_aggregated_bounces',
                   'distributed_web_pre_aggregated_stats', 'distributed_web_pre_aggregated_bounces']))
              -- the package's own statements have the name of their file there
              AND NOT match(log_comment, '^[a-z_]+/[a-z0-9_/]+$')
        )
        WHERE notEmpty(team_ids) AND length(team_ids) <= 1000 AND first_day <= last_day
        GROUP BY team_ids, days
    )
    GROUP BY team_id, day
) AS asked ON asked.team_id = waiting.team_id AND asked.day = waiting.partition_date
GROUP BY partition_date
ORDER BY partition_date DESC
SETTINGS max_execution_time = 10, max_rows_to_read = 100000000, max_bytes_to_read = 10000000000, max_memory_usage = 2000000000
