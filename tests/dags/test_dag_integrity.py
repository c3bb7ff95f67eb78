"""Every DAG of the package: imported without an error, scheduled, bounded, retried and documented as the contract says."""

from __future__ import annotations

import copy
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowException
from airflow.timetables.trigger import MultipleCronTriggerTimetable

from tests.conftest import CHECKOUT
from web_analytics.airflow_version import HAS_RETRY_POLICIES
from web_analytics.conf import (
    REQUIRED,
    BackfillConf,
    CleanupConf,
    DiagnosticsConf,
    HealthConf,
    TeamBackfillConf,
    ValidateConf,
)
from web_analytics.pools import POOL
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES

SETTINGS = Settings.load({})
BACKFILL, SETUP = "web_analytics_backfill", "web_analytics_setup"
# The DAGs of the package; a DAG that is not in this list has no place in dags/.
DAG_IDS = {
    BACKFILL,
    SETUP,
    "web_analytics_cleanup",
    "web_analytics_diagnostics",
    "web_analytics_health",
    "web_analytics_team_backfill",
    "web_analytics_validate",
}
MANUAL = {SETUP, "web_analytics_cleanup", "web_analytics_diagnostics", "web_analytics_validate"}
CONFS = {
    BACKFILL: BackfillConf,
    "web_analytics_cleanup": CleanupConf,
    "web_analytics_diagnostics": DiagnosticsConf,
    "web_analytics_health": HealthConf,
    "web_analytics_team_backfill": TeamBackfillConf,
    "web_analytics_validate": ValidateConf,
}
FILES = sorted(path.stem for path in (CHECKOUT / "dags").glob("*.py"))


@pytest.fixture
def backfill(dag_bag):
    return dag_bag.dags[BACKFILL]


def test_every_file_is_imported_without_an_error(dag_bag):
    assert dag_bag.import_errors == {}


def test_each_file_holds_the_dag_of_its_name(dag_bag):
    assert {BACKFILL, SETUP} <= set(dag_bag.dags) <= DAG_IDS
    assert sorted(dag_bag.dags) == FILES


@pytest.mark.parametrize("dag_id", FILES)
def test_what_every_dag_has(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]
    assert "web_analytics" in dag.tags
    assert dag.max_active_runs == 1 or dag_id in MANUAL - {SETUP}
    assert dag.catchup is False
    assert dag.start_date is None, "unpausing would start the last past slot"
    assert dag.doc_md
    assert "If " in dag.doc_md, "the runbook says what to do when it fails"
    assert (dag.schedule is None) or dag_id not in MANUAL
    # A run of a paused DAG waits without a word: only what a schedule starts by itself waits for a person.
    assert dag.is_paused_upon_creation is (None if dag_id in {BACKFILL, "web_analytics_health"} else False)


@pytest.mark.parametrize("dag_id", FILES)
def test_what_every_task_has(dag_bag, dag_id):
    for task in dag_bag.dags[dag_id].tasks:
        assert task.owner != "airflow", task.task_id
        assert task.retries == 3, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert timedelta(0) < task.retry_delay < task.max_retry_delay <= timedelta(hours=1), task.task_id
        if HAS_RETRY_POLICIES:
            assert type(task.retry_policy).__name__ == "ClickHouseRetryPolicy", task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=6), task.task_id
        assert not task.depends_on_past, task.task_id


@pytest.mark.parametrize("dag_id", FILES)
def test_every_param_has_a_type_a_description_and_a_default_that_it_accepts(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]
    for name in dag.params:
        param = dag.params.get_param(name)
        assert "type" in param.schema, name
        assert param.description, name
        if param.has_value:
            param.resolve()


@pytest.mark.parametrize("dag_id", FILES)
def test_the_form_refuses_what_the_first_task_would(dag_bag, dag_id):
    """Bounds that hold in one place alone let a run start that cannot do anything."""
    dag, conf = dag_bag.dags[dag_id], CONFS.get(dag_id)
    assert list(dag.params) == [each.name for each in conf.params()] if conf else not dag.params
    for name in dag.params:
        param = dag.params.get_param(name)
        for value in (
            -1,
            0,
            1,
            31,
            366,
            100_001,
            2**63,
            True,
            1.5,
            "x",
            "missing",
            [-1],
            [2**63],
            [1],
            ["stale"],
        ):
            taken_by_form = accepts(lambda param=param, value=value: copy.copy(param).resolve(value))
            taken_by_task = accepts(
                lambda value=value, name=name: conf._read({**required(conf), name: value}, SETTINGS)
            )
            assert taken_by_form == taken_by_task, (name, value)


def required(conf) -> dict:
    given = {"team_id": 1, "date_start": "2026-01-01", "date_end": "2026-01-02"}
    return {each.name: given[each.name] for each in conf.params() if each.default is REQUIRED}


def accepts(check) -> bool:
    try:
        check()
    except (ValueError, AirflowException):
        return False
    return True


def test_the_backfill_runs_at_0200_and_every_six_hours_utc(backfill):
    assert isinstance(backfill.timetable, MultipleCronTriggerTimetable)
    crons = {(part._expression, str(part._timezone.name)) for part in backfill.timetable._timetables}
    assert crons == {("0 2 * * *", "UTC"), ("0 */6 * * *", "UTC")}


PARAMS = {
    "days_back": (None, {"integer", "null"}, {"minimum": 1, "maximum": 365}),
    "date_start": (None, {"string", "null"}, {"format": "date"}),
    "date_end": (None, {"string", "null"}, {"format": "date"}),
    "team_ids": (None, {"array", "null"}, {"items": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}}),
    "max_partitions": (None, {"integer", "null"}, {"minimum": 1, "maximum": 100}),
    "max_rows": (None, {"integer", "null"}, {"minimum": 0, "maximum": 10**15}),
    "min_missing_partitions": (None, {"integer", "null"}, {"minimum": 1, "maximum": 100_000}),
    "kinds": (
        None,
        {"array", "null"},
        {"items": {"type": "string", "enum": ["missing", "inconsistent", "stale", "orphan"]}},
    ),
    "priority": (None, {"string", "null"}, {"enum": ["newest", "largest", "most_queried", None]}),
    "rebuild": (False, {"boolean"}, {}),
    "dry_run": (False, {"boolean"}, {}),
}


def test_the_backfill_has_the_params_of_the_contract(backfill):
    assert set(backfill.params) == set(PARAMS)
    for name, (default, kinds, limits) in PARAMS.items():
        param = backfill.params.get_param(name)
        found = param.schema["type"]
        assert param.value == default, name
        assert set([found] if isinstance(found, str) else found) == kinds, name
        assert {key: param.schema.get(key) for key in limits} == limits, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days_back", 0),
        ("days_back", 366),
        ("days_back", "7"),
        ("days_back", 1.5),
        ("max_partitions", 101),
        ("min_missing_partitions", 0),
        ("team_ids", ["1"]),
        ("team_ids", 1),
        ("team_ids", [-1]),
        ("team_ids", [2**63]),
        ("min_missing_partitions", 100_001),
        ("kinds", ["complete"]),
        ("date_start", "yesterday"),
        ("rebuild", "yes"),
        ("dry_run", None),
    ],
)
def test_a_conf_that_the_params_do_not_allow_is_refused_when_triggered(backfill, name, value):
    with pytest.raises((ValueError, AirflowException)):
        backfill.params.get_param(name).resolve(value)


VALIDATE = "build_date.validate"
INSERTS = [f"build_date.insert_{table.short_name}" for table in BUILT_TABLES]
GROUP = ["build_date.stage", *INSERTS, "build_date.publish"]
RELEASE = "build_date.release"


def test_the_steps_of_a_date_follow_each_other(backfill):
    stage, *inserts, publish, release = (backfill.get_task(task_id) for task_id in [*GROUP, RELEASE])
    assert all(insert.upstream_task_ids == {stage.task_id} for insert in inserts)
    assert {insert.task_id for insert in inserts} <= publish.upstream_task_ids
    assert publish.task_id in release.upstream_task_ids
    assert "plan" in stage.upstream_task_ids
    assert all(backfill.get_task(task_id).get_closest_mapped_task_group() for task_id in [*GROUP, RELEASE])


def test_the_dates_are_bounded_by_the_pool_and_nothing_else_is(backfill):
    pools = {task.task_id: task.pool for task in backfill.tasks}
    mapped = {task_id for task_id, pool in pools.items() if pool == POOL}
    assert mapped == {*GROUP, VALIDATE, RELEASE}


def test_a_later_step_of_a_date_comes_before_an_earlier_step_of_another(dag_bag):
    """What the scheduler orders by: a date is finished before the next one is started."""
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DagSerialization.from_dict(DagSerialization.to_dict(dag_bag.dags[BACKFILL]))
    weight = {task_id: weight_of(dag, task_id) for task_id in [*GROUP, RELEASE]}
    stage, *inserts, publish = (weight[task_id] for task_id in GROUP)
    assert stage < min(inserts)
    assert max(inserts) < publish < weight[RELEASE]


def weight_of(dag, task_id: str) -> int:
    """A task's own weight and that of all tasks before it, as weight_rule upstream has it."""
    task = dag.get_task(task_id)
    assert "pstream" in type(task.weight_rule).__name__ or str(task.weight_rule) == "upstream"
    return task.priority_weight + sum(each.priority_weight for each in task.get_flat_relatives(upstream=True))


def test_the_teardown_is_a_teardown_of_the_stage(backfill):
    stage, release = backfill.get_task(GROUP[0]), backfill.get_task(RELEASE)
    assert stage.is_setup
    assert release.is_teardown
    assert not release.on_failure_fail_dagrun
    assert stage.task_id in release.upstream_task_ids
    assert str(release.trigger_rule.value) == "all_done_setup_success"
    assert [task.task_id for task in backfill.tasks if task.is_teardown] == [RELEASE]


def test_the_summary_runs_whatever_became_of_the_dates(backfill):
    summary = backfill.get_task("summarise")
    assert str(summary.trigger_rule.value) == "all_done"
    assert summary.upstream_task_ids >= {"skip_backfill"}
    assert summary.downstream_task_ids == set()
    others = {task.trigger_rule.value for task in backfill.tasks} - {"all_done", "all_done_setup_success"}
    assert others == {"all_success"}


def test_the_branch_leads_to_the_plan_or_to_the_skip(backfill):
    assert {"plan", "skip_backfill"} <= backfill.get_task("decide").downstream_task_ids
    assert [task.task_id for task in backfill.roots] == ["detect"]


def test_each_mapped_task_shows_its_date(backfill):
    for task_id in [*GROUP, RELEASE]:
        assert backfill.get_task(task_id).map_index_template == "{{ map_label }}"


def test_published_dates_and_decisions_are_asset_events(backfill):
    outlets = {
        task.task_id: {asset.name for asset in task.outlets} for task in backfill.tasks if task.outlets
    }
    assert outlets == {
        "build_date.publish": {table.name for table in BUILT_TABLES},
        "decide": {"web_analytics_backfill_decision"},
        "detect": {"web_analytics_team_selection", "web_analytics_team_waits"},
    }


@pytest.mark.parametrize("dag_id", FILES)
def test_a_dag_survives_serialization(dag_bag, dag_id):
    from airflow.serialization.serialized_objects import DagSerialization

    dag = dag_bag.dags[dag_id]
    serialized = DagSerialization.to_dict(dag)
    DagSerialization.validate_schema(serialized)
    back = DagSerialization.from_dict(serialized)
    assert back.dag_id == dag_id
    assert set(back.task_ids) == {task.task_id for task in dag.tasks}
    assert set(back.params) == set(dag.params)
    assert DagSerialization.to_dict(dag) == serialized


PROGRAM = """
import importlib.util, sys
sys.path.insert(0, "plugins")
specification = importlib.util.spec_from_file_location("dag_file", sys.argv[1])
specification.loader.exec_module(importlib.util.module_from_spec(specification))
print("heavy:", *sorted({"clickhouse_driver", "airflow_clickhouse_plugin", "chdb"} & set(sys.modules)))
"""

# Its checks are the ClickHouse plugin's own operators, which a DAG file has to import; it is run by hand.
WITH_OPERATORS_OF_THE_PLUGIN = {"web_analytics_validate"}


@pytest.mark.parametrize("file", [name for name in FILES if name not in WITH_OPERATORS_OF_THE_PLUGIN])
def test_a_dag_file_is_imported_without_the_clickhouse_driver(file):
    """The file is imported for every task and again and again by the DAG processor."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"dags/{file}.py"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1:] == ["heavy:"], done.stdout + done.stderr


def test_only_the_plugin_module_is_loaded_as_a_plugin():
    from airflow.plugins_manager import _get_plugins

    plugins, errors = _get_plugins()
    assert errors == {}
    assert [plugin.name for plugin in plugins if "web_analytics" in plugin.name] == ["web_analytics"]


def test_unpausing_waits_for_the_next_slot(backfill):
    """Otherwise a run of its own would do, or undo the reason for, what a person is about to trigger."""
    from datetime import UTC, datetime

    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    first = backfill.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first.run_after > datetime.now(UTC)


def test_the_form_has_titles_and_kinds_are_selected_from_a_list(dag_bag):
    for dag in dag_bag.dags.values():
        for name in dag.params:
            assert dag.params.get_param(name).schema["title"], (dag.dag_id, name)
    kinds = dag_bag.dags["web_analytics_backfill"].params.get_param("kinds").schema
    assert kinds["examples"] == ["missing", "inconsistent", "stale", "orphan"]
