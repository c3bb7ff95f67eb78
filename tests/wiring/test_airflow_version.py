"""Which Airflow is refused, in one sentence."""

from __future__ import annotations

import pytest

from web_analytics.airflow_version import parse, refuse_older


@pytest.mark.parametrize("text", ["2.11.0", "3.0.6", "3.1.8", "3.2.0", "3.2.0rc1"])
def test_an_older_one_is_told_so(text):
    with pytest.raises(
        ImportError, match=rf"^web_analytics needs Airflow 3\.2\.1 or newer; this is Airflow {text}\.$"
    ):
        refuse_older(text)


@pytest.mark.parametrize("text", ["3.2.1", "3.2.2", "3.3.0", "3.10.0", "4.0.0.dev0"])
def test_others_are_taken(text):
    refuse_older(text)


def test_the_numbers_are_compared_as_numbers():
    assert parse("3.10.0rc2") > parse("3.9.1")
