"""Each way to deploy builds a day: the wheel, a DAG bundle in git, and the folders of MWAA and of Composer."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from demo import sample_data
from tests.conftest import CHECKOUT
from tests.packaging.conftest import Deployment, command
from tests.support import Source, differences_from_oracle, leftovers

pytestmark = pytest.mark.packaging

ONE_FILE = """from web_analytics.dags import create_airflow_dags

create_airflow_dags()
"""
DAG_IDS = {path.stem for path in (CHECKOUT / "dags").glob("*.py")}


@pytest.fixture
def builds_a_day(clickhouse, clickhouse_server, days):
    """Runs the setup and a backfill in a deployment, on an empty database with events, as a newcomer would."""

    def check(deployment: Deployment) -> None:
        sample_data.create_source(clickhouse)
        deployment.airflow("db", "migrate")
        deployment.airflow("dags", "test", "web_analytics_setup")
        source = Source(clickhouse)
        source.enable(1)
        (day,) = days(1)
        source.visits([1], [day])
        deployment.airflow(
            "dags",
            "test",
            "web_analytics_backfill",
            "--conf",
            '{"min_missing_partitions": 1, "days_back": 2}',
        )
        built = clickhouse.client.execute(
            "SELECT DISTINCT partition_date, team_id FROM web_analytics_backfill_ledger"
        )
        assert built == [(day, 1)]
        assert differences_from_oracle(clickhouse, [day], [1]) == []
        assert leftovers(clickhouse) == []

    return check


@pytest.fixture
def uri(clickhouse, clickhouse_server) -> str:
    [(database,)] = clickhouse.client.execute("SELECT currentDatabase()")
    return clickhouse_server.uri(database)


def unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def test_the_wheel_and_one_file_in_a_dags_folder_elsewhere(airflow_with_wheel, uri, tmp_path, builds_a_day):
    home, dags = tmp_path / "home", tmp_path / "elsewhere" / "dags"
    home.mkdir()
    dags.mkdir(parents=True)
    (dags / "web_analytics.py").write_text(ONE_FILE)
    deployment = Deployment(airflow_with_wheel, home, uri, {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)})
    builds_a_day(deployment)
    deployment.airflow("dags", "reserialize")
    listed = deployment.airflow("dags", "list", "--output", "plain")
    assert {word for word in listed.split() if word.startswith("web_analytics_")} >= DAG_IDS
    assert "web_analytics_plugin" in deployment.airflow("plugins")
    assert "web_analytics.clickhouse.hook.ClickHouseConnection" in deployment.airflow("providers", "hooks")
    assert "extra__clickhouse__secure" in deployment.airflow("providers", "widgets")


def test_a_bundle_in_git_with_the_plugin_installed(airflow_with_wheel, uri, tmp_path, builds_a_day):
    repository, home = tmp_path / "repository", tmp_path / "home"
    home.mkdir()
    shutil.copytree(CHECKOUT / "dags", repository / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    git = ("git", "-C", repository, "-c", "user.name=nobody", "-c", "user.email=nobody@example.com")
    command("git", "init", "--quiet", "--initial-branch", "main", repository)
    command(*git, "add", "dags")
    command(*git, "commit", "--quiet", "--message", "DAGs")
    bundle = (
        '[{"name": "web_analytics", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": '
        f'{{"repo_url": "{repository}", "tracking_ref": "main", "subdir": "dags"}}}}]'
    )
    deployment = Deployment(
        airflow_with_wheel, home, uri, {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": bundle}
    )
    builds_a_day(deployment)


def test_the_folders_of_mwaa(airflow_alone, dist, uri, tmp_path, builds_a_day):
    """It unpacks plugins.zip below AIRFLOW_HOME, beside a dags folder, and has no other folder."""
    home = tmp_path / "usr" / "local" / "airflow"
    unpack(dist / "plugins.zip", home / "plugins")
    unpack(dist / "dags.zip", home / "dags")
    builds_a_day(Deployment(airflow_alone, home, uri))


def test_the_folders_of_composer(airflow_alone, uri, tmp_path, builds_a_day):
    """Of a bucket it mounts dags, plugins and data; SQL that lies in data is named by WEB_ANALYTICS_SQL_DIR."""
    bucket, home = tmp_path / "home" / "airflow" / "gcs", tmp_path / "etc" / "airflow"
    home.mkdir(parents=True)
    for folder in ("dags", "plugins"):
        shutil.copytree(CHECKOUT / folder, bucket / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "include" / "sql", bucket / "data" / "sql")
    folders = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(bucket / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(bucket / "plugins"),
        "WEB_ANALYTICS_SQL_DIR": str(bucket / "data" / "sql"),
    }
    builds_a_day(Deployment(airflow_alone, home, uri, folders))


def test_the_checksums_are_those_of_the_files(dist):
    sums = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {file.name for file in dist.iterdir() if file.suffix in (".whl", ".zip")}
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest


def test_the_archives_hold_each_file_once_and_no_other_s(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as built, zipfile.ZipFile(dist / "plugins.zip") as plugins:
        names = built.namelist()
        assert len(names) == len(set(names))
        packaged = {name for name in names if name.startswith("web_analytics/sql/")}
        statements = CHECKOUT / "include" / "sql"
        assert packaged == {
            f"web_analytics/sql/{file.relative_to(statements).as_posix()}"
            for file in statements.rglob("*.sql")
        }
        assert packaged <= set(plugins.namelist())
        assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "demo"))]
