"""Who is pre-aggregated: the union of the configured selection strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from web_analytics.clickhouse import ClickHouse, external_table
from web_analytics.settings import BadSetting, Settings


def _teams_table(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    return (row["team_id"] for row in clickhouse.query("teams/list_enabled"))


def _environment_variable(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    return settings.enabled_team_ids


STRATEGIES: dict[str, Callable[[ClickHouse, Settings], Iterable[int]]] = {
    "teams_table": _teams_table,
    "environment_variable": _environment_variable,
}


@dataclass(frozen=True)
class TeamSelection:
    """The selected teams.

    :ivar per_strategy: how many teams each strategy gave, before the union.
    """

    team_ids: frozenset[int]
    per_strategy: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.team_ids)

    def restricted_to(self, team_ids: Iterable[int] | None) -> TeamSelection:
        """Only these of the selected teams.

        :raises BadSetting: one of them is not selected: unknown, or not enabled.
        """
        if not team_ids:
            return self
        unknown = sorted(set(team_ids) - self.team_ids)
        if unknown:
            raise BadSetting("team_ids", unknown, "teams that exist and are enabled for pre-aggregation")
        return TeamSelection(frozenset(team_ids), self.per_strategy)

    def as_external_table(self) -> dict:
        return external_table("selected_teams", "team_id", "Int64", sorted(self.team_ids))


class TeamSelectionFailed(RuntimeError):
    """A strategy could not tell its teams; a failed strategy is never an empty one."""

    def __init__(self, strategy: str, reason: str, code: int = 0):
        super().__init__(f"The team selection strategy {strategy} failed: {reason}")
        self.strategy, self.reason, self.code = strategy, reason, code

    def __reduce__(self):
        return type(self), (self.strategy, self.reason, self.code)


def select_teams(clickhouse: ClickHouse, settings: Settings) -> TeamSelection:
    """Asks every configured strategy.

    :raises TeamSelectionFailed: naming the strategy that failed.
    """
    selected: set[int] = set()
    per_strategy: dict[str, int] = {}
    for name in settings.team_selection_strategies:
        try:
            team_ids = set(STRATEGIES[name](clickhouse, settings))
        except Exception as error:
            raise TeamSelectionFailed(name, str(error), getattr(error, "code", 0)) from error
        per_strategy[name] = len(team_ids)
        selected |= team_ids
    return TeamSelection(frozenset(selected), per_strategy)
