"""The tasks that build one date, for every DAG that builds dates: stage, insert, publish, validate, release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context, task_group

from web_analytics.airflow_version import HAS_PARTITIONS_IN_EVENTS
from web_analytics.pools import POOL
from web_analytics.tables import BUILT_TABLES
from web_analytics.wiring.assets import TABLE_ASSETS
from web_analytics.wiring.fail_at_once import task

# Later steps weigh more, so that a date is finished before the next one is started.
MAPPED = {"map_index_template": "{{ map_label }}", "weight_rule": "upstream", "pool": POOL}


def build_dates(planned: Any, stage_date: Callable[[str, str], dict[str, str]]) -> Any:
    """One task group ``build_date`` for each planned date, in their order.

    :param planned: the output of a task: a list of ``{"day": …, "plan_id": …}``.
    :param stage_date: takes the lock of a day and stages its sessions; gives what :meth:`Build.to_xcom` gives.
    :returns: the mapped task group.
    """

    @task_group
    def build_date(day, plan_id):
        @task(**MAPPED)
        def stage(day, plan_id):
            return stage_date(day, plan_id)

        def insert(staged, table):
            @task(task_id=f"insert_{table.short_name}", **MAPPED)
            def insert_rows(staged):
                from web_analytics.tasks import dates

                return dates.insert_table(staged, table.name)

            return insert_rows(staged)

        @task(outlets=list(TABLE_ASSETS.values()), **MAPPED)
        def publish(staged, fresh):
            from web_analytics.tasks import dates

            published = dates.publish_date(staged, list(fresh))
            for asset in TABLE_ASSETS.values():
                event = get_current_context()["outlet_events"][asset]
                if HAS_PARTITIONS_IN_EVENTS:
                    event.add_partitions(published["partition_date"])
                event.extra = published
            return published

        @task(**MAPPED)
        def validate(published):
            from web_analytics.tasks import dates

            dates.validate_date(published)

        @task(**MAPPED)
        def release(staged):
            from web_analytics.tasks import dates

            dates.release_date(staged)

        staged = stage(day, plan_id).as_setup()
        inserted = [insert(staged, table) for table in BUILT_TABLES]
        published = publish(staged, inserted)
        published >> [validate(published), release(staged).as_teardown(setups=staged)]

    return build_date.expand_kwargs(planned)
