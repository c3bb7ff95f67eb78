"""
### Web analytics: diagnostics

Says what `web_pre_aggregated_stats` and `web_pre_aggregated_bounces` lack, since when, and the exact command that
fills it. Changes nothing in ClickHouse, not even the history: the connection needs only the right to read.

**When to use it:** when a dashboard looks empty, or to see what the next backfill would do and why.

**What it says:** `check_missing_data` counts the team-days of each state per table over
`WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS`, and makes the decision of the 6-hourly and of the 02:00 run with its reason.
`show_data_gaps` lists, per table and team, ranges of consecutive days: *missing*, *inconsistent* (the two tables are
from different builds, or one holds other pageviews than its build stored), *stale* (the source holds other events
than the build read), *orphan* (rows without events or without a ledger entry); *idle* (no traffic) and *open* (the day is not over) are no gaps. Its link **Gap report** opens the same as a
page. As rows they are its XCom `return_value`; in SQL, `include/sql/tasks/team_gaps.sql`.

**By hand:** without conf the last 7 days of all teams; or for example `{"days_back": 30}`, `{"team_ids": [12]}`.

**If a run fails:** a query failed, or the conf is not acceptable; the red task's message says which. A gap is no
failure.
"""

from __future__ import annotations

from airflow.sdk import dag

from web_analytics.conf import DiagnosticsConf
from web_analytics.regions import for_each_region
from web_analytics.reporting.links import GapReportLink
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_diagnostics",
    schedule=None,
    is_paused_upon_creation=False,
    catchup=False,
    default_args=DEFAULT_ARGS,
    params=params_of(DiagnosticsConf),
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_diagnostics():
    @task
    def check_missing_data():
        from web_analytics.tasks import diagnostics

        return diagnostics.check_missing_data()

    @task
    def show_data_gaps():
        from web_analytics.tasks import diagnostics

        return diagnostics.show_data_gaps()

    check_missing_data()
    shown = show_data_gaps()
    shown.operator.operator_extra_links = (GapReportLink(),)


for_each_region(web_analytics_diagnostics)
