"""The matrix: Airflow × Python, each leg an environment of its own with the tests that depend on them.

``make test-matrix`` runs LEGS; any other leg by name: ``.venv/bin/nox --session "matrix-3.13(newest)"``.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
# A leg that is asked for and has no Python has not been run.
nox.options.error_on_missing_interpreters = True
nox.options.download_python = "never"

TOOLS = ("chdb>=4.4,<5", "pytest>=9", "pytest-xdist>=3", "hypothesis>=6")
TESTS = (
    "tests/dags",
    "tests/wiring",
    "tests/clickhouse/test_where_sql_is.py",
    "tests/tasks/test_backfill_dag.py",
)
# `airflow dags test` of Airflow 3.2 cannot ask a person: only the triggerer of a real deployment can.
ASKS_A_PERSON = "tests/tasks/test_cleanup_dag.py"
OF_3_2 = "tests/matrix/airflow-3.2.2.txt"
# Airflow 3.2 does not start with what pydantic and FastAPI have become since; a release's own constraints are of its time.
TIME_OF_3_2 = ("--exclude-newer", "2026-07-15")

AIRFLOWS = {
    "newest": ((), ("apache-airflow>=3.3,<3.4",)),
    "3.3.1": ((), ("apache-airflow", "--constraint", "tests/matrix/airflow-3.3.1.txt")),
    "3.2.2": (TIME_OF_3_2, ("apache-airflow", "--constraint", OF_3_2)),
    "lowest": (("--resolution", "lowest-direct", *TIME_OF_3_2), ("apache-airflow>=3.2.1",)),
}


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
@nox.parametrize("airflow", [nox.param(name, id=name) for name in AIRFLOWS])
def matrix(session: nox.Session, airflow: str) -> None:
    options, wanted = AIRFLOWS[airflow]
    session.install("--compile-bytecode", *options, "--requirement", "requirements.txt", *wanted)
    session.install("--compile-bytecode", *TOOLS)
    session.run(
        "python", "-c", "import airflow, sys; print('Airflow', airflow.__version__, 'Python', sys.version)"
    )
    tests = (*TESTS, *([ASKS_A_PERSON] if airflow in ("newest", "3.3.1") else []))
    session.run(
        *(
            "python",
            "-m",
            "pytest",
            "-n",
            "2",
            "--dist",
            "worksteal",
            "-m",
            "not slow",
            *(session.posargs or tests),
        ),
        env={"PYTHONPATH": "plugins:.", "SCARF_ANALYTICS": "false"},
    )
