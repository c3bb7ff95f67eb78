"""Reads one text of the environment: each parser gives the value or raises ValueError, KeyError or TypeError."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date


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


def team_ids(text: str) -> tuple[int, ...]:
    ids = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    if any(team_id < 0 or team_id >= 2**63 for team_id in ids):
        raise ValueError
    return ids


def identifier(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError
    return text


def optional_identifier(text: str) -> str:
    return identifier(text) if text else ""


def addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if any(not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address) for address in addresses):
        raise ValueError
    return addresses
