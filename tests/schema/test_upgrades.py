"""Migrations: in order, once, harmless when repeated; and the way from PostHog's tables that already hold data."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from demo import sample_data
from tests.conftest import CHECKOUT
from tests.support import Source, at, differences_from_oracle, found_gaps, leftovers, states
from web_analytics import schema, validation
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import SchemaMismatch
from web_analytics.tables import MORE_TABLES, TABLES

MIGRATIONS = sorted(file.stem for file in (sql.SQL_ROOT / "migrations").glob("*.sql"))
# A further table lacks what was adopted for the two.
ADOPTED = ("inconsistent", "inconsistent") if MORE_TABLES else ("complete", "complete")


def definitions(clickhouse) -> dict[str, str]:
    return dict(
        clickhouse.client.execute(
            "SELECT name, replaceRegexpAll(create_table_query, '[0-9a-f-]{36}', '') FROM system.tables "
            "WHERE database = currentDatabase() ORDER BY name"
        )
    )


def test_migrations_are_numbered_without_gaps():
    assert [int(name.split("_")[0]) for name in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_each_migration_runs_once_and_may_run_again(web_analytics_schema):
    clickhouse = web_analytics_schema
    before = definitions(clickhouse)
    assert schema.migrate(clickhouse) == []
    clickhouse.client.execute("TRUNCATE TABLE web_analytics_schema_migrations")
    assert schema.migrate(clickhouse) == MIGRATIONS
    assert definitions(clickhouse) == before


def test_tables_of_a_newer_version_are_refused(web_analytics_schema):
    web_analytics_schema.client.execute(
        "INSERT INTO web_analytics_schema_migrations (migration) SELECT '9999_from_the_future'"
    )
    with pytest.raises(SchemaMismatch, match="9999_from_the_future"):
        schema.migrate(web_analytics_schema)


def test_posthogs_own_list_of_teams_is_refused_until_it_was_renamed(clickhouse, clickhouse_server):
    """It has the name of the registry; the commands are those of docs/upgrading.md."""
    admin = clickhouse.client
    admin.execute(
        "CREATE TABLE web_pre_aggregated_teams (team_id UInt64, enabled_by String DEFAULT 'system', "
        "version UInt32 DEFAULT toUnixTimestamp(now())) ENGINE = ReplacingMergeTree(version) ORDER BY team_id"
    )
    admin.execute("INSERT INTO web_pre_aggregated_teams (team_id) VALUES", [(1,), (2,)])
    [(database,)] = admin.execute("SELECT currentDatabase()")
    admin.execute(
        "CREATE DICTIONARY web_pre_aggregated_teams_dict (team_id UInt64) PRIMARY KEY team_id SOURCE(CLICKHOUSE(QUERY "
        f"'SELECT team_id FROM `{database}`.`web_pre_aggregated_teams` FINAL WHERE version > 0')) "
        "LAYOUT(HASHED()) LIFETIME(MIN 3000 MAX 3600)"
    )
    with pytest.raises(SchemaMismatch, match="PostHog's own list of teams"):
        schema.create_tables(clickhouse)

    before, after = re.findall(
        r"```text\n(.*?)```", (CHECKOUT / "docs" / "upgrading.md").read_text(), re.DOTALL
    )
    for statement in before.strip().removesuffix(";").split(";"):
        admin.execute(statement)
    schema.create_tables(clickhouse)
    schema.create_teams_dictionary(clickhouse, clickhouse_server.user, clickhouse_server.password)
    admin.execute(after.strip().removesuffix(";"))
    assert schema.reload_teams_dictionary(clickhouse) == 2
    assert admin.execute("SELECT dictHas(web_pre_aggregated_teams_dict, toUInt64(2))") == [(1,)]


def test_tables_of_the_first_version_become_those_of_this_one(clickhouse, settings):
    """What the first commit gave a database, as far as migrations change it."""
    clickhouse.client.execute("CREATE TABLE other (a UInt8) ENGINE = Memory")
    schema.create_tables(clickhouse)
    fresh = definitions(clickhouse)
    for table in ("web_pre_aggregated_stats", "web_pre_aggregated_bounces"):
        clickhouse.client.execute(f"ALTER TABLE {table} MODIFY COMMENT ''")
    clickhouse.client.execute(
        "ALTER TABLE web_analytics_backfill_ledger DROP COLUMN source_events, DROP COLUMN first_built_at, "
        "MODIFY COLUMN build String"
    )
    built_at = at(date(2026, 3, 2), 26)
    clickhouse.client.execute("INSERT INTO web_analytics_backfill_ledger (built_at) VALUES", [(built_at,)])
    clickhouse.client.execute(
        "ALTER TABLE web_analytics_backfill_log COMMENT COLUMN kind 'decision', COMMENT COLUMN status ''"
    )
    clickhouse.client.execute(
        "ALTER TABLE web_pre_aggregated_teams MODIFY COLUMN backfill_days UInt8 DEFAULT 7 COMMENT ''"
    )
    clickhouse.client.execute("TRUNCATE TABLE web_analytics_schema_migrations")
    schema.create_tables(clickhouse)
    assert definitions(clickhouse) == fresh
    firsts = clickhouse.client.execute("SELECT first_built_at FROM web_analytics_backfill_ledger")
    assert firsts == [(built_at,)]


@pytest.fixture
def posthog(clickhouse, settings, days):
    """Tables that PostHog filled: right on the newest day, doubled on the one before for team 2, partly empty on
    the third; and nothing of this package."""
    sample_data.create_source(clickhouse)
    for table in ("stats", "bounces"):
        clickhouse.run(f"schema/create_{table}", names={"table": f"web_pre_aggregated_{table}"})
    schema.create_tables(clickhouse)
    schema.create_source_view(clickhouse, settings)
    source = Source(clickhouse)
    source.enable(1, 2)
    source.visits([1, 2], days(3))
    for day in days(3):
        build_partition(clickhouse, settings, day, [1, 2])
    client = clickhouse.client
    client.execute(
        "INSERT INTO web_pre_aggregated_bounces SELECT * FROM web_pre_aggregated_bounces "
        f"WHERE team_id = 2 AND toDate(period_bucket) = '{days(3)[1]}'"
    )
    client.execute(
        "DELETE FROM web_pre_aggregated_stats WHERE team_id = 1 "
        f"AND toDate(period_bucket) = '{days(3)[2]}' SETTINGS lightweight_deletes_sync = 2"
    )
    for (name,) in client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'web_analytics_%'"
    ):
        client.execute(f"DROP TABLE {name} SYNC")
    client.execute("DROP TABLE web_pre_aggregated_teams SYNC")
    return source


@pytest.mark.slow
def test_right_days_are_adopted_and_the_others_built_again(posthog, run_dag, settings, days):
    clickhouse, (newest, middle, oldest) = posthog.clickhouse, days(3)
    assert run_dag("web_analytics_setup").state == "success"
    posthog.enable(1, 2)
    everything = states(clickhouse, settings, days(3), [1, 2])
    assert everything[1, newest] == ("orphan", "orphan")

    conf = {"date_start": oldest.isoformat(), "date_end": (newest + (newest - middle)).isoformat()}
    doubled = run_dag("web_analytics_validate", {**conf, "adopt": True})
    assert doubled.state == "failed"  # it says which days are not right, and how to build them again

    after = states(clickhouse, settings, days(3), [1, 2])
    assert [after[team, newest] for team in (1, 2)] == [ADOPTED, ADOPTED]
    assert [after[team, middle] for team in (1, 2)] == [ADOPTED, ("orphan", "orphan")]
    assert [after[team, oldest] for team in (1, 2)] == [("missing", "orphan"), ADOPTED]
    assert leftovers(clickhouse) == []

    rebuilt = {**conf, "kinds": ["missing", "inconsistent", "orphan"], "min_missing_partitions": 1}
    run = run_dag("web_analytics_backfill", rebuilt)
    assert run.state == "success"
    assert differences_from_oracle(clickhouse, days(3), [1, 2]) == []
    assert found_gaps(clickhouse, settings, days(3), [1, 2]) == []
    assert (str(newest) in run.map_labels["build_date.publish"]) == bool(MORE_TABLES)
    assert run_dag("web_analytics_validate", {**conf, "adopt": True}).state == "success"


def test_only_what_is_exact_is_adopted(source, settings, days):
    """A team for each way to be wrong, beside one that is right."""
    from web_analytics.build.adoption import adopt_day

    [day] = days(1)
    stats, bounces = TABLES
    once_more = "INSERT INTO {} SELECT * FROM {} WHERE team_id = {}"
    of_days = "INSERT INTO {} SELECT * REPLACE (toStartOfDay(period_bucket) AS period_bucket) FROM {} WHERE team_id = {}"
    damage = {2: (once_more, stats), 3: (once_more, bounces), 4: (once_more, *TABLES), 6: (of_days, *TABLES)}
    of_another_width = 5  # its visits begin at half past
    source.visits([1, *damage, of_another_width, 7], [day])
    build_partition(source.clickhouse, settings, day, [1, *damage, 7])
    build_partition(source.clickhouse, replace(settings, bucket_minutes=30), day, [of_another_width])
    for team, (statement, *tables) in damage.items():
        for table in tables:
            source.clickhouse.client.execute(statement.format(table.name, table.name, team))
    source.clickhouse.client.execute(
        "DELETE FROM events WHERE team_id = 7 SETTINGS lightweight_deletes_sync = 2"
    )
    source.clickhouse.client.execute("TRUNCATE TABLE web_analytics_backfill_ledger")
    assert adopt_day(source.clickhouse, settings, TaskIdentity(), day, range(1, 8)) == [1]


def test_what_was_compared_is_what_is_adopted(source, settings, days, monkeypatch):
    """The other system goes on writing: right after the day was found to be right, it writes it once more."""
    from web_analytics.build.adoption import adopt_day

    clickhouse, [day] = source.clickhouse, days(1)
    source.enable(1)
    source.visits([1], [day])
    build_partition(clickhouse, settings, day, [1])
    clickhouse.client.execute("TRUNCATE TABLE web_analytics_backfill_ledger")
    check_day = validation.check_day

    def check_and_write(*arguments):
        found = check_day(*arguments)
        for table in TABLES:
            clickhouse.client.execute(f"INSERT INTO {table.name} SELECT * FROM {table.name}")
        return found

    monkeypatch.setattr(validation, "check_day", check_and_write)
    adopt_day(clickhouse, settings, TaskIdentity(), day, [1])
    assert states(clickhouse, settings, [day], [1])[1, day] == ("inconsistent", "inconsistent")


def test_an_adopted_day_becomes_stale_like_any_other(posthog, settings, days):
    from web_analytics.build.adoption import adopt_day

    clickhouse, newest = posthog.clickhouse, days(1)[0]
    schema.create_tables(clickhouse)
    schema.create_source_view(clickhouse, settings)
    posthog.enable(1, 2)
    assert adopt_day(clickhouse, settings, TaskIdentity(), newest, [1, 2]) == [1, 2]
    assert adopt_day(clickhouse, settings, TaskIdentity(), newest, [1, 2]) == []
    posthog.event(1, at(newest), ingested=at(newest, 30))
    now = states(clickhouse, settings, [newest], [1, 2])
    assert now[1, newest] == (("inconsistent", "inconsistent") if MORE_TABLES else ("stale", "stale"))
    assert now[2, newest] == ADOPTED
    assert validation.check_day(clickhouse, settings, newest, [2]).verdict == "exact"


def test_a_table_of_another_shape_is_named(posthog, run_dag):
    client = posthog.clickhouse.client
    client.execute("ALTER TABLE web_pre_aggregated_stats ADD COLUMN mine UInt8")
    with pytest.raises(SchemaMismatch, match="column mine"):
        validation.check_schema(posthog.clickhouse)
    assert run_dag("web_analytics_setup").state == "failed"
