"""Which failures are worth another try. The table is documented in docs/operations.md, from this module."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

# ClickHouse error codes and the package's own, with the reason why another try cannot help.
PERMANENT: dict[int | str, str] = {
    16: "the table has no such column",
    36: "the statement's arguments do not fit",
    42: "the statement's arguments do not fit",
    43: "the statement's types do not fit",
    46: "the server does not know a function",
    47: "a column does not exist",
    48: "the server cannot do this",
    53: "the statement's types do not fit",
    57: "a table of this name exists already",
    60: "a table does not exist",
    62: "the statement is not valid",
    81: "the database does not exist",
    115: "the server does not know a setting",
    164: "the connection may only read",
    192: "the user does not exist",
    193: "the password is wrong",
    194: "a password is required",
    291: "the user may not use the database",
    344: "the table does not support this",
    452: "a setting's constraint is violated",
    497: "the user lacks a right",
    516: "user or password is wrong",
    "bad_setting": "a setting or the run's conf has to be changed first",
    "approval_outdated": "a person has to see and approve it again",
    "backfill_incomplete": "the tasks of the dates were tried already",
    "cleanup_failed": "a person has to look at what happened",
    "health_failing": "a person has to look at the reasons",
    "lock_lost": "the date belongs to another run now",
    "message_not_sent": "the channels that work have been told; the next check tells again",
    "schema_mismatch": "the schema has to be changed first",
    "validation_failed": "the tables have to be built again first",
    "verification_failed": "it was tried twice already within the task",
}

# For the documentation: what is retried as anything unknown is, with the reason why it helps.
TRANSIENT: dict[int | str, str] = {
    3: "the connection broke",
    32: "the connection broke",
    101: "the connection broke",
    102: "the connection broke",
    159: "the query took too long, perhaps only now",
    202: "too many queries at this moment",
    203: "no free connection at this moment",
    209: "the server did not answer in time",
    210: "the server could not be reached",
    216: "the previous try's query is still running",
    225: "Keeper is not available at this moment",
    236: "the query was aborted, for example by a restart",
    241: "not enough memory at this moment",
    242: "the table is read-only while Keeper is away",
    243: "not enough disk space at this moment",
    252: "too many parts until merges catch up",
    279: "no replica could be reached",
    319: "unknown whether a part was written; every step may be repeated",
    341: "a mutation or merge did not finish in time",
    394: "the query was cancelled",
    439: "no thread at this moment",
    473: "a deadlock was avoided",
    745: "the server is overloaded",
    999: "Keeper is not available at this moment",
    "lock_held": "another run is building the date",
}

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=10)


class ClickHouseRetryPolicy(RetryPolicy):
    """Fails at once where the error's ``code`` is permanent; otherwise waits longer each time, with jitter.

    :param first_delay_seconds: the first wait; each further one is twice as long, up to ten minutes.
    """

    def __init__(self, first_delay_seconds: float = FIRST_DELAY.total_seconds()):
        self.first_delay_seconds = first_delay_seconds

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        code: Any = getattr(exception, "code", None)
        if code in PERMANENT:
            return RetryDecision.fail(f"not tried again: {PERMANENT[code]} (code {code})")
        seconds = min(self.first_delay_seconds * 2 ** (try_number - 1), LONGEST_DELAY.total_seconds())
        delay = timedelta(seconds=seconds * random.uniform(0.75, 1.25))
        return RetryDecision.retry(delay, TRANSIENT.get(code))

    def serialize(self) -> dict[str, Any]:
        return {"first_delay_seconds": self.first_delay_seconds}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ClickHouseRetryPolicy:
        return cls(**data)
