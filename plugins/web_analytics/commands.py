"""The commands that reports and messages tell a person to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def trigger_command(dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
    """The shell command that triggers a DAG; its conf can also be pasted into the form of the UI."""
    return f"airflow dags trigger {dag_id}" + (f" --conf '{json.dumps(conf)}'" if conf else "")
