"""The one way to ClickHouse: every statement of this package goes through :class:`ClickHouse`."""

from __future__ import annotations

import functools
import itertools
import logging
import math
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from web_analytics.clickhouse import http, profile, sql
from web_analytics.clickhouse.placement import SHARED_CATALOGS, Placement
from web_analytics.errors import CODES, Again, BadSetting, QueryFailed

if TYPE_CHECKING:
    from clickhouse_driver import Client

log = logging.getLogger(__name__)
# At DEBUG the driver logs whole statements, also the one that holds the password of the teams dictionary.
logging.getLogger("clickhouse_driver").setLevel(logging.INFO)

# Sent with every query, after the user's own query settings: a profile or a setting that truncates results,
# fills outer joins with NULL or shifts dates would make the tables wrong without an error.
CORRECTNESS_SETTINGS: dict[str, Any] = {
    "session_timezone": "UTC",
    "join_use_nulls": 0,
    "transform_null_in": 0,
    "union_default_mode": "ALL",
    "final": 0,
    "limit": 0,
    "offset": 0,
    "max_result_rows": 0,
    "max_result_bytes": 0,
    "read_overflow_mode": "throw",
    "group_by_overflow_mode": "throw",
    "sort_overflow_mode": "throw",
    "result_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    "set_overflow_mode": "throw",
    "join_overflow_mode": "throw",
    "distinct_overflow_mode": "throw",
    "async_insert": 0,
    "mutations_sync": 2,
    "lightweight_deletes_sync": 2,
    # All replicas: before 26.10, 3 (the active ones) waits for none on ReplicatedMergeTree.
    "alter_sync": 2,
    # Seconds, of 120; a replica that is dead for longer is not worth waiting for.
    "replication_wait_for_inactive_replica_timeout": 10,
    "materialized_views_ignore_errors": 0,
    "optimize_throw_if_noop": 0,
    # It does not tell one indexHint from another: what was left out for some teams would be left out for all.
    "use_query_condition_cache": 0,
    # A staging table of any size is dropped: a server refuses that over 50 GB by default.
    "max_table_size_to_drop": 0,
    "max_partition_size_to_drop": 0,
    # Answers of an earlier query, and none at all of system tables.
    "use_query_cache": 0,
    # What the driver cannot read.
    "output_format_native_encode_types_in_binary_format": 0,
}

# Under the user's own query settings: a heavy query takes one core, and that only when nobody else wants it (nice
# 19, which the server may set where it has CAP_SYS_NICE). Dashboards go first; docs/performance.md has the figures.
HEAVY_DEFAULTS: dict[str, Any] = {
    "max_threads": 1,
    "os_thread_priority": 19,
    # Joins are made as they are written: the small side is on the right. By its own estimate the engine put millions of
    # team-days there for some lengths of a range, at twice the CPU.
    "query_plan_join_swap_table": "false",
    "query_plan_optimize_join_order_limit": 0,
    # A projection of the events has places of its own (_part_offset), by which of two tied rows the wrong one would hold.
    # One that keeps the table's places may be read: docs/performance.md says how.
    "optimize_use_projections": 0,
}

# Statements that end with the same rows however often they are executed: a transient failure of one costs a
# pause, not a try of the task. Others are repeated together with what empties their table (ClickHouse.repeat).
REPEATABLE = re.compile(
    r"(?:\s|--[^\n]*\n)*(?:SELECT|WITH|EXPLAIN|KILL|DROP\s+TABLE\s+IF\s+EXISTS"
    r"|CREATE\s+TABLE\s+IF\s+NOT\s+EXISTS|ALTER\s+TABLE\s+\S+\s+REPLACE\s+PARTITION)\b"
)
# Also these: of a lock's rows, a ledger entry and the activity of a day the newest holds, the histories may tell an
# attempt or a scan twice, and who finds that the lock exists looks whose it is.
REPEATABLE_WRITES = (
    "build/create_lock",
    "build/renew_lock",
    "build/record_in_ledger",
    "clickhouse/insert_log",
    "detection/refresh_activity",
    "detection/rescan_activity",
    "detection/record_activity_scan",
)
REPEAT_PAUSES_SECONDS = (1.0, 2.0, 4.0)

# Where a person waits for the answer (answer_within). A server that is at work says so every 0.1 s.
IMPATIENT = {"connect_timeout": 2, "send_receive_timeout": 10, "sync_request_timeout": 2}
TOO_LATE = 159

FIRST_SAFE_RESTART = (26, 7)

READ_DATABASE, KILL_QUERY = "clickhouse/read_database", "clickhouse/kill_query"
# The types of columns that hold instants begin with these.
INSTANTS = ("DateTime", "Nullable(DateTime")

UNKNOWN_TABLE = 60
# Questions that are asked side by side. Each is a stream in ClickHouse, which takes about 130 MB there for 20,000 teams.
AT_ONCE = 4

Row = dict[str, Any]
T = TypeVar("T")
Parameters = Mapping[str, Any]


class Database(NamedTuple):
    """The database that all statements work in.

    :ivar place: of its catalog in Keeper; empty where it has none.
    """

    name: str
    engine: str
    place: str


@dataclass(frozen=True)
class QueryStatistics:
    """What one statement cost, as the server reported it to the driver."""

    query_id: str
    seconds: float
    rows_read: int
    bytes_read: int
    rows_written: int


def _in_utc(instant: datetime | None) -> datetime | None:
    """Of a column without a zone the driver gives an instant without one: it is in UTC (session_timezone)."""
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _is_repeated(code: int) -> bool:
    return code in CODES and CODES[code].again is Again.STATEMENT


def _is_timeout(code: int) -> bool:
    return code in CODES and CODES[code].is_timeout


def _reason(message: str) -> str:
    """The server's message on one line, without prefixes, stack trace and the query that it repeats."""
    text = message.split("Stack trace:")[0]
    text = re.sub(r"Code: \d+\.\s*|DB::Exception: ?", "", text)
    text = re.split(r" In scope |: While processing|: In scope", text)[0]
    return " ".join(text.split()).rstrip(". ")


class ClickHouse:
    """Runs the statements of ``include/sql`` on one connection of the ClickHouse plugin.

    :param conn_id: Airflow connection; its schema is the database all statements work in.
    :param origin: who asks (dag, run, task, map index, try); the beginning of every query_id.
    :param heavy_settings: query settings added to statements that are run with ``heavy=True``, over HEAVY_DEFAULTS.
    :param placement: of the tables; statements that create or alter them depend on it.
    :param pauses: before a statement that may be repeated is, after a transient failure; empty: somebody waits for
        the answer, and is told at once.
    :param answer_within: seconds for all statements together, from now on, and short timeouts of the connection;
        None: no bound.
    """

    def __init__(
        self,
        conn_id: str,
        *,
        origin: str = "",
        heavy_settings: Mapping[str, Any] | None = None,
        placement: Placement | None = None,
        pauses: Sequence[float] | None = None,
        answer_within: float | None = None,
    ):
        self.conn_id = conn_id
        self.placement = placement or Placement()
        self.pauses = REPEAT_PAUSES_SECONDS if pauses is None else pauses
        self.origin = origin or f"local-{uuid.uuid4().hex[:12]}"
        self.heavy_settings = {**HEAVY_DEFAULTS, **(heavy_settings or {})}
        self.statistics: list[QueryStatistics] = []
        self._sequence = itertools.count(1)
        self._client: Client | None = None
        self._reset: dict[str, Any] = {}
        self._connect: Callable[[], Client] | None = None
        self._running_query_id: str | None = None
        self._others: list[ClickHouse] = []
        self._database: Database | None = None
        self._server_version: tuple[int, int] | None = None
        # Where a connection may lead to any node, others are reached by these.
        self._nodes = [
            ClickHouse(conn_id, origin=self.origin)
            for conn_id in (self.placement.node_conn_ids if self.placement.topology.load_balanced else ())
        ]
        self._deadline = None if answer_within is None else time.monotonic() + answer_within

    def __enter__(self) -> ClickHouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client = None
        for node in self._nodes:
            node.close()

    def another(self) -> ClickHouse:
        """A connection of its own to the same ClickHouse, for a query beside those of this one."""
        made = ClickHouse(
            self.conn_id,
            origin=f"{self.origin}:{uuid.uuid4().hex[:8]}",
            heavy_settings=self.heavy_settings,
            placement=self.placement,
            pauses=self.pauses,
            answer_within=self.seconds_left,
        )
        made._connect = self._connect
        self._others.append(made)
        return made

    def side_by_side(self, questions: Sequence[Callable[[ClickHouse], T]]) -> list[T]:
        """The answers to questions that are asked at once, each on a connection of its own; a single one on this one.

        :param questions: each asks the connection that it is given.
        """

        def ask(question: Callable[[ClickHouse], T]) -> T:
            with self.another() as connection:
                try:
                    return question(connection)
                finally:
                    self.statistics += connection.statistics

        if len(questions) < 2:
            return [question(self) for question in questions]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, questions))

    @property
    def seconds_left(self) -> float | None:
        """Until the answer is too late; None where it never is."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    @property
    def client(self) -> Client:
        if self._client is None:
            client = self._new_client()
            try:
                self._reset = profile.settings_to_reset(client, CORRECTNESS_SETTINGS)
                if self.placement.topology.load_balanced:
                    self._catch_up(client)
            except BaseException:
                client.disconnect()
                raise
            self._client = client
        return self._client

    def _catch_up(self, client: Client) -> None:
        """Waits until the node that a new connection leads to has what was made and written on others before."""
        from clickhouse_driver.errors import ServerException

        ask = functools.partial(client.execute, settings={**self._reset, **CORRECTNESS_SETTINGS})
        self.database = Database(*ask(sql.render(READ_DATABASE))[0])
        if self.database.engine == "Replicated":
            ask(sql.render("clickhouse/sync_database", {"database": self.database.name}))
        for (table,) in ask(sql.render("clickhouse/list_own_tables")):
            try:
                ask(sql.render("clickhouse/sync_table", {"table": table}))
            except ServerException as error:
                if error.code != UNKNOWN_TABLE:  # another build has dropped it meanwhile
                    raise

    def _new_client(self) -> Client:
        self._resolve()
        return self._connect()

    def _resolve(self) -> None:
        if self._connect is None:
            from airflow_clickhouse_plugin.hooks.clickhouse import ClickHouseHook, conn_to_kwargs
            from clickhouse_driver import Client

            # Resolved once: cancelling happens in a signal handler, where Airflow cannot be asked.
            connection = ClickHouseHook.get_connection(self.conn_id)
            protocol = http.protocol_of(connection)
            is_native = protocol == "native"
            if self.placement.topology.load_balanced and not is_native:
                raise BadSetting(
                    f"The protocol of the connection {self.conn_id}",
                    protocol,
                    "native where WEB_ANALYTICS_TOPOLOGY is load_balanced, since each statement over HTTP may reach "
                    "another node",
                )
            arguments = conn_to_kwargs(connection, None) if is_native else http.arguments_of(connection)
            arguments.pop("protocol", None)
            if self._deadline is not None:
                arguments |= IMPATIENT
            self._connect = functools.partial(Client if is_native else http.HttpClient, **arguments)
        for node in self._nodes:
            node._resolve()

    # Asked once, and not by functools.cached_property: before Python 3.12 that lets one thread ask at a time, whatever
    # connections they have, and whoever asked a server that hangs kept all others waiting.
    @property
    def server_version(self) -> tuple[int, int]:
        """Year and month of the server's version."""
        if self._server_version is None:
            year, month, *_ = self.query("clickhouse/server_version")[0]["version"].split(".")
            self._server_version = int(year), int(month)
        return self._server_version

    @property
    def brings_back_replaced_parts(self) -> bool:
        """Whether a restart loads parts again that were replaced shortly before (ClickHouse issue 107605)."""
        return not self.placement.topology.replicated and self.server_version < FIRST_SAFE_RESTART

    @property
    def database(self) -> Database:
        """The database that all statements work in."""
        if self._database is None:
            text = sql.render(READ_DATABASE)
            rows, _ = self._repeat(
                lambda: self._execute_once(READ_DATABASE, text, {}, (), False), self.pauses, False
            )
            self._database = Database(*rows[0])
        return self._database

    @property
    def has_shared_catalog(self) -> bool:
        """Whether what is made, renamed or dropped on one node is so on all of them."""
        return not self.placement.has_one_node and self.database.engine in SHARED_CATALOGS

    def _names(self) -> sql.Names:
        """What templates ask of the placement; on one node nothing is asked for it."""
        return {} if self.placement.has_one_node else self.placement.names(self.database.engine)

    def sync(self, *tables: str) -> None:
        """Waits until this node has what other nodes have written to these tables; where the connection leads to one node,
        there is nothing to wait for.

        :raises QueryFailed: as :meth:`query`.
        """
        if self.placement.topology.load_balanced and self.database.engine in SHARED_CATALOGS:
            for table in tables:
                self.run("clickhouse/sync_table", names={"table": table})

    def kill(self, path: str, parameters: Parameters) -> None:
        """Ends the queries that a ``KILL`` statement is about and waits until they are gone; where the connection may
        lead to any node, on all of them.

        :raises QueryFailed: as :meth:`query`.
        """
        for node in self._nodes or [self]:
            node.query(path, {**parameters, **node._own_database()})

    def _own_database(self) -> Parameters:
        """What ON CLUSTER needs instead of currentDatabase(), which is another one where it is executed."""
        return {"database": self.database.name} if self.placement.topology.load_balanced else {}

    def cancel_running_query(self) -> None:
        """Ends what is running now, here and on the connections that :meth:`another` made, from one more connection;
        for timeouts, killed tasks and clients that are gone."""
        running = [query_id for each in (self, *self._others) if (query_id := each._running_query_id)]
        if not running or self._connect is None:
            return
        for node in self._nodes or [self]:
            client = node._new_client()
            try:
                for query_id in running:
                    log.warning("Cancelling query %s.", query_id)
                    client.execute(
                        sql.render(KILL_QUERY, node._names()),
                        {"query_id": query_id, **node._own_database()},
                        settings={**self._reset, **CORRECTNESS_SETTINGS, **self.placement.settings},
                    )
            finally:
                client.disconnect()

    def query(
        self,
        path: str,
        parameters: Parameters | None = None,
        names: sql.Names | None = None,
        *,
        external_tables: Sequence[Mapping[str, Any]] = (),
        heavy: bool = False,
    ) -> list[Row]:
        """The rows of the statement ``include/sql/<path>.sql``, as dictionaries by column name; instants are in UTC.

        :param parameters: values for the statement's ``%(name)s``.
        :param names: identifiers, see :func:`web_analytics.clickhouse.sql.render`.
        :param external_tables: rows sent along, see :func:`external_table`.
        :raises QueryFailed: whatever ClickHouse or the connection reported; never an empty result instead.
        """
        rows, columns = self._execute(path, parameters, names, external_tables, heavy)
        found = [dict(zip((name for name, _ in columns), row, strict=True)) for row in rows]
        for name in (name for name, kind in columns if kind.startswith(INSTANTS)):
            for row in found:
                row[name] = _in_utc(row[name])
        return found

    def run(
        self,
        path: str,
        parameters: Parameters | None = None,
        names: sql.Names | None = None,
        *,
        external_tables: Sequence[Mapping[str, Any]] = (),
        heavy: bool = False,
    ) -> QueryStatistics:
        """Like :meth:`query`, for statements that return no rows."""
        self._execute(path, parameters, names, external_tables, heavy)
        return self.statistics[-1]

    def records(self, name: str, text: str) -> list[tuple]:
        """The rows of a statement that is no file of ``include/sql``, since a library has written it.

        :param name: stands for the file's path in logs and failures.
        :raises QueryFailed: as :meth:`query`.
        """
        rows, _ = self._execute_once(name, text, None, (), True)
        return rows

    def insert(self, path: str, rows: Iterable[Row], names: sql.Names | None = None) -> int:
        """Sends rows to the ``INSERT … VALUES`` statement at ``include/sql/<path>.sql``.

        :returns: the number of rows.
        :raises QueryFailed: as :meth:`query`.
        """
        data = list(rows)
        if data:
            self._execute(path, data, names, (), False)
        return len(data)

    def repeat(self, unit: Callable[[], T]) -> T:
        """Executes statements that only together may be repeated: all of them again after a transient failure of one,
        up to three times. A unit that writes makes tables of another name each time: a statement of which the answer
        was lost may still arrive.

        :returns: what the unit returned.
        """
        return self._repeat(unit, self.pauses, may_take_long=True)

    def _execute(self, path, parameters, names, external_tables, heavy):
        """Executes a statement; if it may be repeated, again after a transient failure, up to three times."""
        text = sql.render(path, {**self._names(), **(names or {})})
        may_be_repeated = path in REPEATABLE_WRITES or REPEATABLE.match(text)
        values = {} if parameters is None else parameters
        return self._repeat(
            lambda: self._execute_once(path, text, values, external_tables, heavy),
            self.pauses if may_be_repeated else (),
            may_take_long=heavy,
        )

    def _repeat(self, work, pauses: Iterable[float], may_take_long: bool):
        from clickhouse_driver.errors import ServerException

        pauses, unfinished, failed = iter(pauses), None, None
        while True:
            try:
                if unfinished is not None:  # the connection broke, but perhaps not the query
                    self._end_unfinished(unfinished)
                    unfinished = None
                return work()
            except QueryFailed as failure:
                if failed is None or unfinished is None:
                    failed = failure
                has_ended = isinstance(failure.__cause__, ServerException)
                is_light_timeout = _is_timeout(failure.code) and has_ended and not may_take_long
                pause = next(pauses, None)
                if pause is None or not (_is_repeated(failure.code) or is_light_timeout):
                    # What was to be done could not be, rather than what comes before its repetition.
                    told = failed if _is_repeated(failure.code) else failure
                    raise told from told.__cause__
                if not has_ended:
                    unfinished = unfinished or failure.query_id
                log.warning("%s Asking again in %g s.", failure, pause)
                time.sleep(pause)

    def _end_unfinished(self, query_id: str) -> None:
        if self.placement.topology.load_balanced:
            self.kill(KILL_QUERY, {"query_id": query_id})
        else:
            self._execute_once(KILL_QUERY, sql.render(KILL_QUERY), {"query_id": query_id}, (), False)

    def _execute_once(self, path, text, parameters, external_tables, heavy):
        from clickhouse_driver import errors

        query_id = f"{self.origin}:{next(self._sequence)}"
        left = self.seconds_left
        if left is not None and left <= 0:
            raise QueryFailed(path, query_id, TOO_LATE, "the time for the whole answer is over")
        started = time.monotonic()
        try:
            client = self.client
            settings = {
                **self._reset,
                **(self.heavy_settings if heavy else {}),
                **CORRECTNESS_SETTINGS,
                **self.placement.settings,
                "log_comment": path,
            }
            if left is not None:
                settings["max_execution_time"] = math.ceil(left)
            self._running_query_id = query_id
            result = client.execute(
                text,
                parameters,
                with_column_types=True,
                external_tables=list(external_tables) or None,
                query_id=query_id,
                settings=settings,
            )
        except (errors.Error, OSError, EOFError) as error:
            # A broken conversation cannot be continued: the next statement opens a new connection.
            self.close()
            code = getattr(error, "code", 210)
            raise QueryFailed(path, query_id, code, _reason(str(error))) from error
        finally:
            self._running_query_id = None
        last = self.client.last_query
        statistics = QueryStatistics(
            query_id=query_id,
            seconds=time.monotonic() - started,
            rows_read=last.progress.rows,
            bytes_read=last.progress.bytes,
            rows_written=getattr(last.progress, "written_rows", 0),
        )
        self.statistics.append(statistics)
        log.info(
            "%s took %.3f s, read %d rows, query_id %s",
            path,
            statistics.seconds,
            statistics.rows_read,
            query_id,
        )
        return result if isinstance(result, tuple) else ([], [])


def external_table(name: str, column: str, column_type: str, values: Iterable[Any]) -> dict[str, Any]:
    """A one-column table that travels with a query: sets of any size, without SQL text and without a write."""
    return {"name": name, "structure": [(column, column_type)], "data": [{column: value} for value in values]}


def teams_table(team_ids: Iterable[int]) -> dict[str, Any]:
    """The teams that a statement is about, as its external table ``selected_teams`` with the column ``team_id``."""
    return external_table("selected_teams", "team_id", "Int64", sorted(set(team_ids)))
