"""
### Web analytics: cleanup

Deletes what `web_pre_aggregated_stats` and `web_pre_aggregated_bounces` hold of one team on a range of days.
Raw events are never touched. Other teams and readers see each day before or after the deletion, never between.

**When to use it:** a customer has left or asked for deletion; or what is stored of a team is to be built anew from
nothing (for wrong numbers a rebuild is enough: `web_analytics_validate` names the command).

**By hand:** first `{"team_id": 12, "date_start": "2026-01-01", "date_end": "2026-01-08"}` (date_end is excluded):
a dry run, the default; `show` counts what would be deleted. Then the same with `"dry_run": false`: the run waits at
`approve` until a person answers in the UI under Required Actions; without an answer within 24 hours it is rejected.
With the setting `WEB_ANALYTICS_CLEANUP_SECOND_PERSON` whoever triggered the run cannot approve it.
`"disable_team": true` disables the team before anything is deleted; otherwise an enabled team's days are built
again by the next backfill that looks at them. More than 30 days only with `"allow_long_range": true`.

**What it leaves:** `prove` checks that no row of the team is left in the range and that all other teams' numbers were
the same before and after; `web_analytics_backfill_log` (kind `cleanup`) says who approved what. A rejected run ends
as a success in which everything after `approve` but `prove` is skipped, and `prove` says that nothing was deleted.

**If a run fails:** `prove` names the dates that were not deleted; on them nothing changed, or only one table did.
Trigger the cleanup again: deleting twice does no harm. A message that a date is locked names the run that holds
it; the task waits for it. If what is stored has changed since it was approved, nothing is deleted: trigger again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task_group

from web_analytics.conf import CleanupConf
from web_analytics.pools import POOL
from web_analytics.regions import for_each_region
from web_analytics.wiring.approval import ANSWER, RecordedApprovalOperator
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_cleanup",
    schedule=None,
    is_paused_upon_creation=False,
    catchup=False,
    default_args=DEFAULT_ARGS,
    params=params_of(CleanupConf),
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_cleanup():
    @task
    def show():
        from web_analytics.tasks import cleanup

        return cleanup.show()

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def is_to_be_done(shown):
        from web_analytics.tasks import cleanup

        return cleanup.is_to_be_done(shown)

    approve = RecordedApprovalOperator(
        task_id="approve",
        subject="Delete web analytics of team {{ params.team_id }}?",
        body="{{ ti.xcom_pull(task_ids='show')['body'] }}",
        defaults=RecordedApprovalOperator.REJECT,
        response_timeout=timedelta(hours=24),
    )

    @task
    def plan_deletion(shown, approval):
        from web_analytics.tasks import cleanup

        return cleanup.plan_deletion(shown, approval)

    # Later steps weigh more, so that a date is finished before the next one is started.
    mapped = {"map_index_template": "{{ map_label }}", "weight_rule": "upstream", "pool": POOL}

    @task_group
    def delete_date(day, approved, approver):
        @task(**mapped)
        def lock(day):
            from web_analytics.tasks import cleanup

            return cleanup.lock_date(day)

        @task(**mapped)
        def delete(day, approved, approver, locked):
            from web_analytics.tasks import cleanup

            return cleanup.delete_date(day, approved, approver, locked)

        @task(**mapped)
        def release(locked):
            from web_analytics.tasks import cleanup

            cleanup.release_date(locked)

        locked = lock(day).as_setup()
        delete(day, approved, approver, locked) >> release(locked).as_teardown(setups=locked)

    @task
    def disable_team(approval):
        from web_analytics.tasks import cleanup

        cleanup.disable_team(approval)

    @task(trigger_rule="all_done")
    def prove():
        from web_analytics.tasks import cleanup, runtime

        shown, approval = runtime.result_of("show"), runtime.result_of("approve", ANSWER)
        return cleanup.prove(shown, approval, runtime.results_of_mapped("delete_date.delete"))

    shown = show()
    is_to_be_done(shown) >> approve
    # First, so that no build that is under way brings back what is deleted.
    disabled = disable_team(approve.output)
    planned = plan_deletion(shown, approve.output)
    disabled >> planned
    delete_date.expand_kwargs(planned) >> prove()


for_each_region(web_analytics_cleanup)
