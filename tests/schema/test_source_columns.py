"""The columns of a source, in the three places that speak of them."""

from __future__ import annotations

import re

from tests.conftest import CHECKOUT
from web_analytics.clickhouse import sql
from web_analytics.schema import SOURCE_COLUMNS


def test_a_source_gives_every_dimension():
    macros = sql._environment().get_template("macros.sql").module
    made_of_the_visit = {"period_bucket", "entry_pathname", "end_pathname"}
    assert set(macros.common_columns) - made_of_the_visit <= SOURCE_COLUMNS.keys()


def test_the_documented_columns_are_those_that_the_setup_asks_for():
    text = (CHECKOUT / "docs" / "sources.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    documented = {column for row in rows for column in re.findall(r"`(\w+)`", row)}
    assert documented == {*SOURCE_COLUMNS, "part_name"}
