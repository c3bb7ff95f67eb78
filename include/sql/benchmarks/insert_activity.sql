-- Writes rows of the kept activity as they are given.
INSERT INTO web_analytics_activity (partition_date, team_id, ingested_on, pageviews) VALUES
