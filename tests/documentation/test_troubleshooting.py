"""The table of docs/troubleshooting.md speaks of messages that the code really has."""

from __future__ import annotations

import re

import pytest

from tests.conftest import CHECKOUT


def listed_messages() -> list[str]:
    written = (CHECKOUT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]+)` \|", written, re.MULTILINE)


def message_texts() -> str:
    """All string constants of the package as one text, so that a message may span several lines of code."""
    import ast

    texts = []
    for path in (CHECKOUT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_there_are_messages():
    assert len(listed_messages()) >= 10


@pytest.mark.parametrize("message", listed_messages())
def test_each_listed_message_is_in_the_code(message):
    assert message in message_texts()
