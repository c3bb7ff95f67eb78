MODEL (
  name DATABASE.MODEL_NAME,
  kind INCREMENTAL_BY_TIME_RANGE (time_column period_bucket, batch_size 1),
  partitioned_by toYYYYMMDD(period_bucket),
  physical_properties (order_by = (SORTING_KEY))
);
