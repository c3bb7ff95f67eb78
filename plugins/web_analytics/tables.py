"""The pre-aggregated tables. To add one, see docs/contributing.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreAggregatedTable:
    """A target table.

    :ivar short_name: names its statements, ``schema/create_<short_name>`` and ``build/insert_<short_name>``,
        and its column in coverage and plans.
    """

    short_name: str

    @property
    def name(self) -> str:
        return f"web_pre_aggregated_{self.short_name}"


STATS = PreAggregatedTable("stats")
BOUNCES = PreAggregatedTable("bounces")
# The two whose states detection gives, and that validation and the coverage page speak of.
TABLES = (STATS, BOUNCES)
# Further tables are built, published, recorded and cleaned up together with them: one line each. A day that one of
# them lacks is inconsistent in the two.
MORE_TABLES: tuple[PreAggregatedTable, ...] = ()
BUILT_TABLES = (*TABLES, *MORE_TABLES)


def table_by_name(name: str) -> PreAggregatedTable:
    return next(table for table in BUILT_TABLES if table.name == name)
