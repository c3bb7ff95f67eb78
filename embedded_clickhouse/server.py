"""Sockets and threads: one thread and one chDB session for each connection."""

import contextlib
import socket
import sys
import threading
import time

from clickhouse_driver.protocol import ClientPacketTypes

from . import statements
from .engine import PROCESSES, Session
from .errors import EngineError
from .protocol import Channel, header, native_columns, with_zones

CANCELLED = 394
WATCH_SECONDS = 0.1


class Connection:
    """Serves one client until it leaves."""

    def __init__(self, server, sock):
        self._engine, self._users = server.engine, server.users
        self._channel, self._session = Channel(sock), None
        self._answering = self._cancelled = False

    def serve(self):
        channel = self._channel
        try:
            try:
                self._login()
            except EngineError as e:
                channel.send_exception(e)
                return
            while (kind := channel.read_kind()) != ClientPacketTypes.HELLO:
                if kind == ClientPacketTypes.PING:
                    channel.send_pong()
                elif kind == ClientPacketTypes.QUERY:
                    self._query(channel.read_query())
                elif kind != ClientPacketTypes.CANCEL:  # of a query that has ended meanwhile
                    break
        except (EOFError, OSError):
            pass  # the client has left
        finally:
            channel.close()
            if self._session:
                self._session.close()

    def _login(self):
        database, user, password = self._channel.read_hello()
        if self._users.get(user) != password:
            raise EngineError(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no "
                "user with such name. (AUTHENTICATION_FAILED)",
            )
        self._session = Session(self._engine, user, database, self._progress)
        self._channel.send_hello(self._engine.version, self._engine.timezone)

    def _progress(self, counters):
        with contextlib.suppress(OSError):  # the thread that serves the client will see it
            self._channel.report_progress(
                *(
                    counters[name]
                    for name in (
                        "read_rows",
                        "read_bytes",
                        "total_rows_to_read",
                        "written_rows",
                        "written_bytes",
                    )
                )
            )

    def _query(self, query):
        # All that the client sends is read before anything can fail: the next packet is a new one.
        tables = list(self._channel.read_blocks())
        self._answering = self._cancelled = False
        try:
            with self._engine.running(query.id, self), self._session.query(query, tables):
                end = self._execute(query.sql)
            self._channel.send_end(*end)
        except EngineError as e:
            if self._cancelled and e.code == CANCELLED:
                self._channel.send_end(0, 0, 0)
            else:
                self._channel.send_exception(e)

    def _execute(self, sql):
        """Runs one statement, sends its blocks and returns what send_end() takes."""
        sql, masked = statements.prepare(sql, PROCESSES)
        if insert := statements.client_insert(sql, masked):
            head, table, names = insert
            columns = self._session.insert_columns(table, names)
            self._channel.send_block(header(columns))
            with self._session.client_rows(columns, self._channel.read_blocks()) as source:
                return self._answer(f"{head} SELECT * FROM {source}", masked)
        if kill := statements.kill_query(sql, masked):
            sql = masked = self._session.kill(*kill)
        return self._answer(sql, masked)

    def _answer(self, sql, masked):
        self._answering = True
        columns = self._session.describe(sql) if statements.SELECT.match(masked) else None
        rows = blocks = size = 0
        totals = [0] * 5
        self._channel.start_progress()
        with contextlib.closing(self._session.answer(sql, masked)) as answer:
            for natives, result in answer:
                for native in natives:
                    if not blocks:
                        columns = columns or native_columns(native)
                        self._channel.send_block(header(columns))
                    self._channel.send_block(with_zones(native, columns))
                    blocks, size = blocks + 1, size + len(native)
                rows += result.rows_read()
                part = (
                    result.storage_rows_read(),
                    result.storage_bytes_read(),
                    result.storage_rows_read(),
                    result.rows_written(),
                    result.bytes_written(),
                )
                totals = [a + b for a, b in zip(totals, part, strict=True)]
        if not blocks and (columns := columns or self._session.empty_columns(sql, masked)):
            self._channel.send_block(header(columns))
            blocks = 1
        self._channel.report_progress(*totals)
        return rows, blocks, size

    def stop_if_left(self, query_id):
        """Kills the running query if its client has cancelled it or has gone."""
        if not self._answering:  # what comes now is data, and whoever reads them sees the end
            return
        try:
            seen = self._channel.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            seen = b""
        if seen in (b"", bytes([ClientPacketTypes.CANCEL])):
            self._cancelled = True
            self._engine.kill(self._session.tag(query_id))


class Server:
    """Accepts connections on `listener` for `users` ({name: password}) until stop()."""

    def __init__(self, engine, listener, users):
        self.engine, self.users, self._listener = engine, users, listener

    def start(self):
        for loop in (self._accept, self._watch):
            threading.Thread(target=loop, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # out of file descriptors, or stopped
                time.sleep(WATCH_SECONDS)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Connection(self, sock).serve, daemon=True).start()

    def _watch(self):
        while True:
            time.sleep(WATCH_SECONDS)
            for query_id, connection in self.engine.running_queries():
                try:
                    connection.stop_if_left(query_id)
                except EngineError as e:
                    print(f"could not stop query {query_id}: {e}", file=sys.stderr)

    def stop(self, seconds=1):
        """Ends what runs and waits a little for it; the engine needs no more than a kill -9 would."""
        self._listener.close()
        self.engine.kill()
        deadline = time.monotonic() + seconds
        while self.engine.running_queries() and time.monotonic() < deadline:
            time.sleep(0.02)
