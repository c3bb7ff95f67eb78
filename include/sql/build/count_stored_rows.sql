-- The live rows that each target holds of a day, those a build keeps and those it replaces, and the rows it brings.
-- Parameters: date_start, date_end. Columns: table_name, kept, replaced, fresh; one row for each table.
{% for target in targets %}
SELECT
    '{{ target }}' AS table_name,
    countIf(team_id NOT IN (SELECT team_id FROM {{ build_teams }})) AS kept,
    countIf(team_id IN (SELECT team_id FROM {{ build_teams }})) AS replaced,
    (SELECT count() FROM {{ fresh_tables[loop.index0] }}) AS fresh
FROM {{ target }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
{{ "UNION ALL" if not loop.last }}
{% endfor %}
