-- The teams whose day is in both tables although no build of it is recorded: written by another system.
-- Parameters: date_start, date_end. External table selected_teams (team_id). Columns: team_id.
SELECT team_id
FROM {{ stats }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
  AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
  AND team_id IN
  (
      SELECT team_id
      FROM {{ bounces }}
      WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
  )
  AND team_id NOT IN
  (
      SELECT team_id
      FROM web_analytics_backfill_ledger
      WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
  )
GROUP BY team_id
ORDER BY team_id
