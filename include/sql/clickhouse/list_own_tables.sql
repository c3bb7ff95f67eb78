-- The tables of the package, per-run ones too, that other nodes write to as well.
-- Parameters: none. Columns: name.
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND (startsWith(name, 'web_analytics_') OR startsWith(name, 'web_pre_aggregated_'))
  AND match(engine, '^(Replicated|Shared).*MergeTree$')
ORDER BY name
