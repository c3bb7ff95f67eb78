"""The gap report in the browser: who may read it, and what hostile text becomes."""

from __future__ import annotations

import html
import re
from types import SimpleNamespace
from urllib.parse import quote

from web_analytics.api import gap_report

REPORT = {
    "summary": "1 of 2 teams <script>alert(1)</script>",
    "checked_at": "2026-01-08T00:00:00+00:00",
    "date_start": "2026-01-01",
    "date_end": "2026-01-08",
    "command": "",
    "gaps": [
        {
            "table_name": "web_pre_aggregated_stats",
            "team_id": 7,
            "kind": "missing",
            "date_start": "2026-01-01",
            "date_end": "2026-01-03",
            "days": 2,
            "age_hours": 10.5,
            "source_pageviews": 20,
            "command": """airflow dags trigger web_analytics_backfill --conf '{"team_ids": [7]}'""",
        }
    ],
}


def test_values_are_shown_as_text():
    page = gap_report.render(REPORT, '"><img src=x onerror=alert(2)>', "n0nce", lambda gap: "/page")
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert '<td class="number">7</td>' in page


def test_the_page_is_self_contained():
    page = gap_report.render(REPORT, "run", "n0nce", lambda gap: "/page?a=1&b=2")
    for reference in ("src=", "@import", "url("):
        assert reference not in page
    assert re.findall('href="(.*?)"', page) == ["/page?a=1&amp;b=2"]


def test_the_task_links_to_its_run(dag_bag):
    task = dag_bag.dags["web_analytics_diagnostics"].get_task("show_data_gaps")
    [link] = task.operator_extra_links
    key = SimpleNamespace(dag_id="web_analytics_diagnostics", run_id="manual__2026-01-01T00:00:00+00:00/x")
    assert link.get_link(task, ti_key=key).endswith(
        "/web-analytics/gap-reports/web_analytics_diagnostics/manual__2026-01-01T00%3A00%3A00%2B00%3A00%2Fx"
    )


def test_who_may_look_sees_the_report_of_the_run(airflow_api, login, source, run_dag, days):
    source.enable(1)
    source.visits([1], days(2))
    run = run_dag("web_analytics_diagnostics")
    answer = airflow_api.get(
        f"/web-analytics/gap-reports/web_analytics_diagnostics/{quote(run.run_id, safe='')}",
        headers=login("viewer"),
    )
    assert answer.status_code == 200
    assert "1 of 1 teams have gaps on " in answer.text
    assert "<td>web_pre_aggregated_bounces</td>" in answer.text
    assert run.run_id in html.unescape(answer.text)
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search("'nonce-([^']+)'", policy)[1]
    assert policy.startswith("default-src 'none'")
    assert f'<style nonce="{nonce}">' in answer.text
    assert f'<script nonce="{nonce}">' in answer.text
    newest = days(1)[0]
    assert f"selected_days={days(2)[1]}..{newest}&team_ids=1&selected_teams=1" in html.unescape(answer.text)


def test_a_run_without_a_report_is_not_found(airflow_api, login):
    answer = airflow_api.get(
        "/web-analytics/gap-reports/web_analytics_diagnostics/no-such-run", headers=login("viewer")
    )
    assert answer.status_code == 404
    other = airflow_api.get("/web-analytics/gap-reports/web_analytics_backfill/run", headers=login("viewer"))
    assert other.status_code == 422
