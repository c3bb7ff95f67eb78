"""The chDB engine: one per process, and a session for each client."""

import contextlib
import itertools
import json
import tempfile
import threading

from chdb.session import Session as ChdbSession

from .errors import EngineError, engine_errors
from .protocol import split_native
from .statements import SELECT, SET, TABULAR, quote, quote_name

# chDB gives every query an id of its own. A String setting that nothing uses carries the client's
# user and query id, "user<TAB>id", to where the engine shows a query's settings.
TAG = "stream_like_engine_insert_queue"
OWN = "/* embedded_clickhouse */ "  # marks the server's own statements, which the views leave out
READONLY = 164
PROCESSES = "system.client_processes"


def structure(columns):
    return ", ".join(f"{quote_name(name)} {kind}" for name, kind in columns)


class Engine:
    """The engine on a data directory; `config_file` must be given, or chDB looks for one by itself."""

    def __init__(self, path, config_file):
        self.path = path
        self._url = f"{path}?config-file={config_file}"
        with engine_errors():
            self._admin = self.open()
            self._lock = threading.Lock()
            self._running = {}
            [[version, self.timezone]] = self.rows("SELECT version(), timezone()")
            self.version = tuple(map(int, version.split(".")))
            self.settings = self.defaults(self._admin)
            self._admin.query("SYSTEM FLUSH LOGS")  # creates the log tables that the config asks for
            self._create_view("processes", PROCESSES)
            if self.rows("EXISTS TABLE system.engine_query_log") == [[1]]:
                self._create_view("engine_query_log", "system.query_log")

    def _create_view(self, table, view):
        tag = f"Settings['{TAG}']"
        user = f"substring({tag}, 1, position({tag}, '\\t') - 1)"
        query_id = f"substring({tag}, position({tag}, '\\t') + 1)"
        columns = {"user": user, "initial_user": user, "query_id": query_id, "initial_query_id": query_id}
        replaced = [f"if({tag} = '', {name}, {value}) AS {name}" for name, value in columns.items()]
        replaced.append(f"mapFilter((name, _) -> name != '{TAG}', Settings) AS Settings")
        self._admin.query(
            f"CREATE VIEW {view} AS SELECT * REPLACE ({', '.join(replaced)}) "
            f"FROM system.{table} WHERE NOT startsWith(query, '{OWN}')"
        )

    def open(self):
        return ChdbSession(self._url)

    def rows(self, sql, session=None):
        """Rows of a statement of the server's own."""
        with engine_errors():
            return json.loads((session or self._admin).query(OWN + sql, "JSONCompact").bytes())["data"]

    def defaults(self, session, names=None):
        """What SET takes to bring the settings back to what they are now."""
        where = f"WHERE name IN ({', '.join(map(quote, names))})" if names else ""
        found = self.rows(f"SELECT name, value, changed FROM system.settings {where}", session)
        return {name: quote(value) if changed else "DEFAULT" for name, value, changed in found}

    @contextlib.contextmanager
    def running(self, query_id, connection):
        """Holds the query id for the connection; EngineError 216 if a running query has it."""
        with self._lock:
            if self._running.setdefault(query_id, connection) is not connection:
                raise EngineError(
                    216,
                    f"Query with id = {query_id} is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)",
                )
        try:
            yield
        finally:
            del self._running[query_id]

    def running_queries(self):
        with self._lock:
            return list(self._running.items())

    def kill(self, tag=None):
        """Ends the query of the tag, or all of the clients' queries, without waiting for it."""
        with engine_errors():
            self._admin.query(
                f"{OWN}KILL QUERY WHERE Settings['{TAG}'] "
                f"{'!= ' + quote('') if tag is None else '= ' + quote(tag)} ASYNC"
            )


class Session:
    """A client's session: its current database, temporary tables and settings."""

    def __init__(self, engine, user, database, progress):
        self._engine, self._user, self._progress = engine, user, progress
        self._open(database)

    def _open(self, database):
        self._settings_changed = False
        self._chdb = self._engine.open()
        self._chdb._conn.set_progress_callback(self._progress)
        # The first two as on a server; types on one line, as describe() hands them on.
        self.run("SET implicit_select = 0, allow_introspection_functions = 0, print_pretty_type_names = 0")
        if database:
            self.run(f"USE {quote_name(database)}")

    def close(self):
        self._chdb.cleanup()

    def run(self, sql):
        """A statement of the server's own."""
        with engine_errors():
            self._chdb.query(OWN + sql)

    def rows(self, sql):
        return self._engine.rows(sql, self._chdb)

    def tag(self, query_id):
        return f"{self._user}\t{query_id}"

    @contextlib.contextmanager
    def query(self, query, tables):
        """Within it the query's settings hold and the external tables (blocks of the client) exist."""
        settings = self._known(query.settings)
        before = self._engine.settings
        if settings and self._settings_changed:
            before = self._engine.defaults(self._chdb, settings)
        created = []
        try:
            for (table, columns), blocks in itertools.groupby(tables, lambda b: (b.table, b.columns)):
                name = quote_name(table)
                self.run(f"CREATE TEMPORARY TABLE {name} ({structure(columns)})")
                created.append(name)
                with self.client_rows(columns, blocks) as source:
                    self.run(f"INSERT INTO {name} SELECT * FROM {source}")
            try:
                self._set({**settings, TAG: self.tag(query.id)})
            except EngineError as e:
                if e.code != READONLY:
                    raise
                # The client itself has made its session read-only, so that nothing was set.
                refused, settings = settings, {}
                if refused:
                    raise
            yield
        finally:
            try:
                if settings:
                    self.run("SET " + ", ".join(f"{name} = {before[name]}" for name in settings))
                for name in created:
                    self.run(f"DROP TEMPORARY TABLE {name}")
            except EngineError:  # a setting as readonly cannot be taken back: begin anew
                [[database]] = self.rows("SELECT currentDatabase()")
                self.close()
                self._open(database)

    def _known(self, settings):
        for name, _, important in settings:
            if important and name not in self._engine.settings:
                raise EngineError(115, f"Unknown setting '{name}'. (UNKNOWN_SETTING)")
        return {name: value for name, value, _ in settings if name in self._engine.settings}

    def _set(self, settings):
        self.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))

    def describe(self, sql):
        """(name, type) of a SELECT's columns, or None if it has an error or two columns of one name.

        FORMAT Native tells them with the first rows only and without time zones. A view is analyzed
        and no more; DESCRIBE TABLE (query) would execute scalar subqueries.
        """
        try:
            self.run(f"CREATE TEMPORARY VIEW _embedded_header AS {sql}")
            try:
                return [tuple(row[:2]) for row in self.rows("DESCRIBE TABLE _embedded_header")]
            finally:
                self.run("DROP TEMPORARY VIEW _embedded_header")
        except EngineError:  # it will come again when the query runs
            return None

    def insert_columns(self, table, names):
        """(name, type) of the columns that an INSERT of the client's rows fills."""
        found = {row[0]: row for row in self.rows(f"DESCRIBE TABLE {table}")}
        if names is None:
            names = [n for n, row in found.items() if row[2] not in ("MATERIALIZED", "ALIAS", "EPHEMERAL")]
        for name in names:
            if name not in found:
                raise EngineError(16, f"No such column {name} in table {table}. (NO_SUCH_COLUMN_IN_TABLE)")
        return [(name, found[name][1]) for name in names]

    @contextlib.contextmanager
    def client_rows(self, columns, blocks):
        """A table function that reads the blocks.

        They go through a file without a name, which not even a kill -9 leaves behind: chDB's own
        streaming insert reports success also where the engine has refused the rows.
        """
        with tempfile.TemporaryFile(dir=self._engine.path) as file:
            for block in blocks:
                file.write(block.native if block.rows else b"")
            file.flush()
            yield f"file('/dev/fd/{file.fileno()}', Native, {quote(structure(columns))})"

    def answer(self, sql, masked):
        """(blocks, chDB's result with its counters) for every part of the answer."""
        if SET.match(masked):
            self._settings_changed = True
        with engine_errors():
            if not SELECT.match(masked):  # only a SELECT can be streamed
                result = self._chdb.query(sql, "Native")
                yield split_native(result.bytes()), result
                return
            stream = self._chdb.send_query(sql, "Native")
            try:
                for result in stream:
                    yield [result.bytes()], result
            finally:
                stream.cancel()

    def empty_columns(self, sql, masked):
        """The columns of an answer that had no rows, where describe() does not tell them."""
        if not TABULAR.match(masked):
            return None
        with engine_errors():
            lines = self._chdb.query(sql, "TSVWithNamesAndTypes").bytes().decode().splitlines()
        return list(zip(*(line.split("\t") for line in lines[:2]), strict=True))

    def kill(self, condition, mode):
        """KILL QUERY by the clients' ids; returns the SELECT that answers as the statement does."""
        found = self.rows(f"SELECT query_id, user, query FROM {PROCESSES} WHERE {condition}")
        if found:
            tags = ", ".join(quote(f"{user}\t{query_id}") for query_id, user, _ in found)
            self.run(f"KILL QUERY WHERE Settings['{TAG}'] IN ({tags}) {mode}")
        status = "waiting" if mode.upper() == "ASYNC" else "finished"
        rows = ", ".join("(" + ", ".join(map(quote, (status, *row))) + ")" for row in found)
        names = "kill_status String, query_id String, user String, query String"
        return f"SELECT * FROM values({quote(names)}, {rows})" if rows else f"SELECT * FROM null('{names}')"
