-- Records what a build stores of each of its teams in one table; teams without rows are recorded with zeros.
-- Parameters: table_name, partition_date, build, dag_id, run_id, query_id.
{% import "macros.sql" as macros %}
INSERT INTO web_analytics_backfill_ledger
    (table_name, partition_date, team_id, build, newest_ingested_at, source_events, source_fingerprint, pageviews, sessions,
     row_count, built_at, first_built_at, dag_id, run_id, query_id)
SELECT
    %(table_name)s, %(partition_date)s, teams.team_id, %(build)s, was_read.newest_ingested_at, was_read.source_events,
    was_read.source_fingerprint, stored.pageviews, stored.sessions, stored.row_count,
    {{ macros.newer_than("earlier.built_at") }} AS recorded_at,
    multiIf(
        earlier.first_built_at > toDateTime64(0, 6, 'UTC'), earlier.first_built_at,
        %(build)s = '', toDateTime64(0, 6, 'UTC'),
        recorded_at),
    %(dag_id)s, %(run_id)s, %(query_id)s
FROM {{ build_teams }} AS teams
LEFT JOIN
(
    SELECT
        team_id,
        sumMerge(pageviews_count_state) AS pageviews,
        uniqMerge(sessions_uniq_state) AS sessions,
        count() AS row_count
    FROM {{ fresh }}
    GROUP BY team_id
) AS stored ON stored.team_id = teams.team_id
LEFT JOIN
(
    SELECT
        toUInt64(team_id) AS team_id,
        max(newest_ingested_at) AS newest_ingested_at,
        sum(source_events) AS source_events,
        sum(source_fingerprint) AS source_fingerprint
    FROM {{ visits }}
    GROUP BY team_id
) AS was_read ON was_read.team_id = teams.team_id
LEFT JOIN
(
    SELECT
        team_id,
        max(ledger.built_at) AS built_at,
        minIf(ledger.first_built_at, ledger.first_built_at > toDateTime64(0, 6, 'UTC')) AS first_built_at
    FROM web_analytics_backfill_ledger AS ledger
    WHERE partition_date = %(partition_date)s AND table_name = %(table_name)s
    GROUP BY team_id
) AS earlier ON earlier.team_id = teams.team_id
