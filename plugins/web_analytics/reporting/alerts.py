"""Messages to people, through Airflow's notifiers: Slack and e-mail, each off unless its setting names a connection, and any
other that WEB_ANALYTICS_ALERT_NOTIFIERS names.

One message per run: the task that sums a run up has :func:`run_failed` as its failure callback, the health check
calls :func:`send` itself, and :func:`deadline_missed` is the callback of a DeadlineAlert.
"""

from __future__ import annotations

import functools
import html
import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from web_analytics.parsers import Notifier
from web_analytics.regions import region_of
from web_analytics.reporting.concern import Concern
from web_analytics.reporting.links import page_of
from web_analytics.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import DeadlineAlert

log = logging.getLogger(__name__)

LONGEST_TEXT = 1500
NO_LINKS = "For links to the run and to the coverage page, set [api] base_url in Airflow's configuration."


@dataclass(frozen=True)
class Message:
    """What people are told.

    :ivar what: one sentence.
    :ivar since: since when it is so; None if unknown.
    :ivar teams: how many teams it concerns; None if unknown.
    :ivar commands: what to run.
    :ivar days: the days that the link to the coverage page selects; empty for none.
    :ivar team_ids: of these teams.
    """

    title: str
    what: str
    dag_id: str
    run_id: str
    since: datetime | None = None
    teams: int | None = None
    commands: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    team_ids: tuple[int, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        facts = [("What", _shortened(self.what))]
        if self.since is not None:
            facts.append(("Since", f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"))
        if self.teams is not None:
            facts.append(("Teams", str(self.teams)))
        facts += [("Run", command) for command in self.commands]
        return facts

    def links(self) -> list[tuple[str, str]]:
        """(label, address) of the run, the coverage page and the runbook, which is the DAG's own documentation;
        none where Airflow does not know its own address."""
        from airflow.configuration import conf

        base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        if not base:
            return []
        return [
            ("This run", f"{base}/dags/{self.dag_id}/runs/{quote(self.run_id, safe='')}"),
            ("Coverage", base + page_of(self.dag_id, days=self.days, team_ids=self.team_ids)),
            ("Runbook", f"{base}/dags/{self.dag_id}"),
        ]

    def to_text(self) -> str:
        """For a channel of which nothing is known."""
        lines = [f"{name}: {text}" for name, text in self.facts()]
        lines += [f"{label}: {address}" for label, address in self.links()] or [NO_LINKS]
        return "\n".join(lines)

    def to_slack(self) -> str:
        def escaped(text: str) -> str:
            return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

        lines = [f"*{escaped(self.title)}*"]
        lines += [f"{name}: {escaped(text)}" for name, text in self.facts()]
        lines.append(" | ".join(f"<{address}|{label}>" for label, address in self.links()) or NO_LINKS)
        return "\n".join(lines)

    def to_html(self) -> str:
        rows = "".join(
            f"<tr><th align='left' valign='top'>{name}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self.facts()
        )
        links = " | ".join(f"<a href='{html.escape(address)}'>{label}</a>" for label, address in self.links())
        links = links or html.escape(NO_LINKS)
        return f"<h3>{html.escape(self.title)}</h3><table cellpadding='4'>{rows}</table><p>{links}</p>"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def send(settings: Settings, message: Message) -> list[str]:
    """Sends the message wherever it is configured to go; every channel is tried although one fails.

    :returns: the channels: slack, email, and the classes of further notifiers.
    :raises ExceptionGroup: what the channels that failed said.
    """
    # Called as hooks would: through their templates, text of an error message would be rendered as a template.
    channels: list[tuple[str, Callable[[], None]]] = []
    if settings.alert_slack_conn_id:
        channels.append(("slack", lambda: _send_to_slack(settings, message)))
    if settings.alert_email_conn_id:
        channels.append(("email", lambda: _send_email(settings, message)))
    for notifier in settings.alert_notifiers:
        name = notifier.path.rpartition(".")[2]
        channels.append((name, functools.partial(_notify, notifier, message)))
    failures = []
    for _, send_it in channels:
        try:
            send_it()
        except Exception as error:
            failures.append(error)
    names = [name for name, _ in channels]
    log.info("Told %s: %s", ", ".join(names) or "nobody, no channel is configured", message.title)
    if failures:
        raise ExceptionGroup("A message could not be sent", failures)
    return names


def _send_to_slack(settings: Settings, message: Message) -> None:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    SlackWebhookNotifier(
        slack_webhook_conn_id=settings.alert_slack_conn_id, text=message.to_slack(), unfurl_links=False
    ).notify({})


def _send_email(settings: Settings, message: Message) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(
        smtp_conn_id=settings.alert_email_conn_id,
        to=list(settings.alert_email_to),
        subject=message.title,
        html_content=message.to_html(),
    ).notify({})


def _notify(notifier: Notifier, message: Message) -> None:
    words = {
        "title": message.title,
        "text": message.to_text(),
        "html": message.to_html(),
        "dag_id": message.dag_id,
        "run_id": message.run_id,
    }

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return Template(value).safe_substitute(words)
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return [filled(each) for each in value] if isinstance(value, list) else value

    module, _, name = notifier.path.rpartition(".")
    made = getattr(importlib.import_module(module), name)(**filled(notifier.arguments))
    # Without a context nothing is rendered: an error's text is no template.
    made.notify({})


def run_failed(context: Mapping[str, Any]) -> None:
    """Failure callback of the one task that sums a run up."""
    ti, error = context["ti"], context.get("exception")
    if getattr(error, "code", None) in ("health_failing", "message_not_sent"):
        return  # The check itself has told, if it was worth a message, whom it could.
    concern: Concern = getattr(error, "concern", Concern())
    message = Message(
        title=f"{ti.dag_id} failed",
        what=str(error) or type(error).__name__,
        since=concern.since or getattr(context.get("dag_run"), "start_date", None),
        teams=concern.teams,
        commands=concern.commands,
        days=concern.days,
        team_ids=concern.team_ids,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
    )
    send(Settings.load(), message)


async def deadline_missed(context: Mapping[str, Any] | None = None) -> None:
    """Callback of a DeadlineAlert, in the triggerer: a run is not done by the time it should be."""
    from asgiref.sync import sync_to_async

    run = (context or {}).get("dag_run") or {}
    settings = await sync_to_async(Settings.of_region)(region_of(run.get("dag_id", "")))
    due = _instant(((context or {}).get("deadline") or {}).get("deadline_time"))
    message = Message(
        title=f"{run.get('dag_id', 'web_analytics_backfill')} is late",
        what=(
            f"the run is not done {settings.freshness_deadline_minutes} min after it was queued"
            f"{f', by {due:%Y-%m-%d %H:%M} UTC' if due else ''}; yesterday's numbers may be missing"
        ),
        since=_instant(run.get("run_after") or run.get("queued_at")),
        dag_id=run.get("dag_id", "web_analytics_backfill"),
        run_id=run.get("dag_run_id") or run.get("run_id") or "",
    )
    await sync_to_async(send)(settings, message)


def _instant(value: Any) -> datetime | None:
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value


def freshness_deadline() -> DeadlineAlert | None:
    """The deadline of a run of the backfill; None while no channel is configured.

    It is read when the DAG file is imported, where a bad setting must not hide the DAG: the run's first task
    refuses it. (In Airflow 3.3 `airflow dags test` of a DAG with a deadline ends with an error of its own.)
    """
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

    from web_analytics.airflow_version import DEADLINES_HAVE_NAMES

    channels = ("alert_slack_conn_id", "alert_email_conn_id", "alert_notifiers")
    if not any(Settings.peek(channel) for channel in channels):
        return None
    return DeadlineAlert(
        **({"name": "freshness"} if DEADLINES_HAVE_NAMES else {}),
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=Settings.peek("freshness_deadline_minutes")),
        callback=AsyncCallback(deadline_missed),
    )
