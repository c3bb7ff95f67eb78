-- Punches a hole into a table: one day of some teams.
-- Parameters: day, team_ids (a list).
DELETE FROM {{ table }} WHERE toDate(period_bucket, 'UTC') = %(day)s AND has(%(team_ids)s, team_id)
