"""
### Web analytics: setup

Creates, in the database of the ClickHouse connection, everything this package needs: the two target tables,
the registry of teams and its dictionary, ledger, log and plans, the view `web_analytics_source_events` on your
events, and the view `web_pre_aggregated_freshness`, which dashboards ask (docs/dashboards.md); and in Airflow the pool
`web_analytics_backfill`.

**When to run it:** once after installing, after every upgrade, after the `events` table got new materialized
columns, after a password of the connection has changed (the dictionary signs in with it), and after a change of
`WEB_ANALYTICS_ACTIVITY`, `_SOURCE`, `_PARTITIONS_START_DATE`, `_BACKFILL_SETTLING_MINUTES`, `_MIN_DAILY_PAGEVIEWS` or
`_STALE_MIN_EVENTS`, which the second view holds. Running it again changes nothing else.

**If it fails:** `create_source_view` names the column that your source lacks (docs/sources.md); an error with
code 60 says that the `events` table is not in the connection's database; 497 that the connection's user lacks
a right; 516 that its password is wrong.
"""

from __future__ import annotations

from airflow.sdk import dag

from web_analytics.regions import for_each_region
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS
from web_analytics.wiring.fail_at_once import task


@dag(
    dag_id="web_analytics_setup",
    schedule=None,
    is_paused_upon_creation=False,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_setup():
    @task
    def create_tables():
        from web_analytics.tasks import setup

        setup.create_tables()

    @task
    def create_teams_dictionary():
        from web_analytics.tasks import setup

        return setup.create_teams_dictionary()

    @task
    def create_source_view():
        from web_analytics.tasks import setup

        setup.create_source_view()

    @task
    def create_freshness_view():
        from web_analytics.tasks import setup

        setup.create_freshness_view()

    @task
    def create_pool():
        from web_analytics.tasks import setup

        setup.create_pool()

    create_tables() >> [create_teams_dictionary(), create_source_view(), create_freshness_view()]
    create_pool()


for_each_region(web_analytics_setup)
