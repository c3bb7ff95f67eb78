"""Each variable: what it is without being set, what it accepts at its edges, and what it says to anything else."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples, refusal
from web_analytics.clickhouse.connection import CORRECTNESS_SETTINGS
from web_analytics.clickhouse.placement import TOPOLOGIES, Placement
from web_analytics.errors import BadSetting
from web_analytics.settings import Settings, settings_table

VARIABLES = {each.metadata["variable"]: each for each in fields(Settings)}

# Every setting: what it accepts and what that means.
DEFAULTS = {
    "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS": 30,
    "WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN": 7,
    "WEB_ANALYTICS_LOW_VOLUME_PERCENT": 60,
    "WEB_ANALYTICS_LOW_VOLUME_MIN_PAGEVIEWS": 100,
    "WEB_ANALYTICS_MAX_ROWS_PER_RUN": 0,
    "WEB_ANALYTICS_APPROVE_ABOVE_ROWS": 0,
    "WEB_ANALYTICS_BUSY_ABOVE": {
        "queries": 50,
        "memory_percent": 80,
        "merges": 24,
        "parts": 300,
        "replication_queue": 100,
    },
    "WEB_ANALYTICS_BUSY_WAIT_MINUTES": 60,
    "WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS": 3,
    "WEB_ANALYTICS_BACKFILL_PRIORITY": "newest",
    "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": 48,
    "WEB_ANALYTICS_BACKFILL_DAYS": 7,
    "WEB_ANALYTICS_BACKFILL_SETTLING_MINUTES": 60,
    "WEB_ANALYTICS_DAILY_BUILD": True,
    "WEB_ANALYTICS_PARTITIONS_START_DATE": date(2024, 1, 1),
    "WEB_ANALYTICS_LOCK_TTL_MINUTES": 120,
    "WEB_ANALYTICS_BUCKET_MINUTES": 60,
    "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": ("teams_table",),
    "WEB_ANALYTICS_ENABLED_TEAM_IDS": (),
    "WEB_ANALYTICS_TOP_TEAMS_LIMIT": 30,
    "WEB_ANALYTICS_ROLLOUT_PERCENT": 100,
    "WEB_ANALYTICS_PRIORITY_TEAM_IDS": (),
    "WEB_ANALYTICS_MIN_DAILY_PAGEVIEWS": 0,
    "WEB_ANALYTICS_STALE_MIN_EVENTS": 1,
    "WEB_ANALYTICS_ACTIVITY": "kept",
    "WEB_ANALYTICS_SOURCE": "posthog",
    "WEB_ANALYTICS_SQL_DIR": "",
    "WEB_ANALYTICS_CLICKHOUSE_CONN_ID": "clickhouse_default",
    "WEB_ANALYTICS_TOPOLOGY": "single",
    "WEB_ANALYTICS_CLUSTER": "{cluster}",
    "WEB_ANALYTICS_NODE_CONN_IDS": (),
    "WEB_ANALYTICS_DEPLOYMENT": "",
    "WEB_ANALYTICS_REGIONS": (),
    "WEB_ANALYTICS_QUEUE": "",
    "WEB_ANALYTICS_CLICKHOUSE_SETTINGS": {},
    "WEB_ANALYTICS_API_MAX_REQUESTS": 8,
    "WEB_ANALYTICS_API_MAX_SECONDS": 20,
    "WEB_ANALYTICS_CLEANUP_SECOND_PERSON": False,
    "WEB_ANALYTICS_SETUP_CONN_ID": "",
    "WEB_ANALYTICS_READER_CONN_ID": "",
    "WEB_ANALYTICS_FRESHNESS_DEADLINE_MINUTES": 180,
    "WEB_ANALYTICS_SERVICE_LEVEL_HOURS": 6,
    "WEB_ANALYTICS_SERVICE_LEVEL_OBJECTIVE": 99.0,
    "WEB_ANALYTICS_ALERT_SLACK_CONN_ID": "",
    "WEB_ANALYTICS_ALERT_EMAIL_CONN_ID": "",
    "WEB_ANALYTICS_ALERT_EMAIL_TO": (),
    "WEB_ANALYTICS_ALERT_NOTIFIERS": (),
    "WEB_ANALYTICS_ALERT_REPEAT_HOURS": 24,
    "WEB_ANALYTICS_POSTHOG_CONN_ID": "",
}

ACCEPTED = {
    "BACKFILL_LOOKBACK_DAYS": {"1": 1, "365": 365, " 14 ": 14},
    "BACKFILL_MAX_PARTITIONS_PER_RUN": {"1": 1, "100": 100},
    "LOW_VOLUME_PERCENT": {"0": 0, "95": 95},
    "LOW_VOLUME_MIN_PAGEVIEWS": {"1": 1, "2147483648": 2**31},
    "MAX_ROWS_PER_RUN": {"0": 0, "1000000000000000": 10**15},
    "APPROVE_ABOVE_ROWS": {"0": 0, "1000000000000000": 10**15},
    "BUSY_ABOVE": {
        "{}": {},
        '{"queries": 0, "memory_percent": 92.5}': {"queries": 0, "memory_percent": 92.5},
    },
    "BUSY_WAIT_MINUTES": {"0": 0, "1440": 1440},
    "BACKFILL_MIN_MISSING_PARTITIONS": {"1": 1, "100000": 100_000},
    "BACKFILL_PRIORITY": {"newest": "newest", "largest": "largest", "most_queried": "most_queried"},
    "BACKFILL_MAX_GAP_AGE_HOURS": {"0": 0, "100000": 100_000},
    "BACKFILL_DAYS": {"1": 1, "30": 30},
    "BACKFILL_SETTLING_MINUTES": {"0": 0, "10080": 10_080},
    "DAILY_BUILD": {"true": True, "FALSE": False, "1": True, "0": False, "yes": True, "No": False},
    "PARTITIONS_START_DATE": {"2024-02-29": date(2024, 2, 29), "1970-01-01": date(1970, 1, 1)},
    "LOCK_TTL_MINUTES": {"1": 1, "10080": 10_080},
    "BUCKET_MINUTES": {"60": 60, "30": 30, "15": 15},
    "TEAM_SELECTION_STRATEGIES": {
        "environment_variable": ("environment_variable",),
        "teams_table, environment_variable,teams_table": ("teams_table", "environment_variable"),
        "high_pageviews,project_settings": ("high_pageviews", "project_settings"),
    },
    "ENABLED_TEAM_IDS": {"5": (5,), "7, 3,7,": (3, 7), "0": (0,), str(2**63 - 1): (2**63 - 1,)},
    "TOP_TEAMS_LIMIT": {"1": 1, "100": 100},
    "ROLLOUT_PERCENT": {"0": 0, "100": 100},
    "PRIORITY_TEAM_IDS": {"5": (5,), "7, 3,7,": (3, 7)},
    "MIN_DAILY_PAGEVIEWS": {"0": 0, "10": 10},
    "STALE_MIN_EVENTS": {"1": 1, "1000": 1000},
    "ACTIVITY": {"kept": "kept", "scanned": "scanned"},
    "SOURCE": {"posthog": "posthog"},
    "SQL_DIR": {"/": "/"},
    "CLICKHOUSE_CONN_ID": {"other-connection": "other-connection"},
    "TOPOLOGY": {name: name for name in TOPOLOGIES},
    "CLUSTER": {"two": "two", "{my_cluster}": "{my_cluster}", "a-b": "a-b"},
    "NODE_CONN_IDS": {},  # only together with a topology: below
    "REGIONS": {"eu": ("eu",), "eu, us1,eu": ("eu", "us1")},
    "QUEUE": {"heavy": "heavy"},
    "CLICKHOUSE_SETTINGS": {
        '{"max_threads": 2, "max_memory_usage": 1000000000}': {
            "max_threads": 2,
            "max_memory_usage": 1_000_000_000,
        },
        '{"use_uncompressed_cache": true}': {"use_uncompressed_cache": True},
    },
    "API_MAX_REQUESTS": {"1": 1, "1000": 1000},
    "API_MAX_SECONDS": {"1": 1, "3600": 3600},
    "CLEANUP_SECOND_PERSON": {"true": True, "0": False},
    "DEPLOYMENT": {"blue": "blue"},
    "SETUP_CONN_ID": {"clickhouse_setup": "clickhouse_setup"},
    "READER_CONN_ID": {"clickhouse_reader": "clickhouse_reader"},
    "FRESHNESS_DEADLINE_MINUTES": {"1": 1, "10080": 10_080},
    "SERVICE_LEVEL_HOURS": {"0": 0, "168": 168},
    "SERVICE_LEVEL_OBJECTIVE": {"50": 50.0, "99.9": 99.9, "99.99": 99.99},
    "ALERT_SLACK_CONN_ID": {"on-call": "on-call"},
    "ALERT_EMAIL_CONN_ID": {},  # only together with the addresses: tests/reporting
    "ALERT_EMAIL_TO": {"a@b, c@d.example,a@b,": ("a@b", "c@d.example")},
    "ALERT_NOTIFIERS": {
        '[{"notifier": "a.B"}, {"notifier": "a.b.C", "arguments": {"x": 1}}]': (
            ("a.B", {}),
            ("a.b.C", {"x": 1}),
        ),
    },
    "ALERT_REPEAT_HOURS": {"1": 1, "10000": 10_000},
    "POSTHOG_CONN_ID": {"ours": "ours"},
}

NOT_A_NUMBER = ["a", "1.5", "1e3", "0x10", "--1", "1 2", "1;DROP TABLE events", "٣x", "NaN", "inf", "true"]
REFUSED = {
    "PRIORITY_TEAM_IDS": ["a", "1;2", "-1", "1.5"],
    "MIN_DAILY_PAGEVIEWS": ["-1", *NOT_A_NUMBER],
    "STALE_MIN_EVENTS": ["0", "-1", *NOT_A_NUMBER],
    "ACTIVITY": ["Kept", "off", "kept scanned"],
    "BACKFILL_LOOKBACK_DAYS": ["0", "366", "-1", *NOT_A_NUMBER],
    "BACKFILL_MAX_PARTITIONS_PER_RUN": ["0", "101", *NOT_A_NUMBER],
    "LOW_VOLUME_PERCENT": ["-1", "96", *NOT_A_NUMBER],
    "LOW_VOLUME_MIN_PAGEVIEWS": ["0", "2147483649", *NOT_A_NUMBER],
    "MAX_ROWS_PER_RUN": ["-1", "1000000000000001", *NOT_A_NUMBER],
    "APPROVE_ABOVE_ROWS": ["-1", "1000000000000001", *NOT_A_NUMBER],
    "BUSY_ABOVE": [
        "50",
        "[]",
        '{"querys": 5}',
        '{"queries": -1}',
        '{"queries": "5"}',
        '{"queries": true}',
        '{"queries": null}',
        '{"queries": NaN}',
        '{"queries": Infinity}',
    ],
    "BUSY_WAIT_MINUTES": ["-1", "1441", *NOT_A_NUMBER],
    "BACKFILL_MIN_MISSING_PARTITIONS": ["0", "-3", "100001", *NOT_A_NUMBER],
    "BACKFILL_PRIORITY": ["oldest", "most-queried", "1"],
    "BACKFILL_MAX_GAP_AGE_HOURS": ["-1", "100001", *NOT_A_NUMBER],
    "BACKFILL_DAYS": ["0", "31", *NOT_A_NUMBER],
    "BACKFILL_SETTLING_MINUTES": ["-1", "10081", *NOT_A_NUMBER],
    "DAILY_BUILD": ["2", "maybe", "truee", "on;off"],
    "PARTITIONS_START_DATE": [
        "2024-13-01",
        "2023-02-29",
        "01.01.2024",
        "20240101",
        "2024-W01-1",
        "yesterday",
        "1",
    ],
    "LOCK_TTL_MINUTES": ["0", "10081", *NOT_A_NUMBER],
    "BUCKET_MINUTES": ["0", "10", "45", "120", "1440", *NOT_A_NUMBER],
    "TEAM_SELECTION_STRATEGIES": [",", "teams", "teams_table,other", "teams_table;environment_variable"],
    "ENABLED_TEAM_IDS": ["a", "1;2", "-1", "1.5", str(2**63), "1 2", "1 OR 1=1"],
    "TOP_TEAMS_LIMIT": ["0", "101", *NOT_A_NUMBER],
    "ROLLOUT_PERCENT": ["-1", "101", "50%", *NOT_A_NUMBER],
    "TOPOLOGY": ["cluster", "Single", "single,sharded", "2"],
    "CLUSTER": ["{", "{a", "a}", "a b", "'a'", "a;b", "1", "{a-b}", "a.b"],
    "REGIONS": ["EU", "eu west", "eu;us", "1eu", "eu__west", "a" * 21],
    "SQL_DIR": ["/no/such/folder", __file__],
    "SOURCE": ["nothing_of_this_name", "../schema/create_teams", "posthog.sql", "schema/create_teams", "a b"],
    "CLICKHOUSE_SETTINGS": [
        "[]",
        "1",
        "null",
        '"max_threads"',
        "max_threads=2",
        "{",
        '{"max_threads": null}',
        '{"max_threads": [1]}',
        '{"max_threads": {"a": 1}}',
    ],
    "API_MAX_REQUESTS": ["0", "1001", *NOT_A_NUMBER],
    "API_MAX_SECONDS": ["0", "3601", *NOT_A_NUMBER],
    "CLEANUP_SECOND_PERSON": ["2", "maybe"],
    "FRESHNESS_DEADLINE_MINUTES": ["0", "10081", *NOT_A_NUMBER],
    "SERVICE_LEVEL_HOURS": ["-1", "169", *NOT_A_NUMBER],
    "SERVICE_LEVEL_OBJECTIVE": [
        "49.9",
        "100",
        "99,9",
        "99 %",
        "9_9",
        "1e2",
        ".5",
        "٩٩",
        "nan",
        "inf",
        "true",
    ],
    "ALERT_EMAIL_TO": ["nobody", "a@b c@d", "a@b@c", "<a@b>"],
    "ALERT_NOTIFIERS": [
        "{}",
        "a.B",
        "[1]",
        '[{"notifier": "B"}]',
        '[{"notifier": "a.B", "more": 1}]',
        "null",
    ],
    "ALERT_REPEAT_HOURS": ["0", "10001", *NOT_A_NUMBER],
}


def cases(by_variable):
    for name, values in by_variable.items():
        for value in values:
            yield pytest.param(f"WEB_ANALYTICS_{name}", value, id=f"{name}={value[:40]}")


def value_of(settings: Settings, variable: str):
    return getattr(settings, VARIABLES[variable].name)


def test_every_variable_is_covered_here():
    assert set(DEFAULTS) == set(VARIABLES) == {f"WEB_ANALYTICS_{name}" for name in ACCEPTED}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("environment", [None, "", "  "])
def test_default(variable, environment):
    settings = Settings.load({} if environment is None else {variable: environment})
    assert value_of(settings, variable) == DEFAULTS[variable]


@pytest.mark.parametrize(("variable", "text"), cases(ACCEPTED))
def test_accepted(variable, text):
    settings = Settings.load({variable: text})
    assert value_of(settings, variable) == ACCEPTED[variable.removeprefix("WEB_ANALYTICS_")][text]


@pytest.mark.parametrize(("variable", "text"), cases(REFUSED))
def test_refused_with_a_sentence_that_names_variable_value_and_what_is_accepted(variable, text):
    with pytest.raises(BadSetting) as refused:
        Settings.load({variable: text})
    accepted = VARIABLES[variable].metadata["accepted"]
    assert str(refused.value) == f"{variable} is {text!r}; accepted: {accepted}."


@pytest.mark.parametrize("name", CORRECTNESS_SETTINGS)
def test_a_setting_that_correctness_needs_cannot_be_given(name):
    with pytest.raises(
        BadSetting, match="WEB_ANALYTICS_CLICKHOUSE_SETTINGS.*none of them fixed by the package"
    ):
        Settings.load({"WEB_ANALYTICS_CLICKHOUSE_SETTINGS": f'{{"max_threads": 1, "{name}": 1}}'})


def test_nodes_are_named_where_there_are_several():
    several = {
        "WEB_ANALYTICS_TOPOLOGY": "sharded",
        "WEB_ANALYTICS_CLUSTER": "two",
        "WEB_ANALYTICS_NODE_CONN_IDS": "one, other,one",
    }
    assert Settings.load(several).placement == Placement("sharded", "two", ("one", "other"))
    with pytest.raises(BadSetting, match="NODE_CONN_IDS is 'one,other'; accepted: nothing where"):
        Settings.load({**several, "WEB_ANALYTICS_TOPOLOGY": "single"})


@given(variable=st.sampled_from(sorted(VARIABLES)), text=st.text(max_size=30))
@examples(300)
def test_any_text_is_either_taken_or_refused_with_its_variable(variable, text):
    refused = refusal(lambda: Settings.load({variable: text}))
    assert refused is None or str(refused).startswith(f"{variable} is ")


def test_the_first_bad_value_does_not_hide_behind_good_ones():
    with pytest.raises(BadSetting, match="WEB_ANALYTICS_BUCKET_MINUTES is '45'; accepted: 60, 30 or 15"):
        Settings.load({"WEB_ANALYTICS_BACKFILL_DAYS": "30", "WEB_ANALYTICS_BUCKET_MINUTES": "45"})


def test_a_bad_setting_keeps_its_message_when_it_is_sent_between_processes():
    import pickle

    error = BadSetting("WEB_ANALYTICS_BUCKET_MINUTES", "45", "60, 30 or 15")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_environment_is_read_when_a_run_loads_it(monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS", "11")
    assert Settings.load().lookback_days == 11


def test_the_table_for_the_readme_has_a_row_per_variable_with_a_default_that_is_accepted():
    rows = settings_table()
    assert [row[0] for row in rows] == list(VARIABLES)
    assert all(accepted and meaning for _, _, accepted, meaning in rows)
    for variable, default, _, _ in rows:
        assert value_of(Settings.load({variable: default}), variable) == DEFAULTS[variable]
