"""A replica that is dead: ClickHouse replaces the partition, waits for the dead one in vain, and answers with an error.

No replicated table can be had on the engine at hand; the answer is exchanged where it arrives.
"""

from __future__ import annotations

import logging

import pytest

from tests.support import differences_from_oracle, leftovers
from web_analytics.build.steps import PublishedDiffers, build_partition
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed
from web_analytics.tables import STATS

REPLACE = "build/replace_partition"
UNFINISHED = 341


class OneReplicaIsDead(ClickHouse):
    replaces_here = True

    def _execute_once(self, path, text, parameters, external_tables, heavy):
        if path != REPLACE:
            return super()._execute_once(path, text, parameters, external_tables, heavy)
        if self.replaces_here:
            super()._execute_once(path, text, parameters, external_tables, heavy)
        raise QueryFailed(path, "query", UNFINISHED, "Timeout exceeded while waiting for replicas ['b']")


@pytest.fixture
def one_replica_is_dead(clickhouse):
    with OneReplicaIsDead("clickhouse_default") as connection:
        yield connection


def test_a_day_is_published_although_a_replica_is_dead(source, settings, days, one_replica_is_dead, caplog):
    day = days(1)[0]
    source.visits([1, 2], [day])
    with caplog.at_level(logging.WARNING):
        build_partition(one_replica_is_dead, settings, day, [1, 2])
    assert differences_from_oracle(source.clickhouse, [day], [1, 2]) == []
    assert leftovers(source.clickhouse) == []
    assert f"a replica of {STATS.name} is not active" in caplog.text


def test_a_day_that_was_not_replaced_on_this_node_either_is_no_success(
    source, settings, days, one_replica_is_dead
):
    day = days(1)[0]
    source.visits([1], [day])
    one_replica_is_dead.replaces_here = False
    with pytest.raises(PublishedDiffers):
        build_partition(one_replica_is_dead, settings, day, [1])
