"""How the API says that it does not answer."""

from __future__ import annotations

from pydantic import BaseModel

from web_analytics.clickhouse.connection import TOO_LATE
from web_analytics.errors import CODES, SEE_OPERATIONS, BadSetting, QueryFailed
from web_analytics.teams.selection import TeamSelectionFailed


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


# What every endpoint may answer.
RESPONSES = {
    401: {"model": Problem, "description": "No login."},
    403: {"model": Problem, "description": "The login has no right to do this."},
    404: {"model": Problem, "description": "There is no such region."},
    413: {"model": Problem, "description": "The body is too long."},
    503: {
        "model": Problem,
        "description": "ClickHouse or a selection strategy cannot be asked, or not now: then Retry-After says when.",
    },
}

SEE_LOG = "The API server's log has the whole message."


def meaning_of(code: int | str) -> str:
    """What a person may read of a failure with this code: what ClickHouse or a driver said may name hosts and users."""
    known = CODES.get(code)
    return known.meaning if known else "docs/operations.md says where to look"


def public_text(error: Exception) -> str:
    """What a reader is told of a failure: which it is and what to do, but no host, port, user or value of a setting."""
    if isinstance(error, QueryFailed):
        if error.code == TOO_LATE:
            advice = "Ask for fewer days or teams."
        else:
            advice = (error.code in CODES and CODES[error.code].advice) or SEE_OPERATIONS
        return (
            f"{error.statement} failed in ClickHouse with code {error.code}: {meaning_of(error.code)} "
            f"(query_id {error.query_id}). {advice} {SEE_LOG}"
        )
    if isinstance(error, TeamSelectionFailed):
        why = public_text(error.__cause__) if isinstance(error.__cause__, QueryFailed) else SEE_LOG
        return f"The team selection strategy {error.strategy} failed. {why}"
    if isinstance(error, BadSetting):
        return f"{error.name} is not acceptable; accepted: {error.accepted}. {SEE_LOG}"
    return f"The request cannot be answered. {SEE_LOG}"
