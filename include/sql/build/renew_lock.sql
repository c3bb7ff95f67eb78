-- Renews the lock by a row of its owner: rows of a former owner change nothing.
-- Parameters: token.
INSERT INTO {{ lock_table }} (token) SELECT %(token)s
