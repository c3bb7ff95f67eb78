"""What people call the teams: by the registry and, where ``project_settings`` selects teams, by PostHog."""

from __future__ import annotations

from collections.abc import Iterable

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.errors import BadSetting
from web_analytics.settings import Settings
from web_analytics.teams.selection import TeamSelectionFailed
from web_analytics.teams.strategies import project_settings

POSTHOG = "project_settings"
MOST_FOUND = 1000


def names_of(clickhouse: ClickHouse, settings: Settings, team_ids: Iterable[int]) -> dict[int, str]:
    """The names of those teams that have one. The registry's holds before PostHog's.

    :raises TeamSelectionFailed: PostHog's database does not answer.
    """
    asked = list(team_ids)
    if not asked:
        return {}
    rows = clickhouse.query("teams/list_names", external_tables=[teams_table(asked)])
    registered = {row["team_id"]: row["name"] for row in rows}
    if POSTHOG not in settings.team_selection_strategies:
        return registered
    try:
        return project_settings.names(asked) | registered
    except Exception as error:
        raise TeamSelectionFailed(POSTHOG, str(error)) from error


def find(clickhouse: ClickHouse, settings: Settings, part: str) -> tuple[int, ...]:
    """The teams whose name, in the registry or in PostHog, contains ``part``, in upper or lower case.

    :raises BadSetting: more than :data:`MOST_FOUND` teams.
    :raises TeamSelectionFailed: PostHog's database does not answer.
    """
    limit = MOST_FOUND + 1
    found = {
        row["team_id"] for row in clickhouse.query("teams/find_by_name", {"part": part, "row_limit": limit})
    }
    if POSTHOG in settings.team_selection_strategies:
        try:
            found.update(project_settings.find(part, limit))
        except Exception as error:
            raise TeamSelectionFailed(POSTHOG, str(error)) from error
    if len(found) > MOST_FOUND:
        raise BadSetting("team_name", part, f"a part of the name of at most {MOST_FOUND} teams")
    return tuple(sorted(found))
