-- Makes a gap of the sample data: takes a day out of a target.
-- Parameters: partition_id (YYYYMMDD).
ALTER TABLE {{ target }} DROP PARTITION ID %(partition_id)s
