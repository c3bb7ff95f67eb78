-- The teams whose rows of a day are from one build, by the ledger.
-- Parameters: partition_date, build. Columns: team_id.
SELECT DISTINCT team_id
FROM web_analytics_backfill_ledger
WHERE partition_date = %(partition_date)s AND build = %(build)s
ORDER BY team_id
