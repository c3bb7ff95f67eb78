-- 1.0.0: what was kept before 0009 counts otherwise. Without a record of scans all is scanned anew.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
TRUNCATE TABLE web_analytics_activity_scans{{ lasting.on_cluster }}
