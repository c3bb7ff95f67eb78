{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='AggregatingMergeTree()',
    partition_by='toYYYYMMDD(period_bucket)',
    order_by='SORTING_KEY'
) }}
