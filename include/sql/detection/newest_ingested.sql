-- The newest ingestion time that is known of the rows ingested since a day began, none from the future and none that
-- only a build has seen since.
-- Parameters: since, now, scanned_at (of the scan that has just been made). Columns: newest (1970 where there are none).
SELECT maxIf(newest_ingested_at, newest_ingested_at <= toDateTime64(%(now)s, 6, 'UTC')) AS newest
FROM web_analytics_activity
WHERE ingested_on >= toDate(toDateTime64(%(since)s, 6, 'UTC')) AND scanned_at <= toDateTime64(%(scanned_at)s, 6, 'UTC')
