-- What the role of diagnostics, validation without history and the pages may do: read.
-- Parameters: none.
GRANT
    SELECT ON {{ database }}.*,
    SELECT ON system.tables,
    SELECT ON system.columns,
    SELECT ON system.databases,
    SELECT ON system.clusters,
    SELECT ON system.parts,
    SELECT ON system.processes,
    SELECT ON system.settings,
    dictGet ON {{ database }}.web_pre_aggregated_*
TO {{ role }}
