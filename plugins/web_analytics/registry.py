"""Changes of the registry of teams, web_pre_aggregated_teams: each one is a new version with who made it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from web_analytics import history, schema, team_backfills
from web_analytics.clickhouse import ClickHouse
from web_analytics.history import TaskIdentity

UNREGISTERED_SINCE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Registration:
    """What is registered of a team.

    :ivar timezone: IANA name of the zone that the team's days are counted in.
    :ivar backfill_days: period of its first backfill, in local days.
    """

    team_id: int
    enabled: bool
    timezone: str
    backfill_days: int
    changed_by: str = ""
    changed_at: datetime = UNREGISTERED_SINCE

    def settings(self) -> dict[str, Any]:
        return {
            "enabled": self.enabled,
            "timezone": self.timezone,
            "backfill_days": self.backfill_days,
        }


def read(clickhouse: ClickHouse, team_id: int) -> Registration | None:
    rows = clickhouse.query("teams/read_registered", {"team_id": team_id})
    return Registration(**rows[0]) if rows else None


def change(
    clickhouse: ClickHouse, before: Registration | None, wanted: Registration, changed_by: str
) -> Registration:
    """Writes a new version, unless it would say what the newest says already. ``publish`` makes it visible.

    A team that is disabled, or comes back, has left first: whatever breaks off after that, and whoever disabled it
    and deleted its rows, it is backfilled when it is enabled.
    """
    if before is not None and before.settings() == wanted.settings():
        return before
    if before is not None and before.enabled != wanted.enabled:
        team_backfills.mark_left(clickhouse, [wanted.team_id], datetime.now(UTC))
    clickhouse.run(
        "teams/insert_registered",
        {"team_id": wanted.team_id, **wanted.settings(), "changed_by": changed_by},
    )
    return read(clickhouse, wanted.team_id) or replace(wanted, changed_by=changed_by)


def publish(clickhouse: ClickHouse, before: Registration | None, after: Registration) -> None:
    """Reloads and checks the dictionary, and adds the change to the history.

    :raises SchemaMismatch: the dictionary does not hold what the registry holds.
    """
    schema.reload_teams_dictionary(clickhouse)
    if before == after:
        return
    old = before.settings() if before else {}
    changes = [
        f"{name} {old.get(name, 'unset')} to {value}"
        for name, value in after.settings().items()
        if old.get(name) != value
    ]
    history.append(
        clickhouse,
        TaskIdentity(dag_id="web_analytics_api", run_id="api", task_id="put_team"),
        kind="team",
        status="succeeded",
        reason=f"{after.changed_by} changed team {after.team_id}: {', '.join(changes)}",
        team_count=1,
        details={"team_id": after.team_id, "before": old, "after": after.settings()},
    )
