"""What can go wrong, in one place: the errors that several rooms raise or read, and what each code means.

A code is ClickHouse's number or a word of the package's own, the attribute ``code`` of the error. :data:`CODES` says
what it means, whether another try helps, and what a person does about it; docs/operations.md has it as a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Again(Enum):
    """What helps after a failure with a code."""

    NEVER = "never"
    """Another try fails in the same way: the task fails at once."""

    NEXT_TRY = "next try"
    """Airflow tries the task again, later each time."""

    STATEMENT = "statement"
    """A statement that may be repeated is repeated within the try first, after a pause."""


@dataclass(frozen=True)
class Code:
    """What an error code means.

    :ivar meaning: why another try cannot help, or why it may, as the end of a sentence.
    :ivar again: what is tried again.
    :ivar is_timeout: a statement took too long. A light one that the server itself has ended is repeated as well.
    :ivar advice: what a person does about it; empty where docs/operations.md says it.
    """

    meaning: str
    again: Again
    advice: str = ""
    is_timeout: bool = False


def _never(meaning: str, advice: str = "") -> Code:
    return Code(meaning, Again.NEVER, advice)


def _next_try(meaning: str, advice: str = "", *, is_timeout: bool = False) -> Code:
    return Code(meaning, Again.NEXT_TRY, advice, is_timeout)


def _statement(meaning: str, advice: str = "") -> Code:
    return Code(meaning, Again.STATEMENT, advice)


NATIVE_PORT = (
    "Check the connection's port: the native one is 9000, or 9440 with TLS. Another port than 8123 or 8443 speaks HTTP only "
    'where the connection\'s extra says {"protocol": "http"} or "https".'
)

# A code that is not listed is tried again by Airflow, as anything unknown is. Of the codes of ClickHouse that may pass,
# those whose cause is known at once are repeated within the try.
CODES: dict[int | str, Code] = {
    3: _statement("the connection broke"),
    16: _never("the table has no such column"),
    32: _statement("the connection broke"),
    36: _never("the statement's arguments do not fit"),
    42: _never("the statement's arguments do not fit"),
    43: _never("the statement's types do not fit"),
    46: _never("the server does not know a function"),
    47: _never("a column does not exist", "Run web_analytics_setup."),
    48: _never("the server cannot do this"),
    53: _never("the statement's types do not fit"),
    57: _never("a table of this name exists already"),
    60: _never(
        "a table does not exist",
        "Run web_analytics_setup, and check that the connection's schema is the right database.",
    ),
    62: _never("the statement is not valid"),
    81: _never(
        "the database does not exist", "Check the schema of the connection: it is the name of the database."
    ),
    101: _statement("the connection broke", NATIVE_PORT),
    102: _statement("the connection broke", NATIVE_PORT),
    115: _never("the server does not know a setting"),
    159: _next_try(
        "the query took too long, perhaps only now",
        "Raise max_execution_time, or build fewer teams or dates at once.",
        is_timeout=True,
    ),
    164: _never("the connection may only read"),
    192: _never("the user does not exist"),
    193: _never("the password is wrong"),
    194: _never(
        "a password is required, or wrong (of the user default, over HTTP)",
        "Check login and password of the connection.",
    ),
    202: _statement("too many queries at this moment"),
    203: _statement("no free connection at this moment"),
    209: _next_try(
        "the server did not answer in time",
        "Check that ClickHouse is up and reachable from the workers.",
        is_timeout=True,
    ),
    210: _statement(
        "the server could not be reached", "Check that ClickHouse is up and reachable from the workers."
    ),
    216: _next_try("the previous try's query is still running"),
    225: _statement("Keeper is not available at this moment"),
    236: _next_try("the query was aborted, for example by a restart"),
    241: _statement(
        "not enough memory at this moment",
        "Lower max_threads or raise max_memory_usage in WEB_ANALYTICS_CLICKHOUSE_SETTINGS.",
    ),
    242: _statement("the table is read-only while Keeper is away"),
    243: _next_try("not enough disk space at this moment"),
    252: _statement("too many parts until merges catch up"),
    279: _statement("no replica could be reached"),
    291: _never("the user may not use the database"),
    319: _statement("unknown whether a part was written; every step may be repeated"),
    341: _next_try("a mutation or merge did not finish in time"),
    344: _never("the table does not support this"),
    394: _next_try("the query was cancelled"),
    439: _statement("no thread at this moment"),
    452: _never("a setting's constraint is violated"),
    473: _statement("a deadlock was avoided"),
    497: _never("the user lacks a right", "Grant the right that is named (docs/security.md)."),
    516: _never("user or password is wrong", "Check login and password of the connection."),
    745: _statement("the server is overloaded"),
    999: _statement("Keeper is not available at this moment"),
    "another_version": _never("what another version of the package has staged has to be staged anew"),
    "approval_outdated": _never("a person has to see and approve it again"),
    "backfill_incomplete": _never("the tasks of the dates were tried already"),
    "bad_setting": _never("a setting or the run's conf has to be changed first"),
    "cleanup_failed": _never("a person has to look at what happened"),
    "health_failing": _never("a person has to look at the reasons"),
    "lock_held": _next_try("another run is building the date"),
    "lock_lost": _never("the date belongs to another run or a newer try now"),
    "message_not_sent": _never("the channels that work have been told; the next check tells again"),
    "published_differs": _next_try("the day is published once more"),
    "registry_busy": _next_try("others are changing the registry of teams at this moment"),
    "schema_mismatch": _never("the schema has to be changed first"),
    "validation_failed": _never("the tables have to be built again first"),
    "verification_failed": _never("it was tried twice already within the task"),
}


def permanent(error: BaseException) -> Code | None:
    """What the error's ``code`` means where another try cannot help; None where it can, or the code is unknown."""
    known = CODES.get(getattr(error, "code", None))
    return known if known and known.again is Again.NEVER else None


SEE_OPERATIONS = "See docs/operations.md."


class BadSetting(ValueError):
    """A value from the environment or from a run's conf is not acceptable; the message is for people."""

    code = "bad_setting"

    def __init__(self, name: str, value: object, accepted: str):
        super().__init__(f"{name} is {value!r}; accepted: {accepted}.")
        self.name, self.value, self.accepted = name, value, accepted

    def __reduce__(self):
        return type(self), (self.name, self.value, self.accepted)


class SchemaMismatch(RuntimeError):
    """Something in ClickHouse is not of the form that the package needs; the message says what and how."""

    code = "schema_mismatch"


class QueryFailed(RuntimeError):
    """ClickHouse refused or broke off a statement.

    :ivar code: ClickHouse's error code; 210 for a broken connection, 209 for a silent one.
    """

    def __init__(self, statement: str, query_id: str, code: int, reason: str):
        known = CODES.get(code)
        advice = (known and known.advice) or SEE_OPERATIONS
        super().__init__(
            f"{statement} failed in ClickHouse with code {code}: {reason} (query_id {query_id}). {advice}"
        )
        self.statement, self.query_id, self.code, self.reason = statement, query_id, code, reason

    def __reduce__(self):
        return type(self), (self.statement, self.query_id, self.code, self.reason)


def is_expected(error: BaseException) -> bool:
    """Whether the error is one of this package's own: its message is a sentence for people."""
    return type(error).__module__.partition(".")[0] == __name__.partition(".")[0]


def public_sentence(error: BaseException) -> str:
    """What whoever may see a run is told of an error: no word of a server or a driver, which may name hosts and users."""
    cause = error if isinstance(error, QueryFailed) else error.__cause__
    if isinstance(cause, QueryFailed) and cause.reason and cause.reason in str(error):
        known = CODES.get(cause.code)
        meaning = known.meaning if known else "the task's log has the server's message"
        return str(error).replace(cause.reason, meaning)
    return str(error) or type(error).__name__
