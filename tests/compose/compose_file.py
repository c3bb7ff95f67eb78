"""Reads a Compose file as Docker Compose does: variables filled in, checked against the compose specification."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from compose_spec import PyCompose

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = CHECKOUT / "docker-compose.yaml"

CLICKHOUSE_USERS = CHECKOUT / "clickhouse-users.xml"

VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


class VariableMissing(ValueError):
    """A variable without which the file must not be used."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """``$$``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``."""

    def value(match: re.Match[str]) -> str:
        escaped, name, operator, word = match.groups()
        if escaped:
            return "$"
        if found := variables.get(name):
            return found
        if operator == "-":
            return word
        if operator == "?":
            raise VariableMissing(f"{name}: {word}")
        return ""

    return VARIABLE.sub(value, text)


def read_variables(env_file: Path) -> dict[str, str]:
    lines = (line.strip() for line in env_file.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def load(variables: Mapping[str, str], file: Path | None = None) -> dict[str, Any]:
    """The services and volumes with these variables.

    :param file: docker-compose.yaml unless told otherwise.

    :raises ValueError: the file is not what the compose specification allows.
    """
    merged = yaml.safe_load(interpolate((file or COMPOSE_FILE).read_text(), variables))
    PyCompose.from_yaml(yaml.safe_dump(merged)).validate()
    return merged


def clickhouse_users() -> dict[str, str]:
    """The users of ClickHouse, and from which variable each has its password."""
    users = ElementTree.parse(CLICKHOUSE_USERS).getroot().find("users")
    return {user.tag: user.find("password").get("from_env") for user in users}


def clickhouse_grants() -> dict[str, str]:
    """What each user of ClickHouse may do."""
    users = ElementTree.parse(CLICKHOUSE_USERS).getroot().find("users")
    return {user.tag: " ".join(user.find("grants/query").text.split()) for user in users}
