"""The REST API and the pages of the package in Airflow's API server."""
