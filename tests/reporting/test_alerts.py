"""Messages as they arrive: Slack, e-mail, PostHog and StatsD on the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import sys
from datetime import timedelta
from typing import ClassVar
from urllib.parse import quote

import pytest
from airflow.sdk import BaseNotifier

from tests.conftest import CHECKOUT
from tests.reporting import receivers
from tests.support import load_dags
from web_analytics.build import steps
from web_analytics.errors import BadSetting
from web_analytics.reporting import alerts, metrics
from web_analytics.rules import health
from web_analytics.rules.health import Thresholds
from web_analytics.settings import Settings

BACKFILL, HEALTH, VALIDATE = "web_analytics_backfill", "web_analytics_health", "web_analytics_validate"
# A Slack where nobody listens.
GONE = json.dumps({"conn_type": "slackwebhook", "host": "http://127.0.0.1:9", "password": "T/B/x"})


@pytest.fixture(autouse=True)
def base_url(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")


@pytest.fixture
def slack(monkeypatch):
    with receivers.http_endpoint() as (url, received):
        connection = {"conn_type": "slackwebhook", "host": f"{url}/services", "password": "T000/B000/secret"}
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL_SLACK", json.dumps(connection))
        monkeypatch.setenv("WEB_ANALYTICS_ALERT_SLACK_CONN_ID", "oncall_slack")
        yield received


@pytest.fixture
def mail(monkeypatch):
    with receivers.mail() as (connection, received):
        monkeypatch.setenv("AIRFLOW_CONN_ONCALL_MAIL", connection)
        monkeypatch.setenv("WEB_ANALYTICS_ALERT_EMAIL_CONN_ID", "oncall_mail")
        monkeypatch.setenv("WEB_ANALYTICS_ALERT_EMAIL_TO", "oncall@example.com, lead@example.com")
        yield received


@pytest.fixture
def posthog(monkeypatch):
    with receivers.http_endpoint() as (url, received):
        connection = {"conn_type": "http", "host": url, "password": "phc_key"}
        monkeypatch.setenv("AIRFLOW_CONN_OUR_POSTHOG", json.dumps(connection))
        monkeypatch.setenv("WEB_ANALYTICS_POSTHOG_CONN_ID", "our_posthog")
        yield received


@pytest.fixture
def unbuildable(source, days):
    """Three days of two teams, and a table that no row fits into."""
    source.enable(1, 2)
    source.visits([1, 2], days(3), per_day=1)
    source.clickhouse.client.execute(
        "ALTER TABLE web_pre_aggregated_bounces DROP COLUMN total_session_count_state"
    )
    return source


def text_of(arrived: dict) -> str:
    return json.loads(arrived["body"])["text"]


def test_a_failed_backfill_is_one_message_on_each_channel(unbuildable, slack, mail, posthog, run_dag, days):
    """Alerts were only written to a log."""
    run = run_dag(BACKFILL)
    assert run.state == "failed"
    assert run.states["build_date.insert_bounces"] == ["failed"] * 3

    [arrived] = slack
    assert arrived["path"] == "/services/T000/B000/secret"
    text = text_of(arrived)
    print(f"Slack, as received:\n{text}")
    lines = text.splitlines()
    assert lines[0] == "*web_analytics_backfill failed*"
    assert f"What: 3 of 3 dates were not built: {', '.join(map(str, days(3)))}." in lines[1]
    assert lines[2] == f"Since: {days(3)[-1] + timedelta(days=1)} 01:00 UTC"
    assert lines[3] == "Teams: 2"
    assert lines[4].startswith("Run: airflow dags trigger web_analytics_backfill --conf ")
    site = "https://airflow.example.com"
    assert f"<{site}/dags/web_analytics_backfill/runs/{quote(run.run_id, safe='')}|This run>" in lines[5]
    assert f"&selected_days={days(3)[-1]}..{days(3)[0]}|Coverage>" in html.unescape(lines[5])
    assert f"<{site}/dags/web_analytics_backfill|Runbook>" in lines[5]

    [message] = mail
    print(f"E-mail, as received:\n{message.as_string()}")
    assert message["Subject"] == "web_analytics_backfill failed"
    assert message["To"] == "oncall@example.com, lead@example.com"
    assert message["From"] == "airflow@example.com"
    body = next(part for part in message.walk() if part.get_content_type() == "text/html").get_content()
    assert "3 of 3 dates were not built" in body
    assert "airflow dags trigger web_analytics_backfill --conf" in body

    [captured] = [event for arrived in posthog for event in batch_of(arrived)]
    print(f"PostHog, as received: {captured}")
    assert captured["event"] == "web_analytics_backfill_finished"
    assert captured["properties"]["status"] == "failed"
    assert captured["properties"]["run_id"] == run.run_id


def batch_of(arrived: dict) -> list[dict]:
    body = arrived["body"]
    if arrived["headers"].get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return json.loads(body).get("batch", [])


def test_a_finished_backfill_tells_posthog(source, posthog, run_dag, days):
    source.enable(1)
    source.visits([1], days(2), per_day=1)
    assert run_dag(BACKFILL).state == "success"
    [captured] = [event for arrived in posthog for event in batch_of(arrived)]
    assert captured["properties"]["status"] == "succeeded"
    assert captured["properties"]["dates"] == [str(day) for day in days(2)]


def test_a_failed_validation_is_one_message(source, settings, slack, run_dag, days):
    source.enable(1)
    source.visits([1], days(3), per_day=1)
    for day in days(3):
        steps.build_partition(source.clickhouse, settings, day, [1])
    source.clickhouse.client.execute(
        f"INSERT INTO web_pre_aggregated_stats SELECT * FROM web_pre_aggregated_stats WHERE toDate(period_bucket) >= '{days(2)[1]}'"
    )
    assert run_dag(VALIDATE).state == "failed"
    [arrived] = slack
    text = text_of(arrived)
    assert text.startswith("*web_analytics_validate failed*")
    assert "Teams: 1" in text
    assert f"Since: {days(1)[0]} 00:00 UTC" in text
    assert '"rebuild": true' in text


def test_health_tells_of_a_change_once(source, settings, slack, mail, run_dag, days, monkeypatch):
    monkeypatch.setattr(health, "THRESHOLDS", Thresholds(20, 22))
    source.enable(1)
    source.visits([1], days(2), per_day=1)
    assert run_dag(HEALTH).state == "failed"
    assert run_dag(HEALTH).state == "failed"
    [arrived] = slack
    assert text_of(arrived).startswith("*Web analytics pre-aggregation is failing*")
    assert "the oldest gap" in text_of(arrived)
    assert len(mail) == 1
    for day in days(2):
        steps.build_partition(source.clickhouse, settings, day, [1])
    run_dag(HEALTH)
    assert [text_of(each).splitlines()[0] for each in slack[1:]] == [
        "*Web analytics pre-aggregation is degraded*"
    ]


def test_a_health_check_tells_each_channel_once_though_one_fails(source, slack, mail, run_dag, monkeypatch):
    source.enable(1)  # without events: degraded
    monkeypatch.setenv("WEB_ANALYTICS_ALERT_SLACK_CONN_ID", "gone")
    monkeypatch.setenv("AIRFLOW_CONN_GONE", GONE)
    assert run_dag(HEALTH).state == "failed"
    assert [arrived["Subject"] for arrived in mail] == ["Web analytics pre-aggregation is degraded"]
    # the check is recorded all the same, and the next one tells those who were not
    [recorded] = source.clickhouse.client.execute(
        "SELECT status FROM web_analytics_backfill_log WHERE kind = 'health'"
    )
    assert recorded == ("degraded",)
    monkeypatch.setenv("WEB_ANALYTICS_ALERT_SLACK_CONN_ID", "oncall_slack")
    assert run_dag(HEALTH).state == "success"
    assert [text_of(arrived).splitlines()[0] for arrived in slack] == [
        "*Web analytics pre-aggregation is degraded*"
    ]
    assert run_dag(HEALTH).state == "success"
    assert len(slack) == 1


def test_a_health_check_that_cannot_be_made_is_told_too(source, slack, run_dag):
    source.clickhouse.client.execute("DROP TABLE web_analytics_backfill_log")
    assert run_dag(HEALTH).state == "failed"
    [arrived] = slack
    assert text_of(arrived).startswith("*web_analytics_health failed*")
    assert "with code 60" in text_of(arrived)


def test_nothing_is_sent_unless_a_connection_is_named(source, run_dag, caplog):
    source.enable(1)
    source.clickhouse.client.execute("DROP VIEW web_analytics_source_events")
    assert run_dag(BACKFILL).state == "failed"
    assert "Told nobody, no channel is configured: web_analytics_backfill failed" in caplog.text
    assert alerts.send(Settings.load({}), message()) == []


def message(**changes) -> alerts.Message:
    values = {
        "title": "Title",
        "what": "What",
        "dag_id": BACKFILL,
        "run_id": "manual__2026-01-01T00:00:00+00:00",
    }
    return alerts.Message(**{**values, **changes})


def test_text_of_errors_is_neither_markup_nor_a_template(slack, mail):
    hostile = "{{ conn.clickhouse_default.password }} <!channel> <b>&amp;</b> <http://evil|click>"
    alerts.send(Settings.load(), message(title=hostile, what=hostile))
    text = text_of(slack[0])
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    assert "{{ conn.clickhouse_default.password }}" in text
    body = next(part for part in mail[0].walk() if part.get_content_type() == "text/html").get_content()
    assert "<b>" not in body
    assert "{{ conn.clickhouse_default.password }}" in body
    assert mail[0]["Subject"].startswith("{{ conn.")


def test_without_the_address_of_airflow_it_says_how_to_get_links(slack, monkeypatch):
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    alerts.send(Settings.load(), message())
    assert text_of(slack[0]).splitlines()[-1] == alerts.NO_LINKS


def test_a_channel_that_fails_does_not_silence_the_other(mail, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GONE", GONE)
    monkeypatch.setenv("WEB_ANALYTICS_ALERT_SLACK_CONN_ID", "gone")
    with pytest.raises(ExceptionGroup, match="could not be sent"):
        alerts.send(Settings.load(), message())
    assert len(mail) == 1


def test_a_missed_deadline_is_a_message(slack):
    context = {
        "dag_run": {
            "dag_id": BACKFILL,
            "dag_run_id": "scheduled__2026-01-02",
            "run_after": "2026-01-02T02:00:00Z",
        },
        "deadline": {"deadline_time": "2026-01-02T05:00:00Z"},
    }
    asyncio.run(alerts.deadline_missed(context))
    text = text_of(slack[0])
    print(f"Slack, as received:\n{text}")
    assert text.startswith("*web_analytics_backfill is late*")
    assert "not done 180 min after it was queued, by 2026-01-02 05:00 UTC;" in text
    assert "Since: 2026-01-02 02:00 UTC" in text
    assert "/runs/scheduled__2026-01-02|" in text


def test_the_backfill_has_the_deadline_of_the_setting_once_somebody_can_be_told(monkeypatch):
    assert alerts.freshness_deadline() is None
    monkeypatch.setenv("WEB_ANALYTICS_ALERT_SLACK_CONN_ID", "oncall_slack")
    for value, minutes in (("", 180), ("45", 45), ("soon", 180)):
        monkeypatch.setenv("WEB_ANALYTICS_FRESHNESS_DEADLINE_MINUTES", value)
        bag = load_dags(CHECKOUT / "dags" / "web_analytics_backfill.py")
        assert bag.import_errors == {}
        [deadline] = bag.dags[BACKFILL].deadline
        assert deadline.interval == timedelta(minutes=minutes)
        assert deadline.callback.path == "web_analytics.reporting.alerts.deadline_missed"


def test_email_without_an_address_is_a_bad_setting():
    with pytest.raises(BadSetting, match="WEB_ANALYTICS_ALERT_EMAIL_TO"):
        Settings.load({"WEB_ANALYTICS_ALERT_EMAIL_CONN_ID": "mail"})


def test_metrics_reach_statsd(source, settings, run_dag, days, monkeypatch):
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk._shared.observability.metrics.statsd_logger import get_statsd_logger
    from statsd import StatsClient

    source.enable(1)
    source.visits([1], days(3), per_day=1)
    for day in days(3):
        steps.build_partition(source.clickhouse, settings, day, [1])
    statsd = receivers.StatsD()
    try:
        monkeypatch.setattr(stats, "_backend", None)
        monkeypatch.setattr(
            stats,
            "_factory",
            lambda: get_statsd_logger(
                stats_class=StatsClient, host="127.0.0.1", port=statsd.port, prefix="airflow"
            ),
        )
        run_dag(HEALTH)
        lines = statsd.receive("airflow.web_analytics.", until="coverage_percent.bounces")
        print("StatsD, as received:\n" + "\n".join(lines))
    finally:
        statsd.close()
    names = {line.split(":")[0].removeprefix("airflow.web_analytics.") for line in lines}
    assert "airflow.web_analytics.coverage_percent.stats:100.0|g" in lines
    assert names <= set(metrics.GAUGES)


def test_a_metric_without_documentation_is_an_error():
    with pytest.raises(KeyError, match="new_one"):
        metrics.send({"new_one": 1.0})


class Pager(BaseNotifier):
    """What a provider's notifier is to the package: a class that takes arguments."""

    template_fields = ("summary",)
    told: ClassVar[list] = []

    def __init__(self, summary: str, details: dict):
        super().__init__()
        self.summary, self.details = summary, details

    def notify(self, context) -> None:
        Pager.told.append((self.summary, self.details))


MESSAGE = alerts.Message(
    "It failed", "100 % of {{ it }} & $more", "web_analytics_backfill", "manual__1", teams=2
)
PAGER = {
    "notifier": f"{__name__}.Pager",
    "arguments": {"summary": "$title: $unknown", "details": {"all": ["$text", 7], "run": "$dag_id/$run_id"}},
}


def settings_with(*notifiers: dict) -> Settings:
    return Settings.load({"WEB_ANALYTICS_ALERT_NOTIFIERS": json.dumps(notifiers)})


@pytest.fixture
def pager(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Pager.__module__])
    Pager.told.clear()
    return Pager.told


def test_any_notifier_of_airflow_is_a_channel(pager):
    assert alerts.send(settings_with(PAGER), MESSAGE) == ["Pager"]
    [(summary, details)] = pager
    assert summary == "It failed: $unknown"
    assert details["run"] == "web_analytics_backfill/manual__1"
    text, number = details["all"]
    assert number == 7
    assert text.startswith("What: 100 % of {{ it }} & $more\nTeams: 2\n")
    assert "https://airflow.example.com/dags/web_analytics_backfill/runs/manual__1" in text


def test_a_notifier_that_fails_keeps_nobody_from_being_told(pager, slack):
    gone = {"notifier": "airflow.providers.nowhere.Notifier"}
    by_slack = {
        "notifier": "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
        "arguments": {"slack_webhook_conn_id": "oncall_slack", "text": "$title"},
    }
    with pytest.raises(ExceptionGroup) as failed:
        alerts.send(settings_with(gone, PAGER, by_slack), MESSAGE)
    assert [type(error) for error in failed.value.exceptions] == [ModuleNotFoundError]
    assert len(pager) == 1
    assert [text_of(arrived) for arrived in slack] == ["It failed"]


def test_a_run_has_a_deadline_where_only_a_notifier_would_tell(monkeypatch):
    assert alerts.freshness_deadline() is None
    monkeypatch.setenv("WEB_ANALYTICS_ALERT_NOTIFIERS", json.dumps([PAGER]))
    assert alerts.freshness_deadline() is not None
