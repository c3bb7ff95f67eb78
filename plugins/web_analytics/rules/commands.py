"""The commands that reports and messages tell a person to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from web_analytics.regions import region_suffix


def trigger_command(dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
    """The shell command that triggers a DAG, in a region's task that of the region; its conf can also be pasted into
    the form of the UI."""
    return f"airflow dags trigger {dag_id}{region_suffix()}" + (
        f" --conf '{json.dumps(conf)}'" if conf else ""
    )
