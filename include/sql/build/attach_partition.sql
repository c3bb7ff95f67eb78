-- Hard-links the parts of a day from one table into another of the same definition; copies no data.
-- Parameters: partition_id (YYYYMMDD).
ALTER TABLE {{ table }} ATTACH PARTITION ID %(partition_id)s FROM {{ source_table }}
