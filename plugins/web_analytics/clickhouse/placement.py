"""On which nodes the tables are, and how the statements that make them get there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from web_analytics.clickhouse import sql

# Databases whose catalog is one for all nodes: what is made on one of them is made on all, and ON CLUSTER is refused.
SHARED_CATALOGS = ("Replicated", "Shared")


@dataclass(frozen=True)
class Topology:
    """What the tables are.

    :ivar replicated: the engines are Replicated….
    :ivar sharded: each shard has tables of its own, which Distributed ones put together for dashboards.
    :ivar load_balanced: the connection may lead to any node, each time to another one.
    """

    replicated: bool = False
    sharded: bool = False
    load_balanced: bool = False


TOPOLOGIES = {
    "single": Topology(),
    "replicated": Topology(replicated=True),
    "sharded": Topology(replicated=True, sharded=True),
    "sharded_unreplicated": Topology(sharded=True),
    "load_balanced": Topology(replicated=True, load_balanced=True),
}


def cluster_name(text: str) -> str:
    """:raises ValueError: no name that may stand in a statement."""
    if not re.fullmatch(sql.CLUSTER, text):
        raise ValueError(text)
    return text


@dataclass(frozen=True)
class Placement:
    """Where the tables of a connection are.

    :ivar name: one of TOPOLOGIES.
    :ivar cluster: the cluster's name, or in braces a macro of the server that has it.
    :ivar node_conn_ids: a connection to each node, where statements are sent to one after the other; empty: ON CLUSTER.
    """

    name: str = "single"
    cluster: str = "{cluster}"
    node_conn_ids: tuple[str, ...] = ()

    @property
    def topology(self) -> Topology:
        return TOPOLOGIES[self.name]

    @property
    def settings(self) -> dict[str, Any]:
        """Query settings that its statements need."""
        if not self.topology.load_balanced:
            return {}
        return {
            # What is made or dropped is so on every node before the next statement, whichever node gets that.
            "distributed_ddl_output_mode": "throw",
            # Tables of a build are replicated: of equal blocks none is left out.
            "insert_deduplicate": 0,
        }

    @property
    def has_one_node(self) -> bool:
        return self.name == "single"

    def names(self, database_engine: str) -> sql.Names:
        """What templates ask of it, see sql.ONE_NODE.

        :param database_engine: of the database that the tables are in.
        """
        has_catalog = database_engine in SHARED_CATALOGS
        names: dict[str, Any] = {
            "cluster": self.cluster,
            "ddl_on_cluster": not (self.has_one_node or has_catalog or self.node_conn_ids),
            # A Shared database makes of each MergeTree what it needs.
            "replicated": self.topology.replicated and database_engine != "Shared",
            "keeper_path": bool(self.node_conn_ids) and not has_catalog,
            "replicated_builds": self.topology.load_balanced and database_engine != "Shared",
            "all_nodes": self.topology.load_balanced,
            "kill_on_cluster": self.topology.load_balanced and not self.node_conn_ids,
        }
        return names
