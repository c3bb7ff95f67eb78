"""What older engines do with a replaced day when they restart. Their wheels are installed by `make test-engines`, which
names the folder in OLD_ENGINES; the embedded server does not run on them, so this asks the engine itself, with the
package's statements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from web_analytics.clickhouse import sql
from web_analytics.tables import BUILT_TABLES

pytestmark = pytest.mark.engines


ENGINES = Path(os.environ.get("OLD_ENGINES", "."))
STATS = BUILT_TABLES[0].name
PATIENCE_SECONDS = 120


def ask(engine: str, data: Path, run: list[str], patience: int) -> dict:
    """What a process of its own says that runs some statements and waits for the replaced parts to go."""
    left = sql.render("build/count_replaced_parts").replace("%(tables)s", f"['{STATS}']")
    statements = {
        "run": run,
        "left": left.replace("%(partition_id)s", "'20260101'"),
        "patience": patience,
        "ask": f"SELECT sumMerge(pageviews_count_state) FROM {STATS}",
    }
    file = data.with_suffix(".json")
    file.write_text(json.dumps(statements))
    environment = {**os.environ, "PYTHONPATH": str(ENGINES / engine)}
    script = Path(__file__).with_name("restart.py")
    done = subprocess.run(
        [sys.executable, str(script), str(data), str(file)],
        env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS + 60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def replaced(shortened: bool) -> list[str]:
    create = sql.render("schema/create_stats", {"table": STATS}).replace("%%", "%")
    filled = (
        "(period_bucket, team_id, persons_uniq_state, sessions_uniq_state, pageviews_count_state) SELECT "
        "toDateTime('2026-01-01 10:00:00', 'UTC'), 1, uniqState(generateUUIDv4()), uniqState('session'), "
        "sumState(toUInt64(1)) FROM numbers(5)"
    )
    shorten = [sql.render("schema/shorten_old_parts_lifetime", {"table": STATS})] if shortened else []
    replace = sql.render("build/replace_partition", {"target": STATS, "clone": "clone"})
    return [
        create,
        *shorten,
        f"CREATE TABLE clone AS {STATS}",
        f"INSERT INTO {STATS} {filled}",
        f"INSERT INTO clone {filled}",
        replace.replace("%(partition_id)s", "'20260101'"),
    ]


@pytest.mark.parametrize(("engine", "version"), [("25.5", (25, 5)), ("26.5", (26, 5))])
def test_a_restart_after_the_wait_brings_nothing_back(tmp_path, engine, version):
    data = tmp_path / "data"
    before = ask(engine, data, replaced(shortened=False), patience=0)
    assert tuple(map(int, before["version"].split(".")[:2])) == version
    assert before["pageviews"] == 5
    assert ask(engine, data, [], patience=0)["pageviews"] == 10, "without the wait: this engine has the fault"

    waited = tmp_path / "waited"
    assert ask(engine, waited, replaced(shortened=True), PATIENCE_SECONDS)["pageviews"] == 5
    assert ask(engine, waited, [], patience=0)["pageviews"] == 5
