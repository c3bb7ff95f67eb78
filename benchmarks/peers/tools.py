"""dbt and SQLMesh, each in an environment and a project of its own, with the statements of the earlier systems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = CHECKOUT / ".peers"
PROJECTS = Path(__file__).parent
# dbt-core 1.12 needs a part that only GitHub has.
PACKAGES = {"dbt": ["dbt-core<1.12", "dbt-clickhouse"], "sqlmesh": ["sqlmesh[clickhouse]"]}
SELECTED_TEAMS = "(SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE enabled)"


def install(tool: str) -> Path:
    """The tool's command; its environment is made the first time, which asks the package index."""
    folder = ENVIRONMENTS / tool
    command = folder / "bin" / tool
    if not command.exists():
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        python = folder / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES[tool]], check=True)
    return command


def statement(table: str, first: str, end: str) -> str:
    """The earlier systems' SELECT of a table.

    :param first: an expression of ClickHouse for the first instant; ``end``: for that after the last one.
    """
    from web_analytics.clickhouse import sql

    text = sql.render(f"benchmarks/reference_{table}", {"table": "target"})
    text = text[text.index("\nWITH") :].replace(
        "IN (SELECT team_id FROM selected_teams)", f"IN {SELECTED_TEAMS}"
    )
    return text.replace("%(date_start)s", first).replace("%(date_end)s", end).replace(")SELECT", ")\nSELECT")


def sorting_key(table: str) -> str:
    """Of the target as this package makes it: partitions are only replaced from a table of the same order."""
    from web_analytics.clickhouse import sql

    period, team, host, device, *dimensions = (
        sql._environment().get_template("macros.sql").module.common_columns
    )
    pathname = ["pathname"] if table == "stats" else []
    return ", ".join([team, period, host, device, *pathname, *dimensions])


@dataclass
class Peer(ABC):
    """A tool with a project.

    :ivar name: what the results call it.
    :ivar database: where it builds.
    :ivar folder: of its project.
    :ivar port: ClickHouse's, for HTTP.
    """

    name: str
    database: str
    folder: Path
    port: int
    days: tuple[date, ...]
    # The tables, as a pattern, in which days appear while it runs.
    fills: ClassVar[str] = "web_pre_aggregated_stats"

    def start(self, command: list[str] | None = None) -> subprocess.Popen:
        """Fills the missing days, as a person would ask for them, unless it is told something else."""
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                command or self.command(),
                cwd=self.folder,
                env={**_clean_environment(), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        return {
            "PEER_PORT": str(self.port),
            "PEER_DATABASE": self.database,
            "PEER_BEGIN": self.days[-1].isoformat(),
            "DBT_PROFILES_DIR": str(self.folder),
            "SQLMESH_HOME": str(self.folder / "home"),
            "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "1",
            "DO_NOT_TRACK": "1",
        }

    @abstractmethod
    def prepare(self) -> None:
        """Writes the project."""

    def setup(self) -> list[str] | None:
        """Makes the empty tables, where a first run on missing days would be another thing than a later one."""
        return None

    def command(self) -> list[str]:
        """Builds the missing days."""
        return self.build(self.days[-1], self.days[0])

    @abstractmethod
    def build(self, first: date, last: date) -> list[str]:
        """Builds a range of days, whether or not they are there."""

    @abstractmethod
    def usual_run(self) -> list[str]:
        """What its schedule does each night."""


class Dbt(Peer):
    strategy = "microbatch"

    def prepare(self) -> None:
        shutil.copytree(PROJECTS / "dbt_project", self.folder)
        models = self.folder / "models"
        models.mkdir()
        for table in ("stats", "bounces"):
            head = (PROJECTS / "dbt_project" / f"{self.strategy}.sql").read_text()
            head = head.replace("SORTING_KEY", sorting_key(table))
            (models / f"web_pre_aggregated_{table}.sql").write_text(head + statement(table, *self.bounds()))

    def bounds(self) -> tuple[str, str]:
        of_batch = "'{{ model.batch.event_time_%s.strftime(\"%%Y-%%m-%%d\") }}'"
        return of_batch % "start", of_batch % "end"

    def build(self, first: date, last: date) -> list[str]:
        end = last + timedelta(days=1)
        return [*self.usual_run(), "--event-time-start", str(first), "--event-time-end", str(end)]

    def usual_run(self) -> list[str]:
        begin = {"begin": self.days[-1].isoformat()}
        return [str(install("dbt")), "run", "--vars", str(begin)]


class DbtInsertOverwrite(Dbt):
    strategy = "insert_overwrite"
    # It fills a table of its own, whose partitions then replace those of the target in one statement.
    fills = "web_pre_aggregated_stats%"

    def bounds(self) -> tuple[str, str]:
        return "'{{ var(\"first\") }}'", "'{{ var(\"end\") }}'"

    def setup(self) -> list[str]:
        return self.build(self.days[-1], self.days[-1] - timedelta(days=1))

    def usual_run(self) -> list[str]:
        return self.build(self.days[0], self.days[0])

    def build(self, first: date, last: date) -> list[str]:
        between = {"first": str(first), "end": str(last + timedelta(days=1))}
        return [str(install("dbt")), "run", "--vars", str(between)]


class SqlMesh(Peer):
    def prepare(self) -> None:
        shutil.copytree(PROJECTS / "sqlmesh_project", self.folder)
        models = self.folder / "models"
        models.mkdir()
        head = (self.folder / "model.sql").read_text()
        (self.folder / "model.sql").unlink()
        for table in ("stats", "bounces"):
            model = f"web_pre_aggregated_{table}"
            named = {"DATABASE": self.database, "MODEL_NAME": model, "SORTING_KEY": sorting_key(table)}
            filled = head
            for word, meant in named.items():
                filled = filled.replace(word, meant)
            select = statement(table, "@start_ds", "(toDate(@end_ds) + 1)")
            for source in (
                "web_analytics_source_events",
                "person_distinct_id_overrides",
                "web_pre_aggregated_teams",
            ):
                select = select.replace(f"FROM {source}", f"FROM {self.database}.{source}")
            (models / f"{model}.sql").write_text(filled + select)

    def command(self) -> list[str]:
        return [str(install("sqlmesh")), "plan", "--auto-apply", "--no-prompts"]

    def build(self, first: date, last: date) -> list[str]:
        models = [f"{self.database}.web_pre_aggregated_{table}" for table in ("stats", "bounces")]
        restated = [word for model in models for word in ("--restate-model", model)]
        return [*self.command(), *restated, "--start", str(first), "--end", str(last)]

    def usual_run(self) -> list[str]:
        return [str(install("sqlmesh")), "run"]


def _clean_environment() -> dict[str, str]:
    """Without this checkout's own packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
