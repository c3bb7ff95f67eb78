-- Cancels what, in this database, earlier tries of a task still run, and waits until it is gone. A try that was declared
-- dead and wakes up here must not end the queries of a later one.
-- Parameters: task_prefix (beginning of all tries' query ids), try_prefix (that of the present try), database.
-- Columns: those of KILL QUERY.
{% macro number_of(text) -%}
toUInt32OrZero(extract(substring({{ text }}, length(%(task_prefix)s) + 1), '^[0-9]+'))
{%- endmacro %}
KILL QUERY{{ " ON CLUSTER '" ~ cluster ~ "'" if kill_on_cluster }} WHERE current_database = {{ "%(database)s" if kill_on_cluster else "currentDatabase()" }} AND startsWith(query_id, %(task_prefix)s) AND {{ number_of("query_id") }} < {{ number_of("%(try_prefix)s") }} SYNC
