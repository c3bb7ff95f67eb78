"""The steps of ``web_analytics_cleanup``, one function per task. The DAG file wires them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from web_analytics.build import cleanup, locks, steps
from web_analytics.build.cleanup import ApprovalOutdated, CleanupFailed, StoredDay
from web_analytics.build.locks import Owner
from web_analytics.clickhouse import history
from web_analytics.conf import CleanupConf
from web_analytics.reporting import failures
from web_analytics.rules.partitions import DateRange, newest_first
from web_analytics.settings import Settings
from web_analytics.tasks.approval import is_approved, responder
from web_analytics.tasks.dates import with_lock
from web_analytics.tasks.runtime import (
    current_conf,
    current_task,
    label_map_index,
    open_clickhouse,
    run_activity,
    triggered_by,
    wait_and_run_again,
)
from web_analytics.teams.selection import select_teams

log = logging.getLogger(__name__)


def _settings_and_conf() -> tuple[Settings, CleanupConf, DateRange]:
    settings, conf = Settings.load(), CleanupConf.parse(current_conf())
    return settings, conf, DateRange(conf.date_start, conf.date_end)


def show() -> dict[str, Any]:
    """Counts what would be deleted. Reads only.

    :returns: the rows and pageviews per date and table, and what the person who approves gets to read.
    """
    settings, conf, dates = _settings_and_conf()
    with open_clickhouse(settings, current_task()) as clickhouse:
        stored = cleanup.stored_days(clickhouse, conf.team_id, dates)
        selected = conf.team_id in select_teams(clickhouse, settings).team_ids
    what = f"team {conf.team_id} from {dates.start} up to, not including, {dates.end}"
    log.info("Stored of %s:\n%s", what, cleanup.describe(stored))
    warning = ""
    if selected and not conf.disable_team:
        warning = f"Team {conf.team_id} stays enabled: the next backfill that looks at these dates builds them again."
        log.warning(warning)
    return {
        "stored": [asdict(each) for each in stored],
        "body": "\n\n".join(
            part
            for part in (
                f"Deletes what is stored of {what}; events are not touched.",
                _as_markdown(stored),
                f"Before that, team {conf.team_id} is disabled." if conf.disable_team else warning,
            )
            if part
        ),
    }


def is_to_be_done(shown: dict[str, Any]) -> bool:
    """Whether anything is to be asked and done after it was shown."""
    conf = CleanupConf.parse(current_conf())
    if conf.dry_run:
        log.info("Dry run: nothing is deleted. To delete what was shown, trigger with dry_run false.")
        return False
    if not shown["stored"] and not conf.disable_team:
        log.info("Nothing is stored of team %d in this range, so there is nothing to delete.", conf.team_id)
        return False
    return True


def plan_deletion(shown: dict[str, Any], approval: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of each date's task group, newest first.

    :param approval: the answer that the ApprovalOperator returned.
    :raises ApprovalOutdated: what is stored has changed since it was shown.
    """
    settings, conf, dates = _settings_and_conf()
    approver = _approver(approval)
    with open_clickhouse(settings, current_task()) as clickhouse:
        stored = cleanup.stored_days(clickhouse, conf.team_id, dates)
    if stored != _stored(shown):
        raise ApprovalOutdated(
            f"What is stored of team {conf.team_id} has changed since {approver} saw it; nothing was deleted. "
            "Trigger the cleanup again."
        )
    log.info("%s approved. Deleting %d dates, newest first.", approver, len({each.day for each in stored}))
    return [
        {
            "day": day.isoformat(),
            "approved": [asdict(each) for each in stored if each.day == day.isoformat()],
            "approver": approver,
        }
        for day in newest_first(date.fromisoformat(each.day) for each in stored)
    ]


def lock_date(day: str) -> dict[str, Any]:
    """Locks the date and creates the empty build that takes the place of the team's rows."""
    label_map_index(day)
    settings, conf, _ = _settings_and_conf()
    task, partition_date = current_task(), date.fromisoformat(day)
    with open_clickhouse(settings, task, partition_date=day, teams=1) as clickhouse:

        def prepare() -> tuple[steps.Build, list[str]]:
            return cleanup.prepare(clickhouse, settings, task, partition_date, conf.team_id, run_activity)

        emptied, fresh = with_lock(clickhouse, task, partition_date, prepare)
    return {**emptied.to_xcom(), "fresh": fresh}


def delete_date(
    day: str, approved: Sequence[Mapping[str, Any]], approver: str, locked: dict[str, Any]
) -> dict[str, Any]:
    """Publishes the date without the team and records who approved it.

    :returns: the date, what was deleted from each table, and how many other teams are unchanged.
    """
    label_map_index(day)
    settings, conf, _ = _settings_and_conf()
    task, started = current_task(), time.monotonic()
    seen = [StoredDay(**each) for each in approved]
    with open_clickhouse(settings, task, partition_date=day, teams=1) as clickhouse:
        try:
            emptied = steps.Build.from_xcom(locked)
            others = cleanup.publish(clickhouse, task, emptied, locked["fresh"], conf.team_id, seen)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            _record(clickhouse, task, conf, "failed", reason, day, seen, approver, started)
            raise
        reason = f"team {conf.team_id} deleted, approved by {approver}"
        _record(clickhouse, task, conf, "succeeded", reason, day, seen, approver, started)
    log.info("%s: team %d is deleted; unchanged other teams: %s.", day, conf.team_id, others)
    return {"day": day, "deleted": [asdict(each) for each in seen], "other_teams": others}


def release_date(locked: dict[str, Any]) -> None:
    """Drops the date's per-run tables and its lock."""
    label_map_index(locked["partition_date"])
    day = locked["partition_date"]
    with open_clickhouse(Settings.load(), current_task(), partition_date=day) as clickhouse:
        steps.release(clickhouse, steps.Build.from_xcom(locked))


def disable_team(approval: Mapping[str, Any]) -> None:
    """Disables the team, only where the conf asks for it and a person approved. It comes before the deletion: a build
    that has staged the team already leaves it out when it publishes.
    """
    settings, conf, _ = _settings_and_conf()
    if not conf.disable_team:
        log.info("Team %d stays as it is: disable_team was not asked for.", conf.team_id)
        return
    approver, task = _approver(approval), current_task()
    with open_clickhouse(settings, task) as clickhouse:
        if cleanup.disable(clickhouse, conf.team_id, approver, task):
            reason = f"team {conf.team_id} disabled, approved by {approver}"
        else:
            reason = f"team {conf.team_id} is not in web_pre_aggregated_teams: nothing to disable"
        history.append(
            clickhouse,
            task,
            kind="cleanup",
            status="succeeded",
            reason=reason,
            team_count=1,
            details={"team_id": conf.team_id, "approved_by": approver},
        )
        log.info("Disabling: %s.", reason)
        if conf.team_id in select_teams(clickhouse, settings).team_ids:
            log.warning(
                "Team %d is still selected by WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES and will be built again.",
                conf.team_id,
            )


def prove(
    shown: dict[str, Any] | None, approval: Mapping[str, Any] | None, deleted: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Says how the run ended, and after a deletion proves it. It is the last task, so its error fails the run.

    :param approval: the person's answer, whichever it was.
    :param deleted: what each date's deletion returned.
    :returns: the outcome: dry run, nothing to delete, rejected or deleted.
    :raises CleanupFailed: a date was not deleted, or rows of the team are still or again there.
    """
    if shown is None:
        raise CleanupFailed(f"Nothing was deleted. {failures.first_cause()}".strip())
    settings, conf, dates = _settings_and_conf()
    stored = _stored(shown)
    task = current_task()
    if conf.dry_run:
        log.info("Dry run: nothing was deleted.")
        return {"outcome": "dry run"}
    if not stored and not conf.disable_team:
        log.info("There was nothing to delete.")
        return {"outcome": "nothing to delete"}
    if approval is None:
        raise CleanupFailed(f"Nothing was deleted: nobody was asked. {failures.first_cause()}".strip())
    with open_clickhouse(settings, task) as clickhouse:
        if not is_approved(approval):
            reason = (
                f"rejected by {responder(approval)}: nothing was deleted and team {conf.team_id} is as it was"
            )
            history.append(
                clickhouse, task, kind="cleanup", status="rejected", reason=reason, details={**asdict(conf)}
            )
            log.info("The deletion was %s.", reason)
            return {"outcome": "rejected"}
        # Whatever is built of these dates has begun before the team was disabled, or leaves it out.
        swept = locks.sweep(
            clickhouse, Owner.of(task), ttl=settings.lock_ttl, activity=run_activity, within=dates
        )
        if swept.in_use:
            wait_and_run_again(f"{swept.in_use[0]} is being built; what is proved has to stay true.")
        remaining = cleanup.stored_days(clickhouse, conf.team_id, dates)
    done = {each["day"] for each in deleted}
    undone = [
        day for day in newest_first(date.fromisoformat(each.day) for each in stored) if str(day) not in done
    ]
    if undone:
        raise CleanupFailed(
            f"Team {conf.team_id} was not shown to be deleted on {len(undone)} dates: "
            f"{', '.join(map(str, undone))}; the failed tasks of these dates say why. Trigger the cleanup again."
        )
    if remaining:
        raise CleanupFailed(
            f"Team {conf.team_id} has rows on {len({each.day for each in remaining})} dates, the newest "
            f"{remaining[0].day}, that were written after this cleanup began; disable the team before the next try."
        )
    log.info(
        "Proved: team %d has no row from %s up to, not including, %s in either table, and on each of the %d "
        "deleted dates all other teams' merged numbers were the same before and after. Deleted by approval of %s:\n%s",
        conf.team_id,
        dates.start,
        dates.end,
        len(done),
        _approver(approval),
        cleanup.describe(stored),
    )
    return {"outcome": "deleted", "days": sorted(done, reverse=True), "approver": _approver(approval)}


def _stored(shown: Mapping[str, Any]) -> list[StoredDay]:
    return [StoredDay(**each) for each in shown["stored"]]


def _approver(approval: Mapping[str, Any] | None) -> str:
    """:raises CleanupFailed: nobody approved, or nobody who may."""
    if not is_approved(approval):
        raise CleanupFailed("Nothing is deleted: no person approved.")
    user, asked_by = approval["responded_by_user"], triggered_by()
    if Settings.load().cleanup_second_person and asked_by in (None, user["id"], user["name"]):
        raise CleanupFailed(
            f"Nothing is deleted: {asked_by or 'an unknown person'} triggered this run and {user['name']} approved it, but "
            "WEB_ANALYTICS_CLEANUP_SECOND_PERSON asks for two people. Trigger the cleanup again."
        )
    return responder(approval)


def _record(clickhouse, task, conf: CleanupConf, status, reason, day, seen, approver, started) -> None:
    try:
        history.append(
            clickhouse,
            task,
            kind="cleanup",
            status=status,
            reason=reason,
            partition_date=date.fromisoformat(day),
            seconds=time.monotonic() - started,
            team_count=1,
            details={
                "team_id": conf.team_id,
                "date_start": conf.date_start,
                "date_end": conf.date_end,
                "approved_by": approver,
                "deleted": [asdict(each) for each in seen],
            },
        )
    except Exception:
        if status == "succeeded":
            raise
        log.exception("The failed deletion could not be written to web_analytics_backfill_log.")


def _as_markdown(stored: Sequence[StoredDay]) -> str:
    lines = ["| date | table | rows | pageviews |", "|---|---|---:|---:|"]
    lines += [f"| {each.day} | {each.table_name} | {each.row_count} | {each.pageviews} |" for each in stored]
    return "\n".join(lines) if stored else "Nothing is stored in this range."
