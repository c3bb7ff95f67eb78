-- Drops what an exchange, or one that was broken off, has left.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
DROP DICTIONARY IF EXISTS {{ dictionary }}{{ lasting.on_cluster }}
