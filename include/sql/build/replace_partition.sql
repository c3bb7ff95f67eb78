-- Publishes a day: readers see the old rows or the new ones, and repeating it changes nothing.
-- Parameters: partition_id (YYYYMMDD).
ALTER TABLE {{ target }} REPLACE PARTITION ID %(partition_id)s FROM {{ clone }}
