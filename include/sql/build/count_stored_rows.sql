-- The live rows that a target holds of a day, those a build keeps and those it replaces, and the rows it brings.
-- Parameters: date_start, date_end. Columns: kept, replaced, fresh.
SELECT
    countIf(team_id NOT IN (SELECT team_id FROM {{ build_teams }})) AS kept,
    countIf(team_id IN (SELECT team_id FROM {{ build_teams }})) AS replaced,
    (SELECT count() FROM {{ fresh }}) AS fresh
FROM {{ target }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
