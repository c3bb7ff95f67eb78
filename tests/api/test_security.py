"""Who may do what: no login 401, a viewer reads, a user changes."""

from __future__ import annotations

import pytest

from web_analytics.api import app
from web_analytics.api.security import editor, reader


def endpoints():
    for route in app.app.routes:
        for method in sorted(route.methods - {"HEAD"}):
            yield pytest.param(method, route, id=f"{method} {route.path}")


@pytest.mark.parametrize(("method", "route"), endpoints())
def test_every_endpoint_is_guarded(method, route):
    guards = {dependency.call for dependency in route.dependant.dependencies}
    assert (reader if method == "GET" else editor) in guards


@pytest.mark.parametrize(("method", "route"), endpoints())
def test_without_a_login_nothing_is_answered(airflow_api, method, route):
    path = app.URL_PREFIX + route.path.replace("{team_id}", "1")
    answer = airflow_api.request(method, path, json={})
    assert answer.status_code == 401, answer.text
    forged = airflow_api.request(method, path, json={}, headers={"Authorization": "Bearer forged"})
    assert forged.status_code in (401, 403), forged.text


def test_a_viewer_reads_the_teams(airflow_api, login, source):
    source.enable(7, 3)
    answer = airflow_api.get("/web-analytics/teams", headers=login("viewer"))
    assert answer.status_code == 200, answer.text
    assert [(team["team_id"], team["enabled"]) for team in answer.json()["teams"]] == [(3, True), (7, True)]
    assert answer.json()["total_entries"] == 2
