"""Whom an error concerns, for the message about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Concern:
    """What the error that ends a run carries beside its sentence, as the attribute ``concern``.

    :ivar since: since when data is missing or wrong; None if unknown.
    :ivar teams: how many teams are affected; None if unknown.
    :ivar commands: what to run.
    """

    since: datetime | None = None
    teams: int | None = None
    commands: tuple[str, ...] = ()
