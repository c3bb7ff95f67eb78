"""
### Web analytics: backfill

Finds the days that `web_pre_aggregated_stats` or `web_pre_aggregated_bounces` lack, decides whether filling
them is worth it, and builds them, newest first, one mapped group of tasks per date.

**Schedule:** every 6 hours (missing days only) and at 02:00 UTC (all kinds of gap; builds the newest closed day
in any case).

**How it decides:** at least 3 missing (table, partition) pairs, or a gap that has waited longer than 48 hours.
`decide` logs the numbers and the reason, also when it skips; they are in `web_analytics_backfill_log` and on the
asset `web_analytics_backfill_decision`.

**By hand:** trigger with conf, for example `{"days_back": 14}`, `{"dry_run": true}` to see the plan and change
nothing, `{"team_ids": [12], "min_missing_partitions": 1}`, or
`{"date_start": "2026-01-01", "date_end": "2026-01-08", "rebuild": true}` (date_end is excluded).

**Not by Airflow's own Backfill** (Trigger › Backfill, `airflow backfill create`): it starts one run for each past slot of
the schedule, and each of them looks at the same last days. To fill past days, trigger one run with `date_start` and
`date_end`.

**If a run waits at `approve`:** its dates are estimated above `WEB_ANALYTICS_APPROVE_ABOVE_ROWS`. Answer in the UI under
Required Actions; without an answer within 5 hours it ends, and the next run asks again. The task is there only where the
setting is.

**If a run fails:** its note and `summarise` name the dates that were not built, or that are not what the raw events say,
with the cause. Clearing it, or just the next run, builds the date; running anything twice never doubles a
number. A message that a date is locked names the run that holds it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, get_current_context
from airflow.timetables.trigger import MultipleCronTriggerTimetable

from web_analytics.conf import BackfillConf
from web_analytics.regions import for_each_region
from web_analytics.reporting import alerts
from web_analytics.reporting.links import link_to_coverage
from web_analytics.wiring.approval import (
    ANSWER,
    COST_ANSWER_WITHIN,
    RecordedApprovalOperator,
    cost_is_approved,
)
from web_analytics.wiring.assets import (
    DECISION_ASSET,
    TEAM_ENABLED_ALIAS,
    TEAM_ENABLED_ASSET,
    TEAM_SELECTION_ASSET,
)
from web_analytics.wiring.build_group import build_dates
from web_analytics.wiring.defaults import DEFAULT_ARGS, FINISHES_BACKFILL, TAGS
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_backfill",
    # Unpausing waits for the next slot: without this, within 2.4 hours after 02:00 it would make up for that one.
    schedule=MultipleCronTriggerTimetable(
        "0 2 * * *", "0 */6 * * *", timezone="UTC", run_immediately=timedelta(0)
    ),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params=params_of(BackfillConf),
    tags=TAGS,
    doc_md=__doc__,
    deadline=alerts.freshness_deadline(),
)
def web_analytics_backfill():
    @task(outlets=[TEAM_SELECTION_ASSET, TEAM_ENABLED_ALIAS])
    def detect():
        from web_analytics.tasks import backfill

        context = get_current_context()
        detected = backfill.detect(context.get("logical_date"))
        selected = detected["selected"]
        context["outlet_events"][TEAM_SELECTION_ASSET].extra = selected
        if selected["waiting"]:
            context["outlet_events"][TEAM_ENABLED_ALIAS].add(
                TEAM_ENABLED_ASSET, extra={"waiting": selected["waiting"]}
            )
        return detected

    @task.branch(outlets=[DECISION_ASSET])
    def decide(detected):
        from web_analytics.tasks import backfill

        decided = backfill.decide_run(detected)
        context = get_current_context()
        context["outlet_events"][DECISION_ASSET].extra = decided
        context["ti"].xcom_push("decision", decided)
        if not decided["backfill"]:
            return "skip_backfill"
        return "approve" if decided["asks"] else "plan"

    @task
    def skip_backfill(decided):
        from web_analytics.tasks import backfill

        backfill.log_skip(decided)

    # Where a person may have to approve, and nobody had to be asked, the task that asks is skipped.
    @task(trigger_rule="none_failed_min_one_success" if cost_is_approved() else "all_success")
    def plan(detected, decided):
        from web_analytics.tasks import backfill, runtime

        return backfill.plan(detected, decided, runtime.result_of("approve", ANSWER))

    def stage_date(day, plan_id):
        from web_analytics.tasks import backfill

        return backfill.stage_date(day, plan_id)

    @task(trigger_rule="all_done", **FINISHES_BACKFILL)
    def summarise():
        from web_analytics.tasks import backfill, runtime

        decided = runtime.result_of("decide", "decision")
        return backfill.summarise(decided, runtime.result_of("approve", ANSWER))

    detected = detect()
    branch = decide(detected)
    decision = branch["decision"]
    skipped = skip_backfill(decision)
    planned = plan(detected, decision)
    built = build_dates(planned, stage_date)
    branch >> [skipped, planned]
    if cost_is_approved():
        approve = RecordedApprovalOperator(
            task_id="approve",
            subject="{{ ti.xcom_pull(task_ids='decide', key='decision')['asks'] }}",
            body="{{ ti.xcom_pull(task_ids='decide', key='decision')['question'] }}",
            defaults=RecordedApprovalOperator.REJECT,
            response_timeout=COST_ANSWER_WITHIN,
        )
        branch >> approve >> planned
    [skipped, built] >> summarise()


for_each_region(lambda: link_to_coverage(web_analytics_backfill()))
