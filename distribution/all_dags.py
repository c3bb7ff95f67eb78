"""Makes all DAGs of the installed package, for one file in a dags folder::

    from web_analytics.dags import create_airflow_dags

    create_airflow_dags()

Only the wheel has this module, as ``web_analytics.dags``; in a checkout the files of ``dags/`` stand for themselves.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys


def create_airflow_dags() -> None:
    """Has the DAG files register their DAGs with the file that calls this."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):  # noqa: F821  # Packages have one.
        # Airflow reads a file more than once in a process; a DAG registers itself only when it is made.
        sys.modules.pop(module.name, None)
        importlib.import_module(module.name)
