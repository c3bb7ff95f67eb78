-- 1.0.0: says on a table that was there before, for example PostHog's, who writes it now.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_pre_aggregated_bounces{{ lasting.on_cluster }}
    MODIFY COMMENT 'Written only by the web_analytics DAGs: any other write makes its sums wrong.'
