-- When the owner of a lock last renewed it, and now, by the server's clock.
-- Parameters: token. Columns: renewed_at (1970 where it never did), now.
SELECT max(renewed_at) AS renewed_at, now64(3, 'UTC') AS now
FROM {{ lock_table }}
WHERE token = %(token)s
