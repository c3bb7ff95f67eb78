-- The newest try of a step that has begun under a lock.
-- Parameters: token, step. Columns: try_number, try_token; no row before the first try.
SELECT try_number, try_token
FROM {{ lock_table }}
WHERE token = %(token)s AND step = %(step)s
ORDER BY try_number DESC, renewed_at DESC
LIMIT 1
