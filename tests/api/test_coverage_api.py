"""The coverage page behind Airflow's login: who sees what, and that nothing of it can run a stranger's script."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from web_analytics.api.coverage.endpoints import STATIC
from web_analytics.teams import registry
from web_analytics.teams.registry import Registration

PAGE = "/web-analytics/coverage"
FILES = sorted(path.name for path in STATIC.iterdir())
BACKFILL = "/api/v2/dags/web_analytics_backfill/dagRuns"


def test_a_viewer_sees_the_page_and_may_start_nothing(airflow_api, login, source, dags_in_database, days):
    source.enable(5)
    source.visits([5], days(1))
    viewer = login("viewer")
    assert airflow_api.get(PAGE, headers=viewer).status_code == 200
    answer = airflow_api.get(f"{PAGE}/data", headers=viewer)
    assert answer.status_code == 200, answer.text
    assert [team["team_id"] for team in answer.json()["teams"]] == ["5"]
    assert answer.json()["totals"]["missing"] == 2
    assert re.match(r'clickhouse;dur=\d+;desc="\d+ queries, \d+ rows read"', answer.headers["Server-Timing"])
    assert airflow_api.get(f"{PAGE}/decisions", headers=viewer).json() == {"decisions": []}
    cell = airflow_api.get(f"{PAGE}/cells/5/{days(1)[0]}", headers=viewer).json()
    assert cell["source_pageviews"] == 6
    assert airflow_api.get(f"{PAGE}/actions", headers=viewer).json() == {"startable": [], "cancellable": []}
    # What the buttons would call.
    assert airflow_api.post(BACKFILL, json={"logical_date": None}, headers=viewer).status_code == 403


def test_teams_are_found_by_a_part_of_their_name(airflow_api, login, source, days):
    source.enable(5, 6, 7)
    named = Registration(5, True, "UTC", 7)
    registry.change(source.clickhouse, named, {"name": "Acme"}, "anna")
    viewer = login("viewer")

    def found(query: str) -> dict:
        return airflow_api.get(f"{PAGE}/data?{query}", headers=viewer).json()

    answer = found("team_name=ACM")
    assert [(team["team_id"], team["name"]) for team in answer["teams"]] == [("5", "Acme")]
    assert (answer["filtered"], answer["team_name"]) == (["5"], "ACM")
    assert [team["team_id"] for team in found("team_name=acme&team_ids=7")["teams"]] == ["5", "7"]
    # A name that nobody has is no filter that was left out.
    nobody = found("team_name=Nobody")
    assert (nobody["teams"], nobody["filtered"], nobody["totals"]["teams"]) == ([], [], 0)
    everyone = found("")
    assert ([team["name"] for team in everyone["teams"]], everyone["filtered"]) == (["Acme", "", ""], None)


def test_a_user_may_start_what_the_page_has_buttons_for(airflow_api, login, dags_in_database):
    startable = airflow_api.get(f"{PAGE}/actions", headers=login("user")).json()["startable"]
    assert startable == ["web_analytics_backfill", "web_analytics_validate"]


@pytest.mark.parametrize(
    "query",
    [
        "team_ids=%3Cscript%3E",
        "team_ids=1;DROP TABLE events",
        "team_ids=-1",
        "days=0",
        "days=366",
        "date_start=2026-01-01",
        "date_start=2026-01-02&date_end=2026-01-01",
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_with_a_sentence(airflow_api, login, source, query):
    answer = airflow_api.get(f"{PAGE}/data?{query}", headers=login("viewer"))
    assert answer.status_code == 400, answer.text
    assert "; accepted: " in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["page=0", "page_size=1000000", "date_start=yesterday", "page=x"])
def test_what_is_not_of_its_type_is_refused(airflow_api, login, source, query):
    assert airflow_api.get(f"{PAGE}/data?{query}", headers=login("viewer")).status_code == 422


@pytest.mark.parametrize("path", ["cells/x/2026-01-01", "cells/1,2/2026-01-01", "cells/1/9999-12-31"])
def test_a_cell_that_cannot_be_is_refused(airflow_api, login, source, path):
    assert airflow_api.get(f"{PAGE}/{path}", headers=login("viewer")).status_code == 400


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2f..%2fcoverage.py", "%2e%2e/coverage.py", "coverage.css/x", ""]
)
def test_only_the_files_of_the_page_are_served(airflow_api, login, name):
    assert airflow_api.get(f"{PAGE}/static/{name}", headers=login("viewer")).status_code == 404


@pytest.mark.parametrize("path", ["", *(f"/static/{name}" for name in FILES)])
def test_what_is_served_may_run_only_what_is_served_here(airflow_api, login, path):
    answer = airflow_api.get(f"{PAGE}{path}", headers=login("viewer"))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


class Markup(HTMLParser):
    def __init__(self):
        super().__init__()
        self.problems: list[str] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.problems.append(f"inline {tag}")
        self.problems += [f"{tag} {name}" for name in attributes if name == "style" or name.startswith("on")]
        addresses = (attributes.get("src", ""), attributes.get("href", ""))
        self.problems += [address for address in addresses if address.startswith(("http", "//"))]


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere():
    markup = Markup()
    markup.feed((STATIC / "index.html").read_text())
    assert markup.problems == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_no_script_makes_markup_of_text(name):
    text = (STATIC / name).read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text
    )


def test_every_file_is_asked_for_by_the_page_or_its_place_in_the_navigation():
    from web_analytics.reporting import links

    asked = (STATIC / "index.html").read_text() + str(links.external_view())
    assert [name for name in FILES if name != "index.html" and f"static/{name}" not in asked] == []


def test_it_is_in_airflows_navigation(airflow_api, login):
    plugins = airflow_api.get("/api/v2/plugins", headers=login("admin")).json()["plugins"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "web_analytics"]
    [view] = ours["external_views"]
    assert (view["name"], view["href"], view["destination"]) == ("Coverage", PAGE, "nav")
    errors = airflow_api.get("/api/v2/plugins/importErrors", headers=login("admin")).json()
    assert errors["total_entries"] == 0


def test_that_clickhouse_is_down_is_said_at_once(airflow_api, login, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", "clickhouse://default:@127.0.0.1:9/default")
    answer = airflow_api.get("/web-analytics/coverage/data", headers=login("viewer"))
    assert answer.status_code == 503
    assert "Check that ClickHouse is up and reachable" in answer.json()["detail"]
    assert "clickhouse/kill_query" not in answer.json()["detail"]
    assert "again in" not in caplog.text
