"""Several ClickHouse installations in one Airflow: every DAG once more for each region (docs/scaling.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from web_analytics.settings import REGION_SEPARATOR, region_names


def for_each_region(create_dag: Callable[[], Any]) -> Any:
    """Creates a DAG, and a copy of it for each region of WEB_ANALYTICS_REGIONS, ``<dag_id>__<region>``.

    Airflow finds all of them; a copy's tasks read the settings of its region.

    :returns: the DAG without a region.
    """
    # The copies first: Airflow keeps no second DAG of one id, and a copy has its own id only from here on.
    for region in region_names():
        dag = create_dag()
        dag.dag_id = f"{dag.dag_id}{REGION_SEPARATOR}{region}"
        dag.tags.add(f"region {region}")
    return create_dag()
