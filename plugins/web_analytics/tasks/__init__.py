"""What the tasks of the DAGs do, one module a DAG."""
