"""README.md and docs/*.md: every command is run by a test or said not to be, and every name is one that exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from copy import deepcopy

import pytest

from tests.conftest import CHECKOUT
from tests.documentation.commands import DOCUMENTS, blocks, documented_commands, spans, text_of

# Where a command is run: a file, and words of it.
RUN = {
    r"make interleavings": ("tests/interleavings/test_interleavings.py", '"tests.interleavings"'),
    r"make (demo|verify|lint|test|test-slow|test-engines)": (".ci/run", r"make \1"),
    r"make stop": (".ci/run", "stop"),
    r"make demo ACCESS_LOG=path": (".ci/run", "make demo ACCESS_LOG="),
    r"make ui( FRESH=1)?": ("tests/demo/test_demo_ui.py", "make ui FRESH=1"),
    r"bin/airflow dags trigger .*": ("tests/demo/test_demo_ui.py", "bin/airflow dags trigger "),
    r"bin/airflow …": ("tests/demo/test_demo_ui.py", "bin/airflow dags trigger "),
    r"airflow dags test.*": ("demo/flow.py", '"dags", "test"'),
    r"… trigger .*|airflow dags trigger DAG --conf": (
        "tests/documentation/test_commands.py",
        "test_every_documented_conf_is_taken",
    ),
    r"airflow standalone": ("tests/browser/airflow_server.py", '"standalone"'),
    r"make env": ("tests/compose/test_compose_file.py", "generate-env"),
    r"airflow celery worker .*": ("docker-compose.yaml", "airflow celery worker"),
    r"python docs/generate.py": ("tests/settings/test_documented_tables.py", "generate.main"),
    r"psql": ("tests/teams/test_posthog_watch.py", "notify_when_enabled"),
    r"TOKEN=.*": ("tests/browser/airflow_server.py", "/auth/token"),
    r"curl .*/web-analytics/teams.*": ("tests/api/test_teams_api.py", "/teams"),
    r"PYTHONPATH=plugins python -m web_analytics.rights .*": (
        "tests/documentation/test_commands.py",
        "web_analytics.rights",
    ),
    # What these run are tests.
    r"make test-compose": ("Makefile", "-m compose"),
    r"make (test-packaging|test-lowest)": (".github/workflows/ci.yaml", r"make \1"),
    r"make (test-server|test-cluster|test-replicas)": (".github/workflows/ci.yaml", r"make \1"),
    r"make chaos SERVER=.*": ("Makefile", "--server listener listener-http"),
    r"make docs": (".github/workflows/ci.yaml", "make docs"),
    r"make screenshots": (".github/workflows/ci.yaml", "make screenshots"),
    r"make test-matrix": (".github/workflows/ci.yaml", "make test-matrix LEGS="),
    r"make dist": (".github/workflows/release.yaml", "make dist"),
    r"(CLICKHOUSE_TEST_URL=\S+ )?make test-contract": (".github/workflows/ci.yaml", "make test-contract"),
}
# What no test runs: the document that says so, and its words.
NOT_RUN = {
    r"(CLICKHOUSE_TEST_URL=\S+ CLICKHOUSE_TEST_CLUSTER=\S+ )?make test-load-balanced": (
        "docs/scaling.md",
        "**nothing yet**: `make test-load-balanced`",
    ),
    r"(make env && )?docker .*": ("docs/deployment.md", "No Docker engine was at hand"),
    r"make (bench|audit).*|make lock|pip install posthog": (
        "docs/contributing.md",
        "No test runs `make bench`, `make audit`, `make lock`",
    ),
}


def triggers() -> list[tuple[str, dict]]:
    """The DAG and conf of each documented trigger."""
    found = []
    for _, command in documented_commands():
        if match := re.search(r"trigger (web_analytics_\w+) (--conf .*)", command):
            words = shlex.split(match[2].replace('"A"', '"2026-01-01"').replace('"B"', '"2026-01-08"'))
            found.append((match[1], json.loads(words[1])))
    return found


def test_every_block_says_what_it_is():
    assert {block.kind for block in blocks()} <= {"sh", "python", "sql", "json", "ini", "mermaid", "text"}
    assert len(documented_commands()) >= 30


@pytest.mark.parametrize(("document", "command"), documented_commands())
def test_every_command_is_run_by_a_test_or_said_not_to_be(document, command):
    where = [
        (file, match.expand(words))
        for pattern, (file, words) in {**RUN, **NOT_RUN}.items()
        if (match := re.fullmatch(pattern, command))
    ]
    assert where, f"{document}: {command}: say in RUN what runs it, or in the document that no test does"
    file, words = where[0]
    assert words in text_of(file)


def test_the_readme_is_read_to_its_end():
    assert len(text_of("README.md").splitlines()) <= 150


def test_every_target_of_make_exists():
    for document, command in documented_commands():
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE), f"{document}: {command}"


def test_every_documented_conf_is_taken(dag_bag):
    from web_analytics import conf
    from web_analytics.settings import Settings

    current = Settings.load({})
    parsers = {
        "web_analytics_backfill": lambda given: conf.BackfillConf.parse(given, current),
        "web_analytics_cleanup": conf.CleanupConf.parse,
        "web_analytics_diagnostics": conf.DiagnosticsConf.parse,
        "web_analytics_team_backfill": lambda given: conf.TeamBackfillConf.parse(given, current),
        "web_analytics_validate": conf.ValidateConf.parse,
    }
    assert {dag_id for dag_id, _ in triggers()} == parsers.keys()
    for dag_id, given in triggers():
        params = deepcopy(dag_bag.dags[dag_id].params)
        assert given.keys() <= params.keys()
        params.update(given)
        parsers[dag_id](params.validate())


def test_the_grants_are_printed_for_clickhouse_client(client_of_the_engine):
    printed = subprocess.run(
        [sys.executable, "-m", "web_analytics.rights", "default"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": "plugins"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    statements = [statement for statement in printed.split(";") if statement.strip()]
    for role in ("setup", "writer", "reader"):
        assert any(f"web_analytics_{role}" in statement for statement in statements)
    for statement in statements:
        client_of_the_engine.execute("SELECT formatQuery(%(statement)s)", {"statement": statement})


@pytest.fixture
def client_of_the_engine(clickhouse):
    return clickhouse.client


def test_every_setting_that_is_named_exists():
    from web_analytics.settings import settings_table

    known = {variable for variable, *_ in settings_table()}
    for document in DOCUMENTS:
        named = re.findall(r"\bWEB_ANALYTICS_[A-Z0-9_]*[A-Z0-9]\b", text_of(document))
        assert {name.split("__")[0] for name in named} <= known, document


def test_every_dag_that_is_named_exists(dag_bag):
    verbs = r"(?:[Tt]rigger(?:ed|s)?|[Uu]npause|[Pp]ause|[Rr]un)"
    for document in DOCUMENTS:
        named = re.findall(rf"{verbs} `(web_analytics_\w+)`", text_of(document))
        assert {name.split("__")[0] for name in named} <= dag_bag.dags.keys(), document


def anchors_of(markdown: str) -> set[str]:
    """The fragments under which GitHub shows the headings of a document."""
    prose = re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        first = anchor = re.sub(r"[^\w\- ]", "", shown).lower().replace(" ", "-")
        count = 0
        while anchor in anchors:
            count += 1
            anchor = f"{first}-{count}"
        anchors.add(anchor)
    return anchors


def dead_links(document: str, markdown: str) -> list[str]:
    """The links of a document that lead to no file, or to no heading of a document."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", markdown):
        if re.match(r"(https?|mailto):", target):
            continue
        name, _, anchor = target.partition("#")
        path = (CHECKOUT / document).parent / name if name else CHECKOUT / document
        if path.exists():
            there = path.read_text(encoding="utf-8") if name and anchor else markdown
            if not anchor or anchor in anchors_of(there):
                continue
        dead.append(target)
    return dead


LINKING = [
    *DOCUMENTS,
    "CHANGELOG.md",
    *sorted(p.relative_to(CHECKOUT).as_posix() for p in CHECKOUT.glob("tests/*/README.md")),
]


@pytest.mark.parametrize("document", LINKING)
def test_every_link_leads_to_a_file_and_a_heading(document):
    assert dead_links(document, text_of(document)) == []


def test_a_dead_link_is_found():
    written = (
        "# A `b`: c\n## Twice\n## Twice\n```sh\n# no heading\n```\n"
        "[1](#a-b-c) [2](#twice-1) [3](#no-heading) [4](#gone) [5](semantics.md#gone) [6](gone.md) "
        "[7](semantics.md#why-a-day-is-built-exactly-once) [8](https://example.com/#gone)"
    )
    assert dead_links("docs/teams.md", written) == ["#no-heading", "#gone", "semantics.md#gone", "gone.md"]


# What make demo, ui, bench and chaos write; which of their files are there depends on what was run.
MADE_HERE = {".airflow", ".demo", ".bench", ".chaos"}


def test_every_file_that_is_named_exists():
    folders = {path.name for path in CHECKOUT.iterdir() if path.is_dir()} - MADE_HERE
    for document, span in spans():
        if re.fullmatch(r"[\w.-]+/[\w./-]+", span) and span.split("/")[0] in folders:
            is_an_example = re.search(r"NAME|_paths\.sql", span)
            assert is_an_example or (CHECKOUT / span).exists(), f"{document}: {span}"


def test_every_statement_for_people_runs(source):
    """What the documents say to look at."""
    statements = [span for _, span in spans() if re.match(r"(SELECT|INSERT INTO) .*[)'0-9LCA-Z]$", span)]
    scripts = [block.text for block in blocks() if block.kind == "sql"]
    statements += [statement for script in scripts for statement in script.split(";\n") if statement.strip()]
    assert len(statements) >= 8
    for statement in statements:
        source.clickhouse.client.execute(statement)


@pytest.mark.parametrize("text", [block.text for block in blocks() if block.kind == "json"])
def test_every_json_is_json(text):
    assert json.loads(text)


def test_the_workflow_runs_what_the_makefile_has():
    workflow = text_of(".github/workflows/ci.yaml")
    wanted = {"lint", "test", "test-contract", "test-compose", "test-browser", "audit"}
    run = set(re.findall(r"run: make ([a-z-]+)", workflow))
    assert wanted <= run
    for target in run:
        assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE), target


def test_the_documented_versions_of_python_are_those_of_the_workflow():
    [matrix] = re.findall(r"python: (\[.*\])", text_of(".github/workflows/ci.yaml"))
    [row] = re.findall(r"^\| Python \| ([^|(]+)", text_of("docs/compatibility.md"), re.MULTILINE)
    assert [version.strip() for version in row.split(",")] == json.loads(matrix)
