-- 1.0.0: what was kept before 0009 counts otherwise. Without a record of scans all is scanned anew.
-- Parameters: none.
TRUNCATE TABLE web_analytics_activity_scans{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
