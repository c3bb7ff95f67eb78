"""A deploy while a date is being built: no step goes on with what another version of the package has staged."""

from __future__ import annotations

import pytest

from tests.support import differences_from_oracle, leftovers, merged_totals
from web_analytics import __version__
from web_analytics.build import cleanup, steps
from web_analytics.build.steps import Build, StagedByAnotherVersion
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.tables import BUILT_TABLES, STATS

TASK = TaskIdentity(run_id="deploy")


def of_another_version(build: Build) -> Build:
    """As a task gets it whose package was replaced after the date was staged."""
    handed_on = build.to_xcom()
    assert handed_on["version"] == __version__
    return Build.from_xcom({**handed_on, "version": "0.9.0"})


def test_no_step_goes_on_and_the_next_try_stages_anew(source, settings, days):
    day = days(1)[0]
    source.visits([1], [day])
    earlier = steps.stage(source.clickhouse, settings, TASK, day, [1])
    fresh = [steps.insert(source.clickhouse, TASK, earlier, table) for table in BUILT_TABLES]
    other = of_another_version(earlier)
    sentence = rf"{day} was staged by version 0\.9\.0 .* this task is of version {__version__}"
    with pytest.raises(StagedByAnotherVersion, match=sentence):
        steps.insert(source.clickhouse, TASK, other, STATS)
    with pytest.raises(StagedByAnotherVersion, match=sentence):
        steps.publish(source.clickhouse, settings, TASK, other, fresh)
    assert merged_totals(source.clickhouse) == [[], []]

    made = steps.stage(source.clickhouse, settings, TASK, day, [1])
    fresh = [steps.insert(source.clickhouse, TASK, made, table) for table in BUILT_TABLES]
    steps.publish(source.clickhouse, settings, TASK, made, fresh)
    assert differences_from_oracle(source.clickhouse, [day], [1]) == []
    # Whatever version has made the lock and the tables: their release drops them.
    steps.release(source.clickhouse, of_another_version(made))
    assert leftovers(source.clickhouse) == []


def test_nor_does_a_cleanup(source, settings, days):
    day = days(1)[0]
    source.visits([1], [day])
    steps.build_partition(source.clickhouse, settings, day, [1])
    before = merged_totals(source.clickhouse)
    emptied, fresh = cleanup.prepare(source.clickhouse, settings, TASK, day, 1)
    with pytest.raises(StagedByAnotherVersion):
        cleanup.publish(source.clickhouse, TASK, of_another_version(emptied), fresh, 1, [])
    assert merged_totals(source.clickhouse) == before
