"""Environments as deployments have them: nothing of this checkout is on their path, and the package is in them only as
each way to deploy brings it there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

UV = Path(sys.executable).with_name("uv")
# What a managed service applies always.
PINS = CHECKOUT / "tests" / "matrix" / "airflow-3.3.1.txt"


def command(*arguments: object, **options: object) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{arguments}:\n{done.stdout[-6000:]}"
    return done.stdout


@dataclass(frozen=True)
class Deployment:
    """An Airflow of its own.

    :ivar environment: where Python and Airflow are installed.
    :ivar home: its AIRFLOW_HOME, outside of the checkout.
    """

    environment: Path
    home: Path
    clickhouse_uri: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def airflow(self, *arguments: object) -> str:
        return command(
            self.environment / "bin" / "airflow",
            *arguments,
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW_CONN_CLICKHOUSE_DEFAULT": self.clickhouse_uri,
                "SCARF_ANALYTICS": "false",
                **self.variables,
            },
        )


@pytest.fixture(scope="session")
def dist(tmp_path_factory) -> Path:
    """What `make dist` makes."""
    folder = tmp_path_factory.mktemp("dist")
    command(UV, "build", "--quiet", "--wheel", "--out-dir", folder, CHECKOUT)
    command(sys.executable, "-m", "distribution.archives", folder, cwd=CHECKOUT)
    return folder


def _environment(folder: Path, *wanted: object) -> Path:
    command(UV, "venv", "--quiet", "--python", sys.executable, folder)
    command(
        *(UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", folder / "bin" / "python"),
        *("apache-airflow", *wanted, "--constraint", PINS),
    )
    return folder


@pytest.fixture(scope="session")
def airflow_alone(tmp_path_factory) -> Path:
    """Airflow with what requirements.txt asks for."""
    return _environment(
        tmp_path_factory.mktemp("environment") / "alone", "--requirement", CHECKOUT / "requirements.txt"
    )


@pytest.fixture(scope="session")
def airflow_with_wheel(tmp_path_factory, dist) -> Path:
    """Airflow with the wheel, which brings its dependencies along, and the provider of DAG bundles in git."""
    (wheel,) = dist.glob("*.whl")
    return _environment(
        tmp_path_factory.mktemp("environment") / "wheel", wheel, "apache-airflow-providers-git"
    )
