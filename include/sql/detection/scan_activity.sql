-- What the source holds of each day and team, by day of ingestion: by the writer's own bucket rule, so that every
-- gap found from it can be filled. Part of other statements.
-- Parameters: date_start, date_end; since (only_new: rows ingested from then on).
--   only_selected: teams of the external table selected_teams, or of a table of that name; has_part_name: whether the view tells a row's part.
-- Columns: partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at.
-- An event may have several rows. Those that may are told by 32 bits of a hash of their ids, in a first pass over the
-- ids alone: the few that only look alike are reduced to themselves.
{% import "macros.sql" as macros %}
{% macro rows_looked_at() -%}
    FROM web_analytics_source_events
    WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
      AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
{% if only_selected %}
      AND team_id GLOBAL IN (SELECT team_id FROM {{ selected_teams | default("selected_teams") }})
{% endif %}
{% if only_new %}
      AND ingested_at >= toDateTime64(%(since)s, 6, 'UTC')
{% if has_part_name %}
      -- A row lies in a part that was written after it was ingested, by clocks that differ by less than an hour. Outdated
      -- parts are listed too: a merge that ends while this statement begins must not hide rows.
      AND part_name IN
      (SELECT name FROM system.parts WHERE modification_time + INTERVAL 1 HOUR >= toDateTime(%(since)s, 'UTC'))
{% endif %}
{% endif %}
{%- endmacro %}
{% set id_hash = "toUInt32(cityHash64(uuid))" %}
{% set rows %}
        SELECT *
        FROM
        (
            SELECT
                team_id, uuid, event, timestamp, ingested_at, version, tie_key, tie_position, session_id,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            {{ rows_looked_at() }}
        )
        WHERE {{ macros.in_days() }}
{% endset %}
{% set is_repeated %}
{{ id_hash }} GLOBAL IN
        (
            SELECT {{ id_hash }} AS id
            {{ rows_looked_at() }}
            GROUP BY id
            HAVING count() > 1
        )
{%- endset %}
{{ macros.activity_of(rows, is_repeated) }}
