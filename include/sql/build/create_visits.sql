-- Creates the list of visits: one row per bucket, team and session, with what all its events tell. A session without
-- pageviews, and events without a valid session, have no first pageview; they count for what was read.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ visits }}
(
    period_bucket DateTime('UTC'),
    team_id Int64,
    session_id String,
    first_uuid UUID COMMENT 'the first pageview, whose row gives the dimensions',
    first_timestamp DateTime64(6, 'UTC'),
    first_version UInt64,
    first_tie_key UInt64,
    distinct_id String COMMENT 'of the last pageview, like person_id',
    person_id UUID,
    pathnames Array(String) COMMENT 'one element per pageview, the first one first',
    duration_seconds Int64,
    is_bounce Bool,
    source_events UInt64,
    source_fingerprint UInt64 COMMENT 'sum of the fingerprints of these events',
    newest_ingested_at DateTime64(6, 'UTC')
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY tuple()
