-- Says that the states of a month are kept: from here on they are found there.
-- Parameters: date_start, date_end, version, rules, keep_id, days_kept. External table selected_teams (team_id): that
--   were looked at.
INSERT INTO web_analytics_kept_months (date_start, date_end, version, rules, keep_id, kept_rows, team_ids, kept_until)
SELECT
    toDate(%(date_start)s), toDate(%(date_end)s), toUInt64(%(version)s), %(rules)s, %(keep_id)s,
    (SELECT count() FROM web_analytics_kept_states WHERE keep_id = %(keep_id)s),
    (SELECT groupArray(toUInt64(team_id)) FROM selected_teams),
    now('UTC') + toIntervalDay(%(days_kept)s)
