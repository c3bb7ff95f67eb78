"""What a DAG file is made of: assets, default arguments, the tasks of a date, retries."""
