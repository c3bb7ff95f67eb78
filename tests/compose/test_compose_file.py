"""docker-compose.yaml: what the specification allows, no secret in it, every service bounded and watched."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from embedded_clickhouse.process import EmbeddedClickHouse
from tests.compose import compose_file
from web_analytics import rights


@pytest.fixture
def variables(tmp_path):
    """What `make env` writes."""
    target = tmp_path / ".env"
    command = [sys.executable, str(compose_file.CHECKOUT / "bin" / "generate-env"), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    assert target.stat().st_mode & 0o077 == 0
    before = target.read_text()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    assert target.read_text() == before
    return compose_file.read_variables(target)


@pytest.fixture
def compose(variables):
    return compose_file.load(variables)


def test_it_is_what_the_specification_allows(compose):
    assert {"postgres", "redis", "clickhouse", "init", "worker"} < compose["services"].keys()


def test_the_check_refuses_what_the_specification_does_not_know(variables, tmp_path, monkeypatch):
    broken = tmp_path / "docker-compose.yaml"
    broken.write_text(compose_file.COMPOSE_FILE.read_text().replace("mem_limit", "memory_limit"))
    monkeypatch.setattr(compose_file, "COMPOSE_FILE", broken)
    with pytest.raises(ValueError, match="memory_limit"):
        compose_file.load(variables)


def test_without_a_secret_it_is_refused(variables):
    secrets = [name for name, value in variables.items() if len(value) >= 40]
    assert len(secrets) == 9
    for name in secrets:
        with pytest.raises(compose_file.VariableMissing, match=name):
            compose_file.load({**variables, name: ""})


def test_no_secret_is_in_a_file_under_version_control(variables):
    for name, value in compose_file.read_variables(compose_file.CHECKOUT / ".env.example").items():
        assert len(value) < 20, f"{name} has a value in .env.example"
    text = compose_file.COMPOSE_FILE.read_text()
    assert not re.search(r"(?i)_(?:password|secret|key): (?!\$\{\w+:\?)", text)
    ignored = (compose_file.CHECKOUT / ".gitignore").read_text().splitlines()
    assert {".env", "settings.env"} <= set(ignored)


def test_every_image_has_a_version(compose):
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+", service["image"]), name
    dockerfile = (compose_file.CHECKOUT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:\d+\.\d+\.\d+", dockerfile, re.M)


def test_every_service_is_bounded_watched_and_not_root(compose):
    for name, service in compose["services"].items():
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert "healthcheck" in service or name == "init", name
        assert service.get("user", "airflow") not in ("root", "0"), name
    assert re.search(r"^USER airflow$", (compose_file.CHECKOUT / "Dockerfile").read_text(), re.M)


def test_no_service_can_get_more_rights_than_it_has(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("cap_add"), name
        assert "privileged" not in service, name


# What each container's work needs; whatever is added to one has to be written here.
AIRFLOW = {"POSTGRES_PASSWORD"}
TASKS = {"CLICKHOUSE_READER_PASSWORD", "CLICKHOUSE_SETUP_PASSWORD", "CLICKHOUSE_WRITER_PASSWORD"}
NEEDED = {
    "postgres": {"POSTGRES_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "clickhouse": TASKS | {"CLICKHOUSE_EVENTS_PASSWORD"},
    "init": AIRFLOW | {"CLICKHOUSE_EVENTS_PASSWORD"},
    "api-server": AIRFLOW
    | {"AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_SECRET_KEY"}
    | {"CLICKHOUSE_READER_PASSWORD", "CLICKHOUSE_WRITER_PASSWORD"},
    "scheduler": AIRFLOW
    | {"AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_SECRET_KEY", "REDIS_PASSWORD"}
    | TASKS,
    "dag-processor": AIRFLOW | {"AIRFLOW_FERNET_KEY"},
    "triggerer": AIRFLOW | {"AIRFLOW_FERNET_KEY", "AIRFLOW_SECRET_KEY"},
    "worker": AIRFLOW | {"AIRFLOW_SECRET_KEY", "REDIS_PASSWORD"} | TASKS,
}


def test_every_container_gets_only_the_secrets_that_it_needs(compose, variables):
    secrets = {name: value for name, value in variables.items() if len(value) >= 40}
    for service, described in compose["services"].items():
        given = str(described["environment"])
        assert {name for name, value in secrets.items() if value in given} == NEEDED[service], service


def test_each_role_of_clickhouse_is_a_user_with_just_its_rights(compose):
    users, grants = compose_file.clickhouse_users(), compose_file.clickhouse_grants()
    assert len(set(users.values())) == len(users) == len(rights.ROLES) + 1
    assert set(users.values()) < compose["services"]["clickhouse"]["environment"].keys()
    for role in rights.ROLES:
        assert grants[f"web_analytics_{role}"] == rights.grant_without_role("web_analytics", role)
    assert not re.search(r"\bALL\b|GRANT OPTION|ACCESS MANAGEMENT|CREATE USER", " ".join(grants.values()))
    mounted = " ".join(compose["services"]["clickhouse"]["volumes"])
    assert "./clickhouse-users.xml:/etc/clickhouse-server/users.d/" in mounted


def test_the_engine_takes_the_users(variables, tmp_path, monkeypatch):
    """It knows every right that is named, and a dictionary signs in with one of these users."""
    root = ElementTree.parse(compose_file.CLICKHOUSE_USERS).getroot()
    default = ElementTree.fromstring(
        "<default><password/><profile>default</profile><quota>default</quota>"
        "<networks><ip>::/0</ip></networks></default>"
    )
    root.find("users").append(default)
    for name in ("profiles", "quotas"):
        root.append(ElementTree.fromstring(f"<{name}><default/></{name}>"))
    config = tmp_path / "config.xml"
    root.append(ElementTree.fromstring(
        f"<user_directories><users_xml><path>{config}</path></users_xml></user_directories>"
    ))  # fmt: skip
    ElementTree.ElementTree(root).write(config)
    for name in compose_file.clickhouse_users().values():
        monkeypatch.setenv(name, variables[name])
    source = "QUERY 'SELECT 1 AS id, toString(1) AS nothing' USER web_analytics_{} PASSWORD '{}'"
    with (
        EmbeddedClickHouse(tmp_path / "data", config_file=config) as server,
        Client(server.host, server.port) as client,
    ):
        for number, (role, password, is_right) in enumerate([
            ("reader", variables["CLICKHOUSE_READER_PASSWORD"], True),
            ("reader", variables["CLICKHOUSE_WRITER_PASSWORD"], False),
            ("writer", variables["CLICKHOUSE_WRITER_PASSWORD"], True),
        ]):  # fmt: skip
            client.execute(
                f"CREATE DICTIONARY d{number} (id UInt64, nothing String DEFAULT '') PRIMARY KEY id "
                f"SOURCE(CLICKHOUSE({source.format(role, password)})) LAYOUT(HASHED()) LIFETIME(0)"
            )
            if is_right:
                client.execute(f"SYSTEM RELOAD DICTIONARY d{number}")
            else:
                with pytest.raises(ServerException, match="uthentication"):
                    client.execute(f"SYSTEM RELOAD DICTIONARY d{number}")


def test_a_password_is_no_argument_of_a_process(compose, variables):
    secrets = [value for value in variables.values() if len(value) >= 40]
    for name, service in compose["services"].items():
        said = f"{service.get('command')} {service.get('healthcheck')}"
        assert not [secret for secret in secrets if secret in said], name


def test_the_image_holds_what_the_file_expects():
    dockerfile = (compose_file.CHECKOUT / "Dockerfile").read_text()
    ignore = (compose_file.CHECKOUT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.M)
    for source in " ".join(copied).split():
        assert (compose_file.CHECKOUT / source).exists(), source
        assert f"!{source}" in ignore, source
