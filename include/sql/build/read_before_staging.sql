-- What is to be known before a day is read from its source.
-- Parameters: source. Columns: has_person_overrides (whether people are merged in this installation), scan_at (the instant of
--   a scan that begins now: newer than all others, whatever the clock says).
{% import "macros.sql" as macros %}
SELECT
    (
{% include "source/has_person_overrides.sql" %}
    ) AS has_person_overrides,
    (
        SELECT {{ macros.newer_than("max(scanned_at)") }}
        FROM web_analytics_activity_scans
        WHERE source = %(source)s
    ) AS scan_at
