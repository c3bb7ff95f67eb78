-- Records a finished scan.
-- Parameters: source, kind, date_start, date_end, watermark, scanned_at, rows_read, seconds.
INSERT INTO web_analytics_activity_scans
    (source, kind, date_start, date_end, watermark, scanned_at, rows_read, seconds)
SELECT
    %(source)s, %(kind)s, %(date_start)s, %(date_end)s, toDateTime64(%(watermark)s, 6, 'UTC'),
    toDateTime64(%(scanned_at)s, 6, 'UTC'), %(rows_read)s, %(seconds)s
