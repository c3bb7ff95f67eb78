-- Says that a try of a step has begun, and with it that the owner of the lock is alive: rows of a former owner change
-- nothing.
-- Parameters: token, step, try_number, try_token.
INSERT INTO {{ lock_table }} (token, step, try_number, try_token)
SELECT %(token)s, %(step)s, %(try_number)s, %(try_token)s
