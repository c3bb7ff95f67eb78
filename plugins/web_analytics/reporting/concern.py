"""Whom an error concerns, for the message about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Concern:
    """What the error that ends a run carries beside its sentence, as the attribute ``concern``.

    :ivar since: since when data is missing or wrong; None if unknown.
    :ivar teams: how many teams are affected; None if unknown.
    :ivar commands: what to run.
    :ivar days: the days that are missing or wrong, as far as they are known.
    :ivar team_ids: of these teams; empty where they are many, or not known one by one.
    """

    since: datetime | None = None
    teams: int | None = None
    commands: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    team_ids: tuple[int, ...] = ()
