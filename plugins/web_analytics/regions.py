"""Several ClickHouse installations in one Airflow: every DAG once more for each region (docs/scaling.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from web_analytics import parsers
from web_analytics.errors import BadSetting

REGION_SEPARATOR = "__"

_REGIONS_VARIABLE = "WEB_ANALYTICS_REGIONS"

_OPTIONAL_CONNECTIONS = ("WEB_ANALYTICS_SETUP_CONN_ID", "WEB_ANALYTICS_READER_CONN_ID")

_REGION_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")


def parse_names(text: str) -> tuple[str, ...]:
    names = parsers.comma_separated(text)
    if not all(_REGION_NAME.fullmatch(name) for name in names):
        raise ValueError
    return names


def region_names() -> tuple[str, ...]:
    """The regions for which there are DAGs; none while WEB_ANALYTICS_REGIONS is not acceptable, which the first
    task of a run says."""
    return parsers.peek(os.environ, _REGIONS_VARIABLE, "", parse_names)


def region_of(dag_id: str) -> str:
    """The region that a DAG serves; empty for the connection without a region."""
    _, _, region = dag_id.rpartition(REGION_SEPARATOR)
    return region if region in region_names() else ""


def suffix_of(region: str) -> str:
    """What the ids of a region's DAGs end with."""
    return REGION_SEPARATOR + region if region else ""


def region_suffix() -> str:
    """What the ids of DAGs end with in the region of the running task; empty outside of one."""
    return suffix_of(region_of(os.environ.get("AIRFLOW_CTX_DAG_ID", "")))


def environment_of(environment: Mapping[str, str], suffix: str) -> dict[str, str]:
    """The environment as a region sees it: a variable that ends with its name wins.

    :raises BadSetting: the region has no connection of its own.
    """
    if not suffix:
        return environment
    ending = suffix.upper()
    connection = f"WEB_ANALYTICS_CLICKHOUSE_CONN_ID{ending}"
    if not environment.get(connection, "").strip():
        raise BadSetting(connection, "", "the id of the Airflow connection of this region")
    own = {name.removesuffix(ending): value for name, value in environment.items() if name.endswith(ending)}
    # Another installation's: where the region has none of these, it is its one connection.
    return {**environment, **dict.fromkeys(_OPTIONAL_CONNECTIONS, ""), **own}


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
