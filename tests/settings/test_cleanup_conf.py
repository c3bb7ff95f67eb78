"""What web_analytics_cleanup and web_analytics_validate accept as conf: pure rules, no query."""

from __future__ import annotations

from datetime import date

import pytest

from web_analytics.conf import CleanupConf, ValidateConf
from web_analytics.errors import BadSetting

RANGE = {"date_start": "2026-01-01", "date_end": "2026-01-31"}


def test_a_cleanup_is_a_dry_run_and_disables_nobody_unless_told():
    assert CleanupConf.parse({"team_id": 3, **RANGE}) == CleanupConf(
        3, date(2026, 1, 1), date(2026, 1, 31), disable_team=False, dry_run=True, allow_long_range=False
    )
    assert CleanupConf.parse({"team_id": 3, **RANGE, "dry_run": None}).dry_run


def test_a_validation_needs_nothing():
    assert ValidateConf.parse({"team_id": None, "allow_long_range": False}) == ValidateConf(
        None, None, None, allow_long_range=False, adopt=False
    )


@pytest.mark.parametrize("conf_class", [CleanupConf, ValidateConf])
@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ({"team_id": "3"}, "team_id is '3'"),
        ({"team_id": True}, "team_id is True"),
        ({"team_id": -1}, "team_id is -1"),
        ({"team_id": 2**63}, "team_id"),
        ({"date_end": None}, "date_end is None"),
        ({"date_start": "2026-01-01'; DROP TABLE events --"}, "date_start"),
        ({"date_start": "20260101"}, "date_start"),
        ({"date_start": "1066-10-14", "date_end": "1066-10-15"}, "date_start is '1066-10-14'"),
        ({"date_start": "2242-03-16", "date_end": "2242-03-17"}, "date_start is '2242-03-16'"),
        ({"date_end": "2026-01-01"}, "1 to 30 days after date_start 2026-01-01"),
        ({"date_end": "2025-12-31"}, "1 to 30 days"),
        ({"date_end": "2026-02-01"}, "1 to 30 days"),
        ({"date_end": "2027-01-02", "allow_long_range": True}, "1 to 365 days"),
        ({"allow_long_range": "yes"}, "allow_long_range is 'yes'"),
        ({"teams": [1]}, "teams"),
    ],
)
def test_bad_conf_is_one_sentence_that_names_it(conf_class, bad, names):
    with pytest.raises(BadSetting) as refused:
        conf_class.parse({"team_id": 3, **RANGE, **bad})
    assert names in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("missing", ["team_id", "date_start", "date_end"])
def test_a_cleanup_always_names_team_and_range(missing):
    conf = {"team_id": 3, **RANGE}
    del conf[missing]
    with pytest.raises(BadSetting, match=missing):
        CleanupConf.parse(conf)


def test_a_long_range_has_to_be_allowed():
    conf = {"team_id": 3, "date_start": "2026-01-01", "date_end": "2026-12-31", "allow_long_range": True}
    assert ValidateConf.parse(conf).date_end == CleanupConf.parse(conf).date_end == date(2026, 12, 31)
