"""A run's conf of web_analytics_backfill: hostile values are refused by name, good ones win over the settings."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples, refusal
from web_analytics.conf import MAX_RANGE_DAYS, BackfillConf
from web_analytics.errors import BadSetting
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings

NAMES = (
    "days_back",
    "date_start",
    "date_end",
    "team_ids",
    "max_partitions",
    "max_rows",
    "min_missing_partitions",
    "kinds",
    "rebuild",
    "dry_run",
)
SETTINGS = Settings.load({})

NUMBERS = st.one_of(
    st.integers(-5, 400), st.integers(), st.sampled_from([2**31, 2**63, 2**64, 10**30]), st.floats()
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "2026-01-01",
            "2026-02-30",
            "2026-01-01'; DROP TABLE events; --",
            "1",
            "true",
            "missing",
            "%(team_ids)s",
            "{{ 7 * 7 }}",
            "",
        ]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
HOSTILE = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.lists(st.sampled_from(GAP_KINDS), max_size=4),
    st.lists(st.integers(0, 100), max_size=4),
    st.lists(st.lists(st.integers(), max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=5), SCALARS, max_size=2),
    st.dates(date(2025, 1, 1), date(2027, 1, 1)).map(date.isoformat),
)


def parse(**conf) -> BackfillConf:
    return BackfillConf.parse(conf, SETTINGS)


def is_valid(conf: BackfillConf) -> bool:
    """The accepted ranges, on types that cannot lie."""
    numbers = (
        (conf.days_back, 1, 365),
        (conf.max_partitions, 1, 100),
        (conf.min_missing_partitions, 1, 100_000),
    )
    return (
        all(type(value) is int and low <= value <= high for value, low, high in numbers)
        and (conf.date_start is None) == (conf.date_end is None)
        and (conf.date_start is None or 0 < (conf.date_end - conf.date_start).days <= MAX_RANGE_DAYS)
        and all(type(team_id) is int and 0 <= team_id < 2**63 for team_id in conf.team_ids)
        and len(set(conf.team_ids)) == len(conf.team_ids)
        and set(conf.kinds) <= set(GAP_KINDS)
        and type(conf.rebuild) is bool
        and type(conf.dry_run) is bool
        and (not conf.rebuild or conf.date_start is not None)
    )


@given(conf=st.dictionaries(st.sampled_from(NAMES), HOSTILE, max_size=5))
@examples(500)
def test_any_conf_is_valid_or_refused_by_the_name_of_a_parameter(conf):
    refused = refusal(lambda: BackfillConf.parse(conf, SETTINGS))
    if refused is None:
        assert is_valid(BackfillConf.parse(conf, SETTINGS))
    else:
        assert refused.name in NAMES
        assert str(refused).startswith(f"{refused.name} is ")
        assert "accepted: " in str(refused)


@given(name=st.text(max_size=20).filter(lambda name: name not in NAMES), value=HOSTILE)
@examples(100)
def test_an_unknown_parameter_is_refused_by_its_name(name, value):
    with pytest.raises(BadSetting) as refused:
        BackfillConf.parse({name: value}, SETTINGS)
    assert refused.value.name == name


@pytest.mark.parametrize(
    ("conf", "name"),
    [
        ({"days_back": 0}, "days_back"),
        ({"days_back": 366}, "days_back"),
        ({"days_back": True}, "days_back"),
        ({"days_back": "14"}, "days_back"),
        ({"days_back": 14.0}, "days_back"),
        ({"days_back": float("nan")}, "days_back"),
        ({"max_partitions": 0}, "max_partitions"),
        ({"max_partitions": 101}, "max_partitions"),
        ({"max_rows": -1}, "max_rows"),
        ({"max_rows": 10**15 + 1}, "max_rows"),
        ({"max_partitions": -(2**70)}, "max_partitions"),
        ({"min_missing_partitions": 0}, "min_missing_partitions"),
        ({"min_missing_partitions": False}, "min_missing_partitions"),
        ({"team_ids": 5}, "team_ids"),
        ({"team_ids": "1,2"}, "team_ids"),
        ({"team_ids": ["1"]}, "team_ids"),
        ({"team_ids": [True]}, "team_ids"),
        ({"team_ids": [-1]}, "team_ids"),
        ({"team_ids": [2**63]}, "team_ids"),
        ({"team_ids": [None]}, "team_ids"),
        ({"team_ids": [[1]]}, "team_ids"),
        ({"team_ids": ["1) OR 1=1 --"]}, "team_ids"),
        ({"kinds": ["complete"]}, "kinds"),
        ({"kinds": "missing"}, "kinds"),
        ({"kinds": [["missing"]]}, "kinds"),
        ({"kinds": [{}]}, "kinds"),
        ({"rebuild": 1}, "rebuild"),
        ({"rebuild": "false"}, "rebuild"),
        ({"rebuild": True}, "rebuild"),
        ({"rebuild": True, "days_back": 3}, "rebuild"),
        ({"dry_run": "no"}, "dry_run"),
        ({"dry_run": 0}, "dry_run"),
        ({"date_start": "2026-01-01"}, "date_end"),
        ({"date_end": "2026-01-01"}, "date_start"),
        ({"date_start": "2026-01-02", "date_end": "2026-01-01"}, "date_end"),
        ({"date_start": "2026-01-01", "date_end": "2026-01-01"}, "date_end"),
        ({"date_start": "2026-01-01", "date_end": "2027-01-02"}, "date_end"),
        ({"date_start": "2026-01-01T00:00:00", "date_end": "2026-01-02"}, "date_start"),
        ({"date_start": "20260101", "date_end": "2026-01-02"}, "date_start"),
        ({"date_start": 20260101, "date_end": "2026-01-02"}, "date_start"),
        ({"date_start": "2026-01-01' OR '1", "date_end": "2026-01-02"}, "date_start"),
        ({"date_start": "2026-01-01", "date_end": "2026-01-02", "days_back": 3}, "days_back"),
        ({"lookback": 3}, "lookback"),
        ({"DAYS_BACK": 3}, "DAYS_BACK"),
    ],
)
def test_refused(conf, name):
    with pytest.raises(BadSetting) as refused:
        BackfillConf.parse(conf, SETTINGS)
    assert refused.value.name == name
    assert str(refused.value).startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("conf", "name", "value"),
    [
        ({"days_back": 1}, "days_back", 1),
        ({"days_back": 365}, "days_back", 365),
        ({"max_partitions": 1}, "max_partitions", 1),
        ({"max_partitions": 100}, "max_partitions", 100),
        ({"max_rows": 0}, "max_rows", 0),
        ({"min_missing_partitions": 100_000}, "min_missing_partitions", 100_000),
        ({"team_ids": [0, 5, 5]}, "team_ids", (0, 5)),
        ({"team_ids": []}, "team_ids", ()),
        ({"kinds": ["stale", "orphan"]}, "kinds", ("stale", "orphan")),
        ({"dry_run": True}, "dry_run", True),
    ],
)
def test_accepted_at_the_edges(conf, name, value):
    assert getattr(BackfillConf.parse(conf, SETTINGS), name) == value


@pytest.mark.parametrize("name", NAMES)
def test_null_is_the_same_as_leaving_it_out(name):
    assert parse(**{name: None}) == parse()


def test_the_longest_range_is_a_year():
    conf = parse(date_start="2026-01-01", date_end="2027-01-01", rebuild=True)
    assert (conf.date_end - conf.date_start).days == MAX_RANGE_DAYS


def test_conf_wins_over_settings_and_settings_over_defaults():
    settings = Settings.load(
        {
            "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS": "14",
            "WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN": "9",
            "WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS": "5",
        }
    )
    inherited = BackfillConf.parse({}, settings)
    assert (inherited.days_back, inherited.max_partitions, inherited.min_missing_partitions) == (14, 9, 5)
    given_ = BackfillConf.parse({"days_back": 2, "max_partitions": 3, "min_missing_partitions": 1}, settings)
    assert (given_.days_back, given_.max_partitions, given_.min_missing_partitions) == (2, 3, 1)
