-- 1.0.0: says on a table that was there before, for example PostHog's, who writes it now.
-- Parameters: none.
ALTER TABLE web_pre_aggregated_stats{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    MODIFY COMMENT 'Written only by the web_analytics DAGs: any other write makes its sums wrong.'
