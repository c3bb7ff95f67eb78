-- The state of every day of a few teams, in both tables. Days without events, rows and ledger entry are left out.
-- Parameters: date_start, date_end, since, min_daily_pageviews, stale_min_events; of months whose states are kept (from_kept)
--   keep_ids instead of the last three. External table selected_teams (team_id).
-- Columns: team_id; days, stats_states, bounces_states: arrays in the same order.
SELECT
    team_id,
    groupArray(partition_date) AS days,
    groupArray(stats_state) AS stats_states,
    groupArray(bounces_state) AS bounces_states
FROM
(
{% if from_kept %}
{% include "detection/kept_states.sql" %}
{% else %}
{% include "detection/coverage.sql" %}
{% endif %}
)
GROUP BY team_id
