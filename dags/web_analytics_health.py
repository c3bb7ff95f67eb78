"""
### Web analytics: health

One verdict on the pre-aggregation, once an hour: *ok*, *degraded* or *failing*, with the reasons, since when, and
what to run. A failing verdict makes the run red. `check_health` changes nothing but its row in
`web_analytics_backfill_log`.

**Beside it** `keep_states` looks at the months of a year to which something was written, and keeps what it finds of their
closed days (`web_analytics_kept_states`): so the coverage page, and a run over a year, need not look at each day again.

**What it looks at:** the oldest gap (and how long it has waited), how far the tables reach, failed attempts by error
code, when `web_analytics_backfill` last decided, days that were late, teams without data, locks and tables that builds left
behind. docs/operations.md has the thresholds.

**Metrics** over `days` go to StatsD or OpenTelemetry as Airflow is configured, under `web_analytics.`; the names are
in docs/operations.md. They are also in the log table, `kind = 'health'`, where the Grafana dashboard reads them.

**Messages** go to Slack or e-mail, if configured, when the verdict changes and once a day while it stays bad.

**By hand:** without conf the last 7 days, or for example `{"days": 30}`.

**If a run fails:** with *is failing*, do what the reasons in the log of `check_health` say, from the first one on.
Otherwise a query failed or a message could not be sent; the last line says which.
"""

from __future__ import annotations

from airflow.sdk import dag
from airflow.timetables.trigger import CronTriggerTimetable

from web_analytics.conf import HealthConf
from web_analytics.regions import for_each_region
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS, TELLS_PEOPLE
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_health",
    # Not at the full hour: a run of the backfill has decided by then.
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params=params_of(HealthConf),
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_health():
    @task(**TELLS_PEOPLE)
    def check_health():
        from web_analytics.tasks import health

        return health.check_health()

    @task
    def keep_states():
        from web_analytics.tasks import health

        return health.keep_states()

    check_health()
    keep_states()


for_each_region(web_analytics_health)
