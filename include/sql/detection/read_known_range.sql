-- The range of days of which web_analytics_activity knows what the source holds.
-- Parameters: source. Columns: scans, known_from (the first day it knows), watermark (rows ingested before it
--   are known), scanned_at (the last scan), reconciled_at (the last time that all known days were scanned:
--   the days up to now are the last of them),
--   server_now, scan_at (the instant of a scan that begins now: newer than all others, whatever the clock says),
--   has_part_name (whether the source view tells a row's part).
{% import "macros.sql" as macros %}
SELECT
    count() AS scans,
    minIf(date_start, kind IN ('extension', 'reconciliation')) AS known_from,
    max(scans.watermark) AS watermark,
    max(scans.scanned_at) AS scanned_at,
    maxIf(scans.scanned_at, (kind = 'reconciliation' AND date_end > toDate(scans.scanned_at)) OR is_first) AS reconciled_at,
    now64(6, 'UTC') AS server_now,
    {{ macros.newer_than("max(scans.scanned_at)") }} AS scan_at,
    (
        SELECT count() > 0
        FROM system.columns
        WHERE database = currentDatabase() AND table = 'web_analytics_source_events' AND name = 'part_name'
    ) AS has_part_name
FROM
(
    SELECT *, scanned_at = min(scanned_at) OVER () AS is_first
    FROM web_analytics_activity_scans
    WHERE source = %(source)s
) AS scans
