"""How the API says that it does not answer."""

from __future__ import annotations

from pydantic import BaseModel


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


# What every endpoint may answer.
RESPONSES = {
    401: {"model": Problem, "description": "No login."},
    403: {"model": Problem, "description": "The login has no right to do this."},
    404: {"model": Problem, "description": "There is no such region."},
    503: {"model": Problem, "description": "ClickHouse or a selection strategy cannot be asked."},
}
