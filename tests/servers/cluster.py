"""Two listeners that are two shards of one cluster, ``two``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.fetch import library
from tests.servers.listener import Listener, free_ports

CLUSTER = "two"


def _config(ports: list[list[int]], shard: int) -> str:
    shards = "".join(
        f"<shard><replica><host>127.0.0.1</host><port>{native}</port></replica></shard>"
        for native, _ in ports
    )
    return (
        f"<remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>"
        f"<macros><cluster>{CLUSTER}</cluster><shard>{shard}</shard><replica>1</replica></macros>"
    )


@contextmanager
def two_shards(folder: Path) -> Generator[list[Listener]]:
    """The nodes of both shards, while they run."""
    numbers = free_ports(4)
    ports = [numbers[:2], numbers[2:]]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Listener(
                    folder / f"shard_{shard}",
                    library(),
                    more_config=_config(ports, shard),
                    ports=ports[shard - 1],
                )
            )
            for shard in (1, 2)
        ]
