"""
### Web analytics: validate

Compares `web_pre_aggregated_stats` and `web_pre_aggregated_bounces` with the raw events, day by day and team by
team, by a query that shares nothing with the one that built them: pageviews, sessions, bounces and duration to
the last digit, people within the error of `uniq`, the two tables with each other, the hours that hold rows, and
the definition of the tables. Changes nothing but its rows in `web_analytics_backfill_log`; with `"adopt": true` it
also gives a ledger entry to days that another system wrote and that are exact (docs/upgrading.md).

**When to use it:** when a number on a dashboard is doubted, after an incident, before relying on a newly enabled
team. Every backfill checks what it has just built on its own.

**By hand:** without conf the 7 newest closed days of all teams; or for example
`{"date_start": "2026-01-01", "date_end": "2026-01-08"}` (date_end is excluded), `{"team_id": 12}`; more than 30
days only with `"allow_long_range": true`. Each day reads the raw events of two days once.

**What it says:** one verdict per team, table and day; a day has the worst of its verdicts.
*exact*; *small*: too few pageviews for a build; *stale*: the source holds other events than the build read, which
is no failure, the nightly run takes it up; *missing*: there are pageviews but no rows; *wrong*: anything else. *nothing to check*: no team has pageviews or
rows in the range (or no day of it is closed, or no team is enabled), so nothing was shown to be right. Among the
measures, *session_estimate* is what `uniq` says of the sessions; *buckets* (how many) and *placement* (the sum of
their times over all pageviews) differ where totals are right but lie in other hours.

**If a run fails:** `report` shows the days, the worst differences and the exact command that builds the days
again; run it, then validate again. If a day stays wrong, something else writes to these tables, or the source
was changed for events that had already been counted. If `check_schema` or a check of buckets fails, the tables
were altered or were built with another `WEB_ANALYTICS_BUCKET_MINUTES`: rebuild these days.
"""

from __future__ import annotations

from airflow.sdk import dag, get_current_context

from web_analytics.conf import ValidateConf
from web_analytics.pools import POOL
from web_analytics.regions import for_each_region
from web_analytics.reporting.links import link_to_coverage
from web_analytics.tables import TABLES
from web_analytics.wiring.checks import TableCheck
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS, TELLS_PEOPLE
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_validate",
    schedule=None,
    is_paused_upon_creation=False,
    catchup=False,
    default_args=DEFAULT_ARGS,
    params=params_of(ValidateConf),
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_validate():
    @task
    def choose_days():
        from web_analytics.tasks import validate

        chosen = validate.choose_days()
        get_current_context()["ti"].xcom_push("chosen", chosen)
        return chosen["days"]

    @task
    def check_schema():
        from web_analytics.tasks import validate

        validate.check_schema()

    def check_buckets(table):
        # common-sql's operators compare rows of one table with constants. This is the one check of that form;
        # the rest compares two queries with each other. The values in the template were parsed by choose_days.
        chosen = "ti.xcom_pull(task_ids='choose_days', key='chosen')"
        width = f"({{{{ {chosen}['bucket_minutes'] }}}} * 60)"
        return TableCheck(
            task_id=f"check_buckets_{table.short_name}",
            table=table.name,
            partition_clause=(
                f"period_bucket >= toDateTime('{{{{ {chosen}['date_start'] }}}}', 'UTC') "
                f"AND period_bucket < toDateTime('{{{{ {chosen}['date_end'] }}}}', 'UTC')"
            ),
            checks={
                "buckets_are_aligned": {
                    "check_statement": f"countIf(modulo(toUnixTimestamp(period_bucket), {width}) != 0) = 0"
                }
            },
            retry_on_failure=False,
        )

    @task(map_index_template="{{ map_label }}", pool=POOL)
    def validate_day(day):
        from web_analytics.tasks import validate

        return validate.validate_day(day)

    @task(trigger_rule="all_done", **TELLS_PEOPLE)
    def report():
        from web_analytics.tasks import runtime, validate

        chosen = runtime.result_of("choose_days", "chosen")
        return validate.report(chosen, runtime.results_of_mapped("validate_day"))

    days, schema_checked = choose_days(), check_schema()
    checked = validate_day.expand(day=days)
    days >> schema_checked >> [checked, *(check_buckets(table) for table in TABLES)]
    checked >> report()


for_each_region(lambda: link_to_coverage(web_analytics_validate()))
