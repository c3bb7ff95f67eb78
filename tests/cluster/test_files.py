"""compose.yaml and what it mounts agree with each other. The services themselves have not been started: that needs Docker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from clickhouse_driver import Client

from embedded_clickhouse.process import EmbeddedClickHouse
from tests.cluster import nodes
from tests.compose import compose_file

FOLDER = nodes.COMPOSE_FILE.parent
SECRETS = {"CLICKHOUSE_PASSWORD": "a", "CLUSTER_SECRET": "b"}


@pytest.fixture(scope="module")
def services():
    return compose_file.load(SECRETS, nodes.COMPOSE_FILE)["services"]


def xml(name: str) -> ElementTree.Element:
    return ElementTree.parse(FOLDER / name).getroot()


def mounted(service) -> list[str]:
    return [each.split(":")[0] for each in service["volumes"] if each.startswith("./")]


def ports(service) -> dict[int, int]:
    """The port on this machine of each port of a container."""
    return {int(each.split(":")[2]): int(each.split(":")[1]) for each in service["ports"]}


def texts(element: ElementTree.Element, path: str) -> list[str]:
    return [each.text for each in element.findall(path)]


def test_without_a_secret_it_is_refused():
    for name in SECRETS:
        with pytest.raises(compose_file.VariableMissing, match=name):
            compose_file.load({**SECRETS, name: ""}, nodes.COMPOSE_FILE)


def test_every_service_gets_what_its_files_ask_for(services):
    for name, service in services.items():
        assert service["hostname"] == name
        for path in mounted(service):
            asked = {each.get("from_env") for each in xml(path).iter() if each.get("from_env")}
            assert asked <= service["environment"].keys(), (name, path)
    used = {(FOLDER / path).resolve() for service in services.values() for path in mounted(service)}
    assert used == set(FOLDER.glob("*.xml"))


def test_the_nodes_are_where_the_tests_look_for_them(services):
    taken = [port for service in services.values() for port in ports(service).values()]
    assert len(taken) == len(set(taken))
    assert {each.service: each.port for each in nodes.NODES} == {
        name: ports(service)[9000] for name, service in services.items() if name.startswith("clickhouse")
    }
    assert {name: ports(services[name])[9181] for name in nodes.KEEPERS} == nodes.KEEPERS
    assert xml("users.xml").find(f"users/{nodes.USER}") is not None


def test_the_keepers_know_each_other_and_the_nodes_know_them(services):
    raft = xml("keeper.xml").find("keeper_server/raft_configuration")
    known = dict(zip(texts(raft, "server/hostname"), texts(raft, "server/id"), strict=True))
    assert known == {name: services[name]["environment"]["KEEPER_ID"] for name in nodes.KEEPERS}
    assert set(texts(xml("clickhouse.xml"), "zookeeper/node/host")) == set(nodes.KEEPERS)
    for service in services.values():
        assert set(service.get("depends_on", nodes.KEEPERS)) == set(nodes.KEEPERS)


def test_clickhouse_reads_of_its_file_the_cluster_and_each_nodes_own_place(services, tmp_path, monkeypatch):
    macros = {}
    for place, node in enumerate((nodes.FIRST, nodes.SECONDS_REPLICA)):
        for name, value in services[node.service]["environment"].items():
            monkeypatch.setenv(name, value)
        with EmbeddedClickHouse(tmp_path / str(place), config_file=FOLDER / "clickhouse.xml") as server:
            client = Client(server.host, port=server.port)
            macros[node] = dict(client.execute("SELECT macro, substitution FROM system.macros"))
            known = client.execute(
                "SELECT host_name, toString(shard_num) FROM system.clusters WHERE cluster = %(name)s",
                {"name": macros[node]["cluster"]},
            )
            client.disconnect()
    placed = {each.service: services[each.service]["environment"]["SHARD"] for each in nodes.NODES}
    assert dict(known) == placed
    for node, found in macros.items():
        assert (found["shard"], found["replica"]) == (placed[node.service], node.service)


def test_the_makefile_means_these_nodes(services):
    makefile = (compose_file.CHECKOUT / "Makefile").read_text()
    assert f"clickhouse://{nodes.USER}:cluster@{nodes.FIRST.host}:{nodes.FIRST.port}/" in makefile
    assert f"docker compose --file {nodes.COMPOSE_FILE.relative_to(compose_file.CHECKOUT)}\n" in makefile
    harmed = re.findall(r"^test-replicas: export CHAOS_\w+ = \$\(CLUSTER\) .* (\S+)$", makefile, re.M)
    assert harmed == [nodes.FIRST.service] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("mark", "folder"), [("replicas", "tests/cluster"), ("endpoint", "tests/servers")])
def test_what_runs_on_given_servers_is_found_there(mark, folder):
    command = [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-m", mark, folder]
    environment = {**os.environ, "CLICKHOUSE_TEST_URL": "clickhouse://127.0.0.1:1/default"}
    found = subprocess.run(
        command, cwd=compose_file.CHECKOUT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stdout + found.stderr
