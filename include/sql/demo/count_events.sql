-- Whether the source has events already.
-- Parameters: none. Columns: events.
SELECT count() AS events
FROM events
