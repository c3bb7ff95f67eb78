"""Reads the blocks and commands of README.md and docs/*.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from tests.conftest import CHECKOUT

DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_BEGINNING = re.compile(
    r"(?:make|bin/\S+|airflow|docker|docker compose|python\S*|psql|pip install|… trigger|curl) \S|psql$"
)


class Block(NamedTuple):
    """What stands between fences; `kind` is the word behind the opening one."""

    document: str
    kind: str
    text: str


def text_of(file: str) -> str:
    return (CHECKOUT / file).read_text()


def blocks() -> Iterator[Block]:
    for document in DOCUMENTS:
        for _, kind, text in _BLOCK.findall(text_of(document)):
            yield Block(document, kind, textwrap.dedent(text))


def spans() -> Iterator[tuple[str, str]]:
    """Each piece of code within a sentence or table, with its document."""
    for document in DOCUMENTS:
        for span in _SPAN.findall(_BLOCK.sub("", text_of(document))):
            yield document, span.replace("\\|", "|")


def documented_commands() -> list[tuple[str, str]]:
    """Each command with its document; one that goes on in indented lines as one line."""
    found = [
        (block.document, " ".join(command.replace("\\\n", " ").split()))
        for block in blocks()
        if block.kind == "sh"
        for command in re.split(r"\n(?! )", block.text.strip())
    ]
    return sorted({*found, *((document, span) for document, span in spans() if _BEGINNING.match(span))})
