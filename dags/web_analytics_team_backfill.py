"""
### Web analytics: a team's first backfill

Builds the last days of a team as soon as it is enabled, newest first, in both tables: `WEB_ANALYTICS_BACKFILL_DAYS`
(7), or as many as the team was registered with, at most 30. They are days of the team's own time zone.

**What starts it:** `PUT /web-analytics/teams/ID` with `"enabled": true`; a project that switches pre-aggregation on
in PostHog's own database, where that is watched; and each run of `web_analytics_backfill` that finds a team waiting.
Whatever started it, a run takes every team that is enabled and not yet backfilled, so nothing depends on a single
event; with nobody waiting it ends at once.

**By hand:** `{}` does the same. `{"team_id": 12}` or `{"team_id": 12, "backfill_days": 14}` takes one enabled team,
also one that was backfilled before, and builds what it lacks; with `"dry_run": true` the log of `plan` shows what
exists, what would be built and what that would read, and nothing is changed.

**If a run fails:** `summarise` names a team and what it still lacks; the red task of such a date says why. The team
stays waiting: the next run, at the latest the one that the next `web_analytics_backfill` starts, takes it again.
"""

from __future__ import annotations

from airflow.sdk import dag

from web_analytics.conf import TeamBackfillConf
from web_analytics.regions import for_each_region
from web_analytics.wiring.assets import TEAM_ENABLED_ASSET
from web_analytics.wiring.build_group import build_dates
from web_analytics.wiring.defaults import DEFAULT_ARGS, TAGS, TELLS_PEOPLE
from web_analytics.wiring.fail_at_once import task
from web_analytics.wiring.params import params_of


@dag(
    dag_id="web_analytics_team_backfill",
    schedule=[TEAM_ENABLED_ASSET],
    # It acts only where somebody enabled a team, and is expected to at once.
    is_paused_upon_creation=False,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params=params_of(TeamBackfillConf),
    tags=TAGS,
    doc_md=__doc__,
)
def web_analytics_team_backfill():
    @task
    def plan():
        from web_analytics.tasks import team_backfill

        return team_backfill.plan()

    def stage_date(day, plan_id):
        from web_analytics.tasks import team_backfill

        return team_backfill.stage_date(day, plan_id)

    @task(trigger_rule="all_done", **TELLS_PEOPLE)
    def summarise():
        from web_analytics.tasks import runtime, team_backfill

        left_out = runtime.result_of("plan", team_backfill.LEFT_OUT)
        return team_backfill.summarise(runtime.result_of("plan"), left_out)

    build_dates(plan(), stage_date) >> summarise()


for_each_region(web_analytics_team_backfill)
