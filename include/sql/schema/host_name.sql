-- Which node answers.
-- Parameters: none. Columns: host_name.
SELECT hostName() AS host_name
