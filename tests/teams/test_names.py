"""Teams have names: a person finds a team by a part of one, whoever keeps it."""

from __future__ import annotations

import pytest

from web_analytics.build import cleanup
from web_analytics.errors import BadSetting
from web_analytics.settings import Settings
from web_analytics.teams import names, registry
from web_analytics.teams.registry import Registration
from web_analytics.teams.selection import TeamSelectionFailed

POSTHOG = Settings.load({"WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table,project_settings"})
REGISTRY = Settings.load({"WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table"})


def name_it(source, team_id: int, name: str) -> None:
    registry.change(source.clickhouse, Registration(team_id, True, "UTC", 7), {"name": name}, "anna")


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("acme", (1, 2)),
        ("ACME", (1, 2)),
        ("Acme GmbH", (1,)),
        ("ähren", (3,)),
        ("ÄHREN", (3,)),
        ("100 %", (4,)),
        ("_", ()),
        ("'", (4,)),
        ("old name", ()),
    ],
)
def test_a_part_of_the_name_finds_the_team(source, part, found):
    name_it(source, 1, "old name")
    named = {1: "Acme GmbH", 2: "My acme shop", 3: "Ährenfeld", 4: "100 % o'Neill"}
    for team_id, name in named.items():
        name_it(source, team_id, name)
    source.enable(5)
    assert names.find(source.clickhouse, REGISTRY, part) == found
    assert names.names_of(source.clickhouse, REGISTRY, range(1, 6)) == named


def test_posthogs_names_are_known_where_posthog_selects_teams(source, posthog_db):
    for team_id, name in {1: "Acme in PostHog", 2: "Hedgehog Ltd", 3: ""}.items():
        posthog_db.switch(team_id)
        posthog_db.execute("UPDATE posthog_team SET name = %s WHERE id = %s", name, team_id)
    name_it(source, 1, "Acme")
    name_it(source, 2**40, "Far away")
    clickhouse, ids = source.clickhouse, [1, 2, 3, 4, 2**40]
    assert names.names_of(clickhouse, POSTHOG, ids) == {1: "Acme", 2: "Hedgehog Ltd", 2**40: "Far away"}
    assert names.names_of(clickhouse, REGISTRY, ids) == {1: "Acme", 2**40: "Far away"}
    assert names.find(clickhouse, POSTHOG, "HEDGE") == (2,)
    assert names.find(clickhouse, POSTHOG, "acme") == (1,)
    assert names.find(clickhouse, REGISTRY, "hedge") == ()
    assert names.names_of(clickhouse, POSTHOG, []) == {}


def test_that_posthog_does_not_answer_is_no_unknown_name(source, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DB", "postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(TeamSelectionFailed, match="project_settings failed"):
        names.find(source.clickhouse, POSTHOG, "acme")
    with pytest.raises(TeamSelectionFailed, match="project_settings failed"):
        names.names_of(source.clickhouse, POSTHOG, [1])


def test_a_part_that_too_many_names_have_is_refused(source, monkeypatch):
    monkeypatch.setattr(names, "MOST_FOUND", 2)
    for team_id in (1, 2, 3):
        name_it(source, team_id, f"Shop {team_id}")
    assert names.find(source.clickhouse, REGISTRY, "shop 2") == (2,)
    with pytest.raises(BadSetting, match="team_name is 'shop'; accepted: .* at most 2 teams"):
        names.find(source.clickhouse, REGISTRY, "shop")


def test_a_team_that_leaves_keeps_its_name(source):
    name_it(source, 1, "Acme")
    cleanup.disable(source.clickhouse, 1, "a person")
    found = registry.read(source.clickhouse, 1)
    assert (found.enabled, found.name) == (False, "Acme")
