"""docker-compose.yaml: what the specification allows, no secret in it, every service bounded and watched."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.compose import compose_file


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
    assert len(secrets) == 6
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
