-- The teams of a build of which it has read other events than what is kept of its day comes to: all their days of ingestion
-- are in the fingerprint.
-- Parameters: date_start, date_end (the day). Columns: team_id.
SELECT team_id
FROM
(
    SELECT team_id, toInt64(source_events) AS events, toInt64(source_fingerprint) AS fingerprint
    FROM {{ visits }}
    UNION ALL
    SELECT toInt64(team_id), -toInt64(events), -toInt64(fingerprint)
    FROM web_analytics_activity FINAL
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND team_id IN (SELECT team_id FROM {{ build_teams }})
)
GROUP BY team_id
-- both wrap around, as the sum of fingerprints does
HAVING sum(events) != 0 OR sum(fingerprint) != 0
