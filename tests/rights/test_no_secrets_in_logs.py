"""No password and no whole conf in anything that a full run writes down, with the package and the driver at DEBUG."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from clickhouse_driver import Client

from tests.conftest import CHECKOUT
from tests.support import Source
from web_analytics.clickhouse.connection import ClickHouse

pytestmark = pytest.mark.slow

PASSWORD = "correct-horse-battery"


@pytest.fixture
def signed_in(tmp_path, monkeypatch):
    """A connection with a login of its own."""
    from embedded_clickhouse.process import EmbeddedClickHouse

    with EmbeddedClickHouse(tmp_path / "data", user=f"analyst:{PASSWORD}") as server:
        with Client(server.host, port=server.port, user="analyst", password=PASSWORD) as client:
            client.execute("CREATE DATABASE web_analytics")
        monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri("web_analytics"))
        with ClickHouse("clickhouse_default") as connection:
            yield connection


def test_a_full_run_and_failing_ones(signed_in, tmp_path, days):
    from demo import sample_data

    home, written = tmp_path / "airflow", []

    def airflow(*arguments: str, uri: str | None = None, succeeds: bool = True):
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            # Not all of Airflow at DEBUG: it then logs the passwords that it masks elsewhere.
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "web_analytics=DEBUG clickhouse_driver=DEBUG",
            "AIRFLOW_CONN_CLICKHOUSE_DEFAULT": uri or os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"],
        }
        done = subprocess.run(
            [CHECKOUT / "bin" / "airflow", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is succeeds, done.stdout[-3000:]
        written.append(done.stdout)

    airflow("db", "migrate")
    sample_data.create_source(signed_in)
    airflow("dags", "test", "web_analytics_setup")
    source = Source(signed_in)
    source.enable(1, 2)
    source.visits([1, 2], days(2))
    conf = {"days_back": 4, "team_ids": [1, 2], "min_missing_partitions": 2}
    run = ("dags", "test", "web_analytics_backfill", "--conf", json.dumps(conf))
    airflow(*run)

    # Statements that hold the password fail too: the dictionary's, and the sign-in itself.
    signed_in.client.execute("DROP DICTIONARY web_pre_aggregated_teams_dict")
    signed_in.client.execute("CREATE TABLE web_pre_aggregated_teams_dict (a UInt8) ENGINE = Memory")
    airflow("dags", "test", "web_analytics_setup", succeeds=False)
    right = os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"]
    airflow(*run, uri=right.replace(PASSWORD, PASSWORD + "-wrong"), succeeds=False)

    written += [file.read_text(errors="replace") for file in home.rglob("*.log")]
    written.append(str(signed_in.client.execute("SELECT * FROM web_analytics_backfill_log")))
    everything = "\n".join(written)
    for expected in ("Decision: backfill", "with code 516", "create_teams_dictionary"):
        assert expected in everything, expected
    for secret in (PASSWORD, json.dumps(conf), str(conf)):
        at = everything.find(secret)
        assert at < 0, everything[max(0, at - 500) : at + 200]
