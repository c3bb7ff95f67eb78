-- Ingests one event in five hundred a second time, a minute later.
-- Parameters: none.
INSERT INTO events
SELECT * REPLACE (_timestamp + 60 AS _timestamp, inserted_at + INTERVAL 60 SECOND AS inserted_at)
FROM events
WHERE cityHash64(uuid) %% 500 = 0
