{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='period_bucket',
    batch_size='day',
    begin=var('begin'),
    unique_key=['team_id', 'period_bucket'],
    engine='AggregatingMergeTree()',
    partition_by='toYYYYMMDD(period_bucket)',
    order_by='SORTING_KEY'
) }}
