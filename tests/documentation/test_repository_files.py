"""What others read by machine: workflows, issue forms, hooks and the example for Kubernetes say what exists here."""

from __future__ import annotations

import copy
import dataclasses
import re
import tomllib
from types import SimpleNamespace

import pytest
import yaml

from tests.conftest import CHECKOUT
from web_analytics import __version__
from web_analytics.settings import Settings

FILES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for pattern in (".github/**/*.y*ml", ".pre-commit-config.yaml", "docs/helm/*.yaml")
    for path in CHECKOUT.glob(pattern)
)
WORKFLOWS = [name for name in FILES if name.startswith(".github/workflows/")]


def read(name: str):
    return yaml.safe_load((CHECKOUT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_it_can_be_read(name):
    assert isinstance(read(name), dict)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_call_targets_of_the_makefile(name):
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for job in read(name)["jobs"].values() for step in job["steps"] if "run" in step]
    called = {
        target for command in commands for target in re.findall(r"^make (?:-\S+ )*([a-z-]+)", command, re.M)
    }
    assert called
    for target in called:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_legs_of_the_workflow_are_those_of_the_matrix():
    import noxfile

    legs = read(".github/workflows/ci.yaml")["jobs"]["matrix"]["strategy"]["matrix"]["leg"]
    pythons = re.search(r"python=\[(.*?)\]", (CHECKOUT / "noxfile.py").read_text(encoding="utf-8"))[1]
    for leg in legs:
        python, airflow = re.fullmatch(r"matrix-([\d.]+)\((.+)\)", leg).groups()
        assert f'"{python}"' in pythons
        assert airflow in noxfile.AIRFLOWS


def test_every_page_is_on_the_site():
    site = tomllib.loads((CHECKOUT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"[\w/]+\.md", str(site["nav"])))
    pages = {"README.md", "CHANGELOG.md", "SECURITY.md"}
    pages |= {
        path.relative_to(CHECKOUT).as_posix()
        for pattern in ("docs/*.md", "tests/*/README.md")
        for path in CHECKOUT.glob(pattern)
    }
    assert named == pages


def test_hooks_call_what_is_here():
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    for hook in hooks:
        for word in hook["entry"].split():
            if word.startswith((".venv/", "tests/")):
                assert (CHECKOUT / word).exists(), word


def pod_of(dag_id: str) -> SimpleNamespace:
    """A pod as far as the hook looks at it."""
    resources = SimpleNamespace(requests={"memory": "512Mi"}, limits={"memory": "1Gi"})
    containers = [SimpleNamespace(name=name, resources=copy.copy(resources)) for name in ("base", "git-sync")]
    return SimpleNamespace(
        metadata=SimpleNamespace(labels={"dag_id": dag_id}), spec=SimpleNamespace(containers=containers)
    )


def test_the_hook_for_pods_changes_those_of_this_package_alone():
    namespace: dict = {}
    exec(read("docs/helm/values.yaml")["airflowLocalSettings"], namespace)
    ours, another = pod_of("web_analytics_backfill"), pod_of("nightly_report")
    for pod in (ours, another):
        namespace["pod_mutation_hook"](pod)
    assert another == pod_of("nightly_report")
    base, sidecar = ours.spec.containers
    assert base.resources.requests == {"cpu": "100m", "memory": "384Mi"}
    assert sidecar == another.spec.containers[1]


def test_the_values_for_helm_name_settings_and_this_version():
    values = read("docs/helm/values.yaml")
    known = {field.metadata["variable"] for field in dataclasses.fields(Settings)}
    assert {entry["name"] for entry in values["env"]} <= known
    assert values["images"]["airflow"]["tag"] == __version__
    locked = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8")
    assert f"apache-airflow=={values['airflowVersion']}\n" in locked
    assert values["executor"] == "KubernetesExecutor"
    for part in (values["workers"], values["scheduler"]):
        assert part["resources"]["requests"]["memory"]
