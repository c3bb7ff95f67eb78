"""The commands that reports and messages tell a person to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def trigger_command(dag_id: str, conf: Mapping[str, Any] | None = None, *, suffix: str) -> str:
    """The shell command that triggers a DAG; its conf can also be pasted into the form of the UI.

    :param suffix: what the ids of DAGs end with in the region concerned (:func:`web_analytics.regions.region_suffix`).
    """
    return f"airflow dags trigger {dag_id}{suffix}" + (f" --conf '{json.dumps(conf)}'" if conf else "")
