"""Who is selected: every strategy on the engine it asks, their union, the rollout, and what a failure is."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import strategies as some

from tests.support import at, examples
from web_analytics import settings as package_settings
from web_analytics.detection import activity
from web_analytics.errors import BadSetting
from web_analytics.rules.partitions import lookback
from web_analytics.settings import Settings, strategy_names
from web_analytics.teams import strategies
from web_analytics.teams.selection import TeamSelectionFailed, is_rolled_out, select_teams

STRATEGIES = {"teams_table", "environment_variable", "high_pageviews", "project_settings"}


def chosen(*names: str, **others: object) -> Settings:
    return Settings.load(
        {
            "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": ",".join(names),
            **{f"WEB_ANALYTICS_{name.upper()}": str(value) for name, value in others.items()},
        }
    )


def test_the_strategies_of_the_contract_are_there():
    assert set(strategy_names()) == STRATEGIES
    assert all(callable(strategies.load(name)) for name in strategy_names())


def test_the_registry_gives_the_newest_version_of_each_team(source):
    source.enable(1, 2, 3)
    source.enable(2, enabled=False)
    assert select_teams(source.clickhouse, chosen("teams_table")).team_ids == {1, 3}


def test_the_environment_gives_its_list(source):
    settings = chosen("environment_variable", enabled_team_ids="5, 7")
    assert select_teams(source.clickhouse, settings).team_ids == {5, 7}


def test_the_busiest_teams_are_those_with_the_highest_median_not_the_highest_total(source):
    steady, quiet, loud_once, idle_half, today_only, other_events = range(1, 7)
    days = list(lookback(datetime.now(UTC).date(), 30))
    source.visits([steady], days, per_day=2)
    source.visits([quiet], days, per_day=1)
    source.visits([loud_once], days[:1], per_day=11)
    source.visits([loud_once], days[1:2], per_day=11)
    source.visits([idle_half], days[:14], per_day=5)
    source.visits([today_only], [days[-1] + timedelta(days=1)], per_day=9)
    for day in days:
        for _ in range(3):
            source.event(other_events, at(day), event="$autocapture")

    def busiest(limit: int) -> set[int]:
        return set(select_teams(source.clickhouse, chosen("high_pageviews", top_teams_limit=limit)).team_ids)

    for is_kept in (False, True):  # first from a scan of the source
        if is_kept:
            settings = chosen("high_pageviews")
            kept = activity.refresh(source.clickhouse, settings, lookback(datetime.now(UTC).date(), 30))
            assert kept.contains(lookback(datetime.now(UTC).date(), 30))
        assert busiest(100) == {steady, quiet}
        assert busiest(1) == {steady}


def test_project_settings_are_read_from_posthogs_own_database(source, posthog_db):
    for team_id, enabled in ((1, True), (2, False), (3, None), (4, True)):
        posthog_db.switch(team_id, enabled)
    assert select_teams(source.clickhouse, chosen("project_settings")).team_ids == {1, 4}


def test_all_together_are_a_union_with_the_count_of_each(source, posthog_db):
    source.enable(1, 2)
    posthog_db.switch(2)
    posthog_db.switch(3)
    source.visits([4], list(lookback(datetime.now(UTC).date(), 30)), per_day=1)
    settings = chosen(*STRATEGIES, enabled_team_ids="1,5")
    selected = select_teams(source.clickhouse, settings)
    assert selected.team_ids == {1, 2, 3, 4, 5}
    assert selected.per_strategy == {
        "teams_table": 2,
        "project_settings": 2,
        "high_pageviews": 1,
        "environment_variable": 2,
    }
    assert selected.not_yet_rolled_out == 0


@pytest.mark.parametrize(
    ("strategy", "broken"),
    [
        (
            "teams_table",
            ["DROP DICTIONARY web_pre_aggregated_teams_dict", "DROP TABLE web_pre_aggregated_teams"],
        ),
        ("high_pageviews", ["DROP VIEW web_analytics_source_events"]),
    ],
)
def test_a_strategy_that_fails_is_named_and_never_empty(source, strategy, broken):
    for statement in broken:
        source.clickhouse.client.execute(statement)
    with pytest.raises(TeamSelectionFailed) as failed:
        select_teams(source.clickhouse, chosen("environment_variable", strategy, enabled_team_ids="1"))
    assert failed.value.strategy == strategy
    assert str(failed.value).startswith(f"The team selection strategy {strategy} failed: ")
    assert failed.value.code == 60


@pytest.mark.parametrize("broken", ["ALTER TABLE posthog_team RENAME TO elsewhere", None])
def test_a_posthog_database_that_cannot_answer_fails_the_run(source, posthog_db, monkeypatch, broken):
    if broken:
        posthog_db.execute(broken)
    else:
        monkeypatch.delenv("AIRFLOW_CONN_POSTHOG_DB")
    with pytest.raises(TeamSelectionFailed, match="The team selection strategy project_settings failed: "):
        select_teams(source.clickhouse, chosen("teams_table", "project_settings"))


@pytest.fixture
def strategy_of_a_user(tmp_path, monkeypatch):
    """``write(body)``: another module beside those of the package."""
    for module in package_settings.STRATEGIES.glob("*.py"):
        (tmp_path / module.name).write_bytes(module.read_bytes())
    monkeypatch.setattr(package_settings, "STRATEGIES", tmp_path)
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    yield lambda body: (
        (tmp_path / "vip.py").write_text(f"def team_ids(clickhouse, settings):\n    {body}\n"),
        importlib.invalidate_caches(),
    )
    importlib.sys.modules.pop(f"{strategies.__name__}.vip", None)


def test_a_module_of_ones_own_is_a_strategy(source, strategy_of_a_user):
    with pytest.raises(BadSetting):
        chosen("vip")
    strategy_of_a_user("return [11, 12]")
    selected = select_teams(source.clickhouse, chosen("vip", "environment_variable", enabled_team_ids="1"))
    assert selected.team_ids == {1, 11, 12}
    assert selected.per_strategy["vip"] == 2


@pytest.mark.parametrize(
    "body",
    [
        "return ['1_1']",
        "return [None]",
        "return [True]",
        "return [1.0]",
        "return [-1]",
        "return [2**63]",
        "return None",
        "raise KeyError('x')",
    ],
)
def test_what_is_not_a_list_of_ids_is_a_failure_too(source, strategy_of_a_user, body):
    strategy_of_a_user(body)
    with pytest.raises(TeamSelectionFailed, match="vip failed"):
        select_teams(source.clickhouse, chosen("vip"))


def test_an_id_that_no_event_can_have_is_named(source):
    source.enable(1, 2**64 - 1)
    with pytest.raises(TeamSelectionFailed, match="teams_table failed: 18446744073709551615 is no team id"):
        select_teams(source.clickhouse, chosen("teams_table"))


def test_the_rollout_holds_teams_back_and_says_how_many(source):
    source.enable(*range(1, 201))
    selected = select_teams(source.clickhouse, chosen("teams_table", rollout_percent=25))
    assert selected.per_strategy == {"teams_table": 200}
    assert len(selected) + selected.not_yet_rolled_out == 200
    assert 25 < len(selected) < 75
    assert len(select_teams(source.clickhouse, chosen("teams_table", rollout_percent=0))) == 0


@hypothesis.given(some.integers(0, 2**63 - 1), some.integers(0, 100), some.integers(0, 100))
@examples(200)
def test_a_larger_share_only_adds_teams(team_id, one, other):
    smaller, larger = sorted((one, other))
    assert is_rolled_out(team_id, larger) or not is_rolled_out(team_id, smaller)
    assert is_rolled_out(team_id, 100)
    assert not is_rolled_out(team_id, 0)


def test_the_share_is_the_same_in_every_process_and_release():
    assert [team_id for team_id in range(1, 31) if is_rolled_out(team_id, 20)] == [3, 4, 9, 13, 26, 28]
