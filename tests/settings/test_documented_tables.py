"""The documents' tables of settings, DAGs and the rest are what the code says, and those of growth what was measured."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.conftest import CHECKOUT


@pytest.fixture(scope="module")
def generate():
    specification = importlib.util.spec_from_file_location("docs_generate", CHECKOUT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def readme(generate) -> str:
    return generate.README.read_text(encoding="utf-8")


@pytest.fixture
def settings_page(generate) -> str:
    return generate.SETTINGS.read_text(encoding="utf-8")


def section(readme: str, name: str) -> str:
    return readme.split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]


@pytest.mark.parametrize("document", ["README", "SETTINGS", "OPERATIONS", "PARAMS", "SCALING"])
def test_the_tables_are_up_to_date(generate, airflow_database, document):
    path = getattr(generate, document)
    written = path.read_text(encoding="utf-8")
    assert generate.generated(path, written) == written, "run: python docs/generate.py"


def test_the_picture_of_growth_is_drawn_from_the_figures(generate):
    assert generate.GROWTH.read_text(encoding="utf-8") == generate.growth_picture(), (
        "run: python docs/generate.py"
    )


def test_every_setting_is_listed_with_default_and_meaning(settings_page):
    from web_analytics.settings import settings_table

    rows = [
        line
        for line in section(settings_page, "settings").splitlines()
        if line.startswith("| `WEB_ANALYTICS_")
    ]
    assert len(rows) == len(settings_table())
    for row, (variable, default, accepted, meaning) in zip(rows, settings_table(), strict=True):
        assert row == f"| `{variable}` | {f'`{default}`' if default else 'empty'} | {accepted} | {meaning} |"


def test_of_every_setting_is_said_who_sets_it(settings_page):
    from web_analytics.settings import settings_table

    section = settings_page.split("## Who sets which variable")[1].split("\n## ")[0]
    named = {f"WEB_ANALYTICS_{name}" for name in re.findall("`([A-Z][A-Z_]*[A-Z])`", section)}
    assert named == {variable for variable, *_ in settings_table()}


def test_every_dag_is_in_the_readme_with_schedule_and_params(readme, dag_bag):
    text = section(readme, "dags")
    for dag_id, dag in dag_bag.dags.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{dag_id}` |")]
        assert all(f"`{name}`" in row for name in dag.params)
        if dag.schedule is None:
            assert "| manual |" in row
    assert "`0 2 * * *` and `0 */6 * * *` UTC" in text


def test_a_table_that_has_drifted_is_seen_and_rewritten(generate, settings_page, airflow_database):
    drifted = settings_page.replace("| `30` |", "| `31` |", 1)
    assert drifted != settings_page
    assert generate.generated(generate.SETTINGS, drifted) == settings_page


def test_a_document_without_a_place_for_a_table_is_an_error(generate, settings_page, airflow_database):
    with pytest.raises(generate.MarkersMissing, match="settings:begin"):
        generate.generated(generate.SETTINGS, settings_page.replace("<!-- settings:begin -->", ""))


def test_check_fails_and_changes_nothing(
    generate, settings_page, airflow_database, tmp_path, monkeypatch, capsys
):
    drifted = tmp_path / "settings.md"
    drifted.write_text(settings_page.replace("| `30` |", "| `31` |", 1), encoding="utf-8")
    monkeypatch.setattr(generate, "SECTIONS", {drifted: generate.SECTIONS[generate.SETTINGS]})
    assert generate.main(["--check"]) == 1
    assert "python docs/generate.py" in capsys.readouterr().err
    assert "| `31` |" in drifted.read_text(encoding="utf-8")
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert drifted.read_text(encoding="utf-8") == settings_page


def test_what_a_param_accepts_in_words(generate):
    assert generate.accepted_by({"type": "integer", "minimum": 1, "maximum": 9}) == "whole number from 1 to 9"
    assert generate.accepted_by({"type": ["null", "integer"], "minimum": 1}) == "whole number from 1 up"
    assert generate.accepted_by({"type": "array", "items": {"enum": ["a", "b"]}}) == "list of `a`, `b`"
    assert generate.accepted_by({"type": "string", "enum": ["a"]}) == "one of `a`"
