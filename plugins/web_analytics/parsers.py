"""Reads one value: each parser gives it or raises one of :data:`REFUSALS`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

REFUSALS = (ValueError, KeyError, TypeError, OverflowError)

# The id of a team is a signed 64-bit number in the source's events, and never negative.
MAX_TEAM_ID = 2**63 - 1
TEAM_ID_IN_WORDS = f"a whole number from 0 to {MAX_TEAM_ID}"


def peek(environment: Mapping[str, str], variable: str, default: str, parse: Callable[[str], Any]) -> Any:
    """A variable for a DAG file that is being parsed: the default where the value is bad, which the first task of a
    run refuses."""
    try:
        return parse(environment.get(variable, "").strip() or default)
    except REFUSALS:
        return parse(default)


def whole_number(minimum: int, maximum: int | None = None) -> tuple[Callable[[str], int], str]:
    accepted = (
        f"a whole number from {minimum} to {maximum}" if maximum else f"a whole number from {minimum} up"
    )

    def parse(text: str) -> int:
        number = int(text)
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError
        return number

    return parse, accepted


def decimal(minimum: float, maximum: float) -> tuple[Callable[[str], float], str]:
    """A number with or without decimal places."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or not minimum <= float(text) <= maximum:
            raise ValueError
        return float(text)

    return parse, f"a number from {minimum:g} to {maximum:g}"


def boolean(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]


def iso_date(text: str) -> date:
    parsed = date.fromisoformat(text)
    if parsed.isoformat() != text:
        raise ValueError
    return parsed


def one_of(*choices: str) -> tuple[Callable[[str], str], str]:
    """One of at least two words."""
    return lambda text: choices[choices.index(text)], f"{', '.join(choices[:-1])} or {choices[-1]}"


def team_id(given: Any) -> int:
    """The id of a team: a number, or a text of nothing but digits.

    :raises ValueError: no id that events may have.
    """
    is_text = isinstance(given, str)
    is_number = not is_text or (given.isascii() and given.isdigit())
    number = (int(given) if is_text else operator.index(given)) if is_number else -1
    if isinstance(given, bool) or not 0 <= number <= MAX_TEAM_ID:
        raise ValueError(f"{given!r} is no team id, {TEAM_ID_IN_WORDS}")
    return number


def team_ids(text: str) -> tuple[int, ...]:
    return tuple(sorted({team_id(part.strip()) for part in text.split(",") if part.strip()}))


def identifier(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError
    return text


def optional_identifier(text: str) -> str:
    return identifier(text) if text else ""


def comma_separated(text: str) -> tuple[str, ...]:
    """The parts of a list, in their order, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


class Notifier(NamedTuple):
    """One of Airflow's notifiers, and what it is made with.

    :ivar path: its class, as ``module.Class``.
    """

    path: str
    arguments: dict[str, Any]


def _list(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("not a list of objects")
    return found


def notifiers(text: str) -> tuple[Notifier, ...]:
    """A JSON list of objects with ``notifier`` and, where it takes any, ``arguments``."""
    found = []
    for each in _list(json.loads(text)):
        if each.keys() - {"notifier", "arguments"}:
            raise ValueError("other keys than notifier and arguments")
        path, arguments = each["notifier"], each.get("arguments", {})
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", path) or not isinstance(arguments, dict):
            raise ValueError("no class of a module, or no arguments by name")
        found.append(Notifier(path, arguments))
    return tuple(found)


def addresses(text: str) -> tuple[str, ...]:
    addresses = comma_separated(text)
    if any(not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address) for address in addresses):
        raise ValueError
    return addresses
