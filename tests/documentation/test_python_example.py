"""The example of docs/python.md, as it stands there."""

from __future__ import annotations

import re

from tests.conftest import CHECKOUT


def test_the_example_builds_and_checks_a_day(source, newest_closed, capsys):
    text = (CHECKOUT / "docs" / "python.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    source.enable(1, 2)
    source.visits([1, 2], [newest_closed])
    exec(compile(example.replace("date(2026, 1, 2)", repr_of(newest_closed)), "docs/python.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{newest_closed}: 12 pageviews of 2 teams",
        f"{newest_closed}: exact (2 teams, 12 pageviews; 4 exact)",
    ]


def repr_of(day) -> str:
    return f"date({day.year}, {day.month}, {day.day})"


def test_every_public_function_of_the_table_exists():
    import importlib

    text = (CHECKOUT / "docs" / "python.md").read_text()
    named = re.findall(r"`(web_analytics\.\w+)\.([\w.]+)\(", text)
    assert len(named) >= 6
    for module, path in named:
        found = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
