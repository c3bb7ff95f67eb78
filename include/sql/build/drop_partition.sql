-- Publishes a day of which no row remains. REPLACE PARTITION from a day without live rows is refused or
-- silently means this; here it is said.
-- Parameters: partition_id (YYYYMMDD).
ALTER TABLE {{ target }} DROP PARTITION ID %(partition_id)s
