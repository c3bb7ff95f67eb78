-- What web_analytics_activity covers.
-- Parameters: source. Columns: scans, covered_from (the first day it covers), watermark (rows ingested before it
--   are known), reconciled_at (the last time that all covered days were scanned), server_now.
SELECT
    count() AS scans,
    minIf(date_start, kind IN ('extension', 'reconciliation')) AS covered_from,
    max(scans.watermark) AS watermark,
    maxIf(scanned_at, kind = 'reconciliation' OR is_first) AS reconciled_at,
    now64(6, 'UTC') AS server_now
FROM
(
    SELECT *, scanned_at = min(scanned_at) OVER () AS is_first
    FROM web_analytics_activity_scans
    WHERE source = %(source)s
) AS scans
