{#
  How the statements that make and change lasting tables reach the nodes (clickhouse/placement.py).

  on_cluster        after the table's name: the clause by which the server passes the statement on to every node
  engine(name, arguments)   the engine. Made node by node, a replicated table names its path in Keeper: the server's own
                    default has the table's UUID, which only ON CLUSTER and a Replicated database make the same on all nodes
#}
{% set on_cluster = " ON CLUSTER '" ~ cluster ~ "'" if ddl_on_cluster else "" %}
{% macro engine(name, arguments="") -%}
{% set path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'" if replicated and keeper_path else "" -%}
{% set all = [path, arguments] | select | join(", ") -%}
{{ "Replicated" if replicated }}{{ name }}{{ "(" ~ all ~ ")" if all }}
{%- endmacro %}
