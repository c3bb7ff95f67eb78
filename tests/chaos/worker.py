"""One worker: ``python -m tests.chaos.worker`` with the arguments that the suite gives it. Prints one JSON line a
trial."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trials", type=json.loads, required=True, help="[[number, kind], …]")
    parser.add_argument("--server", default="embedded")
    parser.add_argument("--experiment", default="")
    parser.add_argument("--transient-failures", type=float, default=0.0)
    arguments = parser.parse_args()
    _set_up_environment(arguments.home)

    from tests.chaos.experiments import EXPERIMENTS
    from tests.chaos.trials import Worker

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Airflow prints is not an answer
    experiment = EXPERIMENTS[arguments.experiment] if arguments.experiment else None
    worker = Worker(
        CHECKOUT,
        arguments.home,
        arguments.seed,
        arguments.server,
        experiment,
        arguments.transient_failures,
    )
    with worker:
        for number, kind in arguments.trials:
            print(json.dumps(worker.trial(number, kind).to_json()), file=answers, flush=True)


def _set_up_environment(home: Path) -> None:
    """Before anything imports airflow: it reads its configuration once."""
    for variable in [name for name in os.environ if name.startswith(("WEB_ANALYTICS_", "AIRFLOW"))]:
        del os.environ[variable]
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "SCARF_ANALYTICS": "false",
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "plugins")]),
        }
    )
    for folder in (CHECKOUT, CHECKOUT / "plugins"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


if __name__ == "__main__":
    main()
