-- What uniq() says of sets of sessions: an estimate, but one that depends on the set alone.
-- Parameters: none. External table visits (team_id, day, session). Columns: team_id, day, session_estimate.
SELECT team_id, day, uniq(session) AS session_estimate
FROM visits
GROUP BY team_id, day
