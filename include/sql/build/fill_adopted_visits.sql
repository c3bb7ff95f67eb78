-- Records what the source holds of a day, one row per team: adopted rows are as new as what they are compared with.
-- Parameters: date_start, date_end.
INSERT INTO {{ visits }} (team_id, source_events, source_fingerprint, newest_ingested_at)
SELECT toInt64(team_id), sum(events), sum(fingerprint), max(newest_ingested_at)
FROM
(
{% with only_new = false, only_selected = true, selected_teams = build_teams %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
)
GROUP BY team_id
