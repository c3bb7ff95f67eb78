-- A PostHog-shaped events table. Some properties are also materialized as columns, in the two forms that
-- PostHog uses (String and Nullable), the others are only in the JSON: the source view must cope with both.
CREATE TABLE IF NOT EXISTS events
(
    uuid UUID,
    event String,
    properties String,
    timestamp DateTime64(6, 'UTC'),
    team_id Int64,
    distinct_id String,
    person_id UUID,
    `$session_id` String,
    _timestamp DateTime('UTC'),
    inserted_at Nullable(DateTime64(6, 'UTC')),
    `mat_$host` String
        MATERIALIZED trim(BOTH '"' FROM JSONExtractRaw(properties, '$host')),
    `mat_$pathname` String
        MATERIALIZED trim(BOTH '"' FROM JSONExtractRaw(properties, '$pathname')),
    `mat_$browser` Nullable(String)
        MATERIALIZED JSONExtract(properties, '$browser', 'Nullable(String)'),
    mat_utm_source Nullable(String)
        MATERIALIZED JSONExtract(properties, 'utm_source', 'Nullable(String)')
)
ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
