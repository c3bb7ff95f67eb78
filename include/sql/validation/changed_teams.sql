-- The teams of which the source holds other events of a day than the newest build of a table has read, as
-- detection/coverage.sql tells it.
-- Parameters: date_start, date_end (the day). External table selected_teams (team_id).
-- Columns: table_name, team_id.
SELECT table_name, team_id
FROM
(
    SELECT table_name, team_id, build, source_fingerprint
    FROM web_analytics_backfill_ledger FINAL
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
) AS built
LEFT JOIN
(
    SELECT team_id, sum(fingerprint) AS fingerprint
    FROM
    (
{% with only_new = false, only_selected = true %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
    )
    GROUP BY team_id
) AS held ON held.team_id = built.team_id
WHERE build != '' AND source_fingerprint != fingerprint
ORDER BY table_name, team_id
