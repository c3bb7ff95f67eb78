"""The registry by REST: what is stored, what is answered, what it starts, and what it refuses."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from web_analytics.build.steps import build_partition
from web_analytics.teams import first_backfills, registry
from web_analytics.teams.selection import select_teams

PATH = "/web-analytics/teams"


@pytest.fixture
def api(airflow_api, login, source, queued_runs):
    """``api(method, path, body)``: the answer to a user who may change teams."""

    def ask(method: str, path: str = "", body: object = None, role: str = "user"):
        return airflow_api.request(method, PATH + path, json=body, headers=login(role))

    return ask


def versions(source, team_id: int) -> list[tuple]:
    return source.clickhouse.client.execute(
        "SELECT enabled, timezone, backfill_days, enabled_by FROM web_pre_aggregated_teams WHERE team_id = "
        "%(team_id)s ORDER BY version",
        {"team_id": team_id},
    )


def changes_in_history(source) -> list[tuple]:
    return source.clickhouse.client.execute(
        "SELECT reason FROM web_analytics_backfill_log WHERE kind = 'team' ORDER BY logged_at"
    )


def in_dictionary(source) -> list[tuple]:
    return source.clickhouse.client.execute(
        "SELECT team_id, timezone, backfill_days FROM dictionary(web_pre_aggregated_teams_dict) ORDER BY team_id"
    )


def test_a_new_team_gets_the_defaults_and_a_run_is_started(api, source, queued_runs):
    answer = api("PUT", "/12", {"enabled": True})
    assert answer.status_code == 200, answer.text
    team = answer.json()
    [(run_id, user)] = queued_runs()
    assert team["backfill"] == {"dag_run_id": run_id, "is_paused": False}
    assert user == "some user"
    assert team["remark"] == "no events of this team in the source"
    assert (team["enabled"], team["timezone"], team["backfill_days"]) == (True, "UTC", 7)
    assert (team["selected"], team["changed_by"]) == (True, "some user")
    assert versions(source, 12) == [(True, "UTC", 7, "some user")]
    assert in_dictionary(source) == [(12, "UTC", 7)]


def test_each_change_is_a_version_with_who_made_it(api, source):
    api("PUT", "/12", {"enabled": True, "timezone": "Asia/Tokyo", "backfill_days": 14})
    api("PUT", "/12", {"backfill_days": 30}, role="admin")
    assert api("PUT", "/12", {"enabled": False}).json()["backfill"] is None
    assert versions(source, 12) == [
        (True, "Asia/Tokyo", 14, "some user"),
        (True, "Asia/Tokyo", 30, "some admin"),
        (False, "Asia/Tokyo", 30, "some user"),
    ]
    assert in_dictionary(source) == []
    assert changes_in_history(source)[1:] == [
        ("some admin changed team 12: backfill_days 14 to 30",),
        ("some user changed team 12: enabled True to False",),
    ]


def test_the_same_request_again_changes_nothing(api, source, queued_runs):
    first = api("PUT", "/12", {"enabled": True}).json()
    assert api("PUT", "/12", {"enabled": True}).json() == first
    assert api("PUT", "/12", {}).json() == first
    assert len(versions(source, 12)) == len(queued_runs()) == 1


def test_requests_at_once_do_not_undo_each_other(api, source):
    """Two people change different settings of one team."""
    api("PUT", "/12", {"enabled": True, "timezone": "UTC"})
    changes = [{"enabled": False}, {"timezone": "Asia/Tokyo"}, {"backfill_days": 14}]
    for _ in range(5):
        api("PUT", "/12", {"enabled": True, "timezone": "UTC", "backfill_days": 7})
        with ThreadPoolExecutor(len(changes)) as threads:
            list(threads.map(lambda change: api("PUT", "/12", change), changes))
        assert versions(source, 12)[-1][:3] == (False, "Asia/Tokyo", 14)


def test_while_others_change_the_registry_for_long_it_says_when_to_come_back(api, source, monkeypatch):
    monkeypatch.setattr(registry, "WAITS_AT_MOST", timedelta(0))
    source.clickhouse.run("teams/create_registry_lock", {"token": "another"})
    answer = api("PUT", "/12", {"enabled": True})
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1"), answer.text
    assert answer.json()["detail"].startswith("Others have been changing the registry of teams")
    source.clickhouse.run("teams/drop_registry_lock")
    assert api("PUT", "/12", {"enabled": True}).status_code == 200


def test_a_burst_of_fifty_is_few_runs_and_loses_nobody(api, source, queued_runs):
    def enable(team_id):
        while (answer := api("PUT", f"/{team_id}", {"enabled": True})).status_code == 503:
            time.sleep(int(answer.headers["Retry-After"]))
        return answer

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(enable, range(1, 51)))
    assert [answer.status_code for answer in answers] == [200] * 50
    runs = {run_id for run_id, _ in queued_runs()}
    assert {answer.json()["backfill"]["dag_run_id"] for answer in answers} == runs
    assert 1 <= len(runs) <= 10, "no more than asked at the same instant"
    assert len(in_dictionary(source)) == 50


def test_a_team_that_was_backfilled_is_not_again(api, source, run_dag, queued_runs):
    api("PUT", "/12", {"enabled": True, "backfill_days": 1})
    assert run_dag("web_analytics_team_backfill").state == "success"
    answer = api("PUT", "/12", {"timezone": "Asia/Tokyo"})
    assert answer.json()["backfill"] is None
    found = api("GET", "/12").json()
    assert found["last_backfill"]["state"] == "succeeded"
    api("PUT", "/12", {"enabled": False})
    assert api("GET", "/12").json()["last_backfill"]["state"] == "left"
    assert api("PUT", "/12", {"enabled": True}).json()["backfill"] is not None


def test_a_team_that_was_disabled_elsewhere_is_backfilled_when_it_comes_back(api, source, run_dag):
    """As by the cleanup, which may have deleted its rows, and nobody has looked since."""
    api("PUT", "/12", {"enabled": True, "backfill_days": 1})
    assert run_dag("web_analytics_team_backfill").state == "success"
    source.enable(12, enabled=False)
    assert api("PUT", "/12", {"enabled": True}).json()["backfill"] is not None


def test_a_team_says_what_is_built_of_it(api, source, days, settings):
    source.enable(12)
    source.visits([12], days(3), per_day=2)
    build_partition(source.clickhouse, settings, days(3)[1], [12])
    found = api("GET", "/12", role="viewer")
    assert found.status_code == 200, found.text
    team = found.json()
    assert (team["selected"], team["registration"]["enabled"], team["last_backfill"]) == (True, True, None)
    coverage = team["coverage"]
    assert (coverage["complete_days"], coverage["incomplete_days"]) == (1, 2)
    assert [(day["partition_date"], day["stats"], day["pageviews"]) for day in coverage["days"]] == [
        (day.isoformat(), "complete" if day == days(3)[1] else "missing", 4) for day in days(3)
    ]


def test_pages(api, source):
    source.enable(*range(1, 8))
    page = api("GET", "?limit=3&offset=5").json()
    assert ([team["team_id"] for team in page["teams"]], page["total_entries"]) == ([6, 7], 7)


def test_a_team_nobody_knows(api):
    answer = api("GET", "/999")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Team 999 is not registered, and no selection strategy gives it."


def test_a_team_that_another_strategy_gives_has_no_registration(api, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES", "teams_table,environment_variable")
    monkeypatch.setenv("WEB_ANALYTICS_ENABLED_TEAM_IDS", "5")
    found = api("GET", "/5").json()
    assert (found["selected"], found["registration"]) == (True, None)


def test_enabled_outside_the_rollout_starts_nothing_and_says_so(api, monkeypatch, queued_runs):
    monkeypatch.setenv("WEB_ANALYTICS_ROLLOUT_PERCENT", "0")
    team = api("PUT", "/12", {"enabled": True}).json()
    assert (team["enabled"], team["selected"], team["backfill"]) == (True, False, None)
    assert queued_runs() == []


@pytest.mark.parametrize("role", ["viewer"])
def test_who_may_only_read_changes_nothing(api, source, queued_runs, role):
    answer = api("PUT", "/12", {"enabled": True}, role=role)
    assert answer.status_code == 403, answer.text
    assert versions(source, 12) == []
    assert queued_runs() == []


BAD_BODIES = [
    {"enabled": "yes"},
    {"enabled": 1},
    {"timezone": "Mars/Olympus"},
    {"timezone": "../../etc/passwd"},
    {"timezone": "UTC'; DROP TABLE events --"},
    {"timezone": "\0"},
    {"timezone": ""},
    {"timezone": 1},
    {"backfill_days": 0},
    {"backfill_days": 31},
    {"backfill_days": 7.5},
    {"backfill_days": "7"},
    {"backfill_days": True},
    {"backfill_days": -(2**70)},
    {"delete": True},
    {"enabled": True, "team_id": 13},
    [],
    None,
    "enabled",
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=json.dumps)
def test_a_bad_body_is_refused_and_changes_nothing(api, source, queued_runs, body):
    assert api("PUT", "/12", body).status_code == 422
    assert versions(source, 12) == []
    assert queued_runs() == []


# What json.dumps() does not write, and what an answer cannot repeat.
BAD_JSON = [
    b'{"backfill_days": Infinity}',
    b'{"backfill_days": NaN}',
    b'{"backfill_days": 1e400}',
    b'{"timezone": "\\ud800"}',
    b'{"\\ud800": 1}',
    b"NaN",
    b'{"enabled": true',
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("content", BAD_JSON)
def test_json_that_is_none_is_refused(api, airflow_api, login, source, queued_runs, content):
    headers = {**login("user"), "Content-Type": "application/json"}
    answer = airflow_api.put(f"{PATH}/12", content=content, headers=headers)
    detail = answer.json()["detail"]
    if answer.status_code == 400:
        assert detail == "The body is not JSON."
    else:
        assert (answer.status_code, bool(detail[0]["msg"])) == (422, True)
    assert versions(source, 12) == []
    assert queued_runs() == []


@pytest.mark.parametrize(
    "team_id",
    ["-1", "1.5", "1.0", "1_0", "+1", "%201", "abc", "9223372036854775808", "1e3", "%00", "1;2", "٣x"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_bad_id_is_refused(api, method, team_id):
    assert api(method, f"/{team_id}", {}).status_code == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=a", "offset=-1", f"offset={2**31}"])
def test_a_bad_page_is_refused(api, query):
    assert api("GET", f"?{query}").status_code == 422


def test_what_clickhouse_cannot_answer_is_a_503_with_a_sentence(api, source):
    source.clickhouse.client.execute("DROP DICTIONARY web_pre_aggregated_teams_dict")
    source.clickhouse.client.execute("DROP TABLE web_pre_aggregated_teams")
    answer = api("GET")
    assert answer.status_code == 503
    assert "failed in ClickHouse with code 60" in answer.json()["detail"]


def test_an_accepted_change_is_repeated_after_a_failure_in_its_middle(api, source, queued_runs):
    """The dictionary cannot be reloaded: the row is there, the run is queued, and a repetition ends right."""
    admin = source.clickhouse.client
    [(create,)] = admin.execute("SHOW CREATE DICTIONARY web_pre_aggregated_teams_dict")
    admin.execute("DROP DICTIONARY web_pre_aggregated_teams_dict")
    assert api("PUT", "/12", {"enabled": True}).status_code == 503
    assert select_teams(source.clickhouse, settings_of_now()).team_ids == {12}
    assert len(queued_runs()) == 1
    assert len(changes_in_history(source)) == 1
    admin.execute(create)
    assert api("PUT", "/12", {"enabled": True}).status_code == 200
    assert len(queued_runs()) == len(versions(source, 12)) == len(changes_in_history(source)) == 1
    assert in_dictionary(source) == [(12, "UTC", 7)]


def settings_of_now():
    from web_analytics.settings import Settings

    return Settings.load({})


def test_a_body_that_is_not_json_and_a_field_of_another_name_are_said(airflow_api, login, source):
    headers = {**login("admin"), "Content-Type": "application/json"}
    answer = airflow_api.put(f"{PATH}/1", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "The body is not JSON."})
    answer = airflow_api.put(f"{PATH}/1", json={"enable": True}, headers=headers)
    assert answer.status_code == 422
    [problem] = answer.json()["detail"]
    assert (
        problem["msg"]
        == "There is a field of another name; accepted: enabled, timezone, backfill_days, name, mute_low_volume"
    )


def test_an_instant_that_is_not_known_is_null_and_not_1970(airflow_api, login, source):
    source.clickhouse.client.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, enabled, version) VALUES (1, true, 0)"
    )
    before = first_backfills.before_selection(source.clickhouse)
    first_backfills.start(source.clickhouse, {}, {1: "has the time zone 'Mars'"}, "a run", before)
    team = airflow_api.get(f"{PATH}/1", headers=login("viewer")).json()
    assert team["registration"]["changed_at"] is None
    assert team["last_backfill"]["date_start"] is team["last_backfill"]["date_end"] is None
    assert "1970" not in str(team)


def test_a_name_is_kept_until_it_is_changed(api, source):
    assert api("PUT", "/12", {"enabled": True, "name": "Acme"}).json()["name"] == "Acme"
    assert api("PUT", "/12", {"enabled": False}).json()["name"] == "Acme"
    assert [team["name"] for team in api("GET").json()["teams"]] == ["Acme"]
    assert api("PUT", "/12", {"name": ""}).json()["name"] == ""
    reasons = [reason for (reason,) in changes_in_history(source)]
    assert reasons[0] == (
        "some user changed team 12: enabled unset to True, timezone unset to UTC, backfill_days unset to 7, "
        "name unset to Acme, mute_low_volume unset to False"
    )
    assert reasons[-1] == "some user changed team 12: name Acme to unset"
    assert api("PUT", "/12", {"name": "x" * 201}).status_code == 422


def test_the_scheduler_may_take_the_run_at_once(api, queued_runs):
    """On SQLite it compares with a clock that tells whole seconds."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    for team_id in range(1, 4):
        started = api("PUT", f"/{team_id}", {"enabled": True}).json()["backfill"]["dag_run_id"]
        with create_session() as session:
            assert started in {run.run_id for run in DagRun.get_queued_dag_runs_to_set_running(session)}
            session.query(DagRun).delete()
