"""ClickHouse's native TCP protocol, the server's side; clickhouse-driver is the codec.

The announced revision is the last one whose Data packets are the bytes of FORMAT Native with a
BlockInfo before them, so that blocks pass between engine and client as they are.
"""

import threading
import uuid
from typing import NamedTuple

from clickhouse_driver import defines
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.bufferedreader import BufferedReader, BufferedSocketReader
from clickhouse_driver.client import Client
from clickhouse_driver.columns.service import read_column
from clickhouse_driver.connection import ServerInfo
from clickhouse_driver.protocol import ClientPacketTypes, ServerPacketTypes
from clickhouse_driver.reader import read_binary_str, read_binary_uint8
from clickhouse_driver.varint import make_varint, read_varint

from .errors import EngineError

REVISION = defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION - 1
COMPLETE_STAGE = 2
IMPORTANT = 1  # flag of a setting the server must not ignore when it does not know it
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
BUFFER_SIZE = 1 << 17
# Bytes a value of the type takes; other types are read by the driver, value by value.
WIDTHS = {
    "UInt8": 1,
    "Int8": 1,
    "Bool": 1,
    "Enum8": 1,
    "UInt16": 2,
    "Int16": 2,
    "Enum16": 2,
    "Date": 2,
    "UInt32": 4,
    "Int32": 4,
    "Float32": 4,
    "Date32": 4,
    "DateTime": 4,
    "IPv4": 4,
    "UInt64": 8,
    "Int64": 8,
    "Float64": 8,
    "DateTime64": 8,
    "UInt128": 16,
    "Int128": 16,
    "UUID": 16,
    "IPv6": 16,
    "UInt256": 32,
    "Int256": 32,
}
# The driver's column readers want a context; a client that never connects has one with defaults.
CONTEXT = Client("unused").connection.context
CONTEXT.client_settings = {**CONTEXT.client_settings, "strings_as_bytes": True}
CONTEXT.server_info = ServerInfo(defines.DBMS_NAME, 0, 0, 0, REVISION, "UTC", "", REVISION)


class Query(NamedTuple):
    """A Query packet. `settings` are (name, value, must be known)."""

    id: str
    settings: list
    sql: str


class Block(NamedTuple):
    """A client's Data packet: `columns` are (name, type), `native` the bytes of FORMAT Native.

    A block without columns marks the end.
    """

    table: str
    columns: tuple
    rows: int
    native: bytes


def text(value):
    raw = value.encode()
    return make_varint(len(raw)) + raw


def header(columns):
    """A block that only names its columns, FORMAT Native."""
    return b"".join([make_varint(len(columns)), make_varint(0), *(text(x) for c in columns for x in c)])


class BytesReader(BufferedReader):
    def __init__(self, data):
        super().__init__(0)
        self.buffer, self.current_buffer_size = bytearray(data), len(data)

    def read_into_buffer(self):
        raise EOFError


class RecordingReader(BufferedSocketReader):
    """Hands back the exact bytes read since record(): a block does not tell its length beforehand."""

    parts = None

    def read_into_buffer(self):
        super().read_into_buffer()
        if self.parts is not None:
            self.parts.append(bytes(self.buffer[: self.current_buffer_size]))

    def record(self):
        self.parts = [bytes(self.buffer[self.position : self.current_buffer_size])]

    def recorded(self):
        data, self.parts = b"".join(self.parts), None
        return data[: len(data) - (self.current_buffer_size - self.position)]


def skip_values(reader, kind, rows):
    while kind.startswith("Nullable("):
        reader.read(rows)
        kind = kind[len("Nullable(") : -1]
    if width := WIDTHS.get(kind.split("(")[0]):
        reader.read(width * rows)
    elif kind == "String":
        reader.read_strings(rows)
    elif rows:
        read_column(CONTEXT, kind, rows, reader)


def read_native(reader):
    """Reads one block and returns its (columns, number of rows)."""
    count, rows = read_varint(reader), read_varint(reader)
    columns = []
    for _ in range(count):
        columns.append((read_binary_str(reader), read_binary_str(reader)))
        skip_values(reader, columns[-1][1], rows)
    return tuple(columns), rows


def split_native(data):
    """The single blocks of FORMAT Native output."""
    reader, start = BytesReader(data), 0
    while start < len(data):
        read_native(reader)
        yield data[start : reader.position]
        start = reader.position


def native_columns(native):
    return read_native(BytesReader(native))[0]


def with_zones(native, columns):
    """FORMAT Native writes DateTime('UTC') as DateTime: the block with the types of `columns`."""
    zoned = [i for i, (_, kind) in enumerate(columns) if kind.startswith("DateTime(")]
    if not zoned:
        return native
    reader, parts, start = BytesReader(native), [], 0
    rows = (read_varint(reader), read_varint(reader))[1]
    for i in range(zoned[-1] + 1):
        read_binary_str(reader)
        parts.append(native[start : reader.position])
        kind = read_binary_str(reader)
        parts.append(text(columns[i][1] if i in zoned else kind))
        start = reader.position
        skip_values(reader, kind, rows)
    return b"".join(parts) + native[start:]


class Channel:
    """Packets to and from one client. A client that leaves raises EOFError or OSError."""

    def __init__(self, sock):
        self.sock = sock
        self._in = RecordingReader(sock, BUFFER_SIZE)
        self._lock = threading.Lock()  # the engine's threads report progress while blocks are sent
        self._progress = None

    def close(self):
        self.sock.close()

    # Packets in
    def read_kind(self):
        return read_varint(self._in)

    def _text(self):
        return read_binary_str(self._in)

    def read_hello(self):
        """(database, user, password) of the client's first packet."""
        if self.read_kind() != ClientPacketTypes.HELLO:
            raise EOFError("not a client of the native protocol")
        self._text()
        revision = [read_varint(self._in) for _ in range(3)][-1]
        database, user, password = self._text(), self._text(), self._text()
        if revision < REVISION:
            raise EngineError(
                48, f"The client's protocol revision {revision} is below {REVISION}. (NOT_IMPLEMENTED)"
            )
        return database, user, password

    def read_query(self):
        query_id = self._text() or str(uuid.uuid4())
        self._skip_client_info()
        settings = []
        while name := self._text():
            flags = read_binary_uint8(self._in)
            settings.append((name, self._text(), bool(flags & IMPORTANT)))
        self._text()  # interserver secret
        stage, compression, sql = read_varint(self._in), read_varint(self._in), self._text()
        if stage != COMPLETE_STAGE or compression:
            self.send_exception(
                EngineError(48, "Neither compression nor distributed queries are served. (NOT_IMPLEMENTED)")
            )
            raise EOFError("what follows cannot be read")
        return Query(query_id, settings, sql)

    def _skip_client_info(self):
        if not read_binary_uint8(self._in):
            return
        self._text(), self._text(), self._text()  # initial user, query id and address
        self._in.read(8 + 1)  # start time, interface
        self._text(), self._text(), self._text()  # operating system's user, host, client's name
        for _ in range(3):
            read_varint(self._in)  # client's version and revision
        self._text()  # quota key
        read_varint(self._in), read_varint(self._in)  # distributed depth, version patch
        if read_binary_uint8(self._in):  # OpenTelemetry
            self._in.read(16 + 8)
            self._text()
            self._in.read(1)
        for _ in range(3):
            read_varint(self._in)  # parallel replicas

    def read_block(self):
        if (kind := self.read_kind()) != ClientPacketTypes.DATA:
            raise EOFError(f"packet {kind} instead of a block")
        table = self._text()
        BlockInfo().read(self._in)
        self._in.record()
        columns, rows = read_native(self._in)
        return Block(table, columns, rows, self._in.recorded())

    def read_blocks(self):
        """The client's blocks up to the end mark."""
        while (block := self.read_block()).columns:
            yield block

    # Packets out
    def _send(self, *parts):
        with self._lock:
            self.sock.sendall(b"".join(parts))

    def send_hello(self, version, timezone):
        major, minor, patch = version[:3]
        self._send(
            make_varint(ServerPacketTypes.HELLO),
            text(defines.DBMS_NAME),
            *map(make_varint, (major, minor, REVISION)),
            text(timezone),
            text("embedded"),
            make_varint(patch),
        )

    def send_pong(self):
        self._send(make_varint(ServerPacketTypes.PONG))

    def send_block(self, native):
        self._send(make_varint(ServerPacketTypes.DATA), text(""), BLOCK_INFO, native)

    def send_exception(self, error):
        self.stop_progress()
        self._send(
            make_varint(ServerPacketTypes.EXCEPTION),
            error.code.to_bytes(4, "little", signed=True),
            text("DB::Exception"),
            text(f"DB::Exception: {error}"),
            text(""),
            b"\x00",
        )

    def send_end(self, rows, blocks, size):
        """The end of an answer, after its profile if it had blocks."""
        self.stop_progress()
        profile = (ServerPacketTypes.PROFILE_INFO, rows, blocks, size, 0, 0, 0) if blocks else ()
        self._send(*map(make_varint, profile), make_varint(ServerPacketTypes.END_OF_STREAM))

    def start_progress(self):
        self._progress = [0] * 5

    def stop_progress(self):
        with self._lock:  # no report that is under way may come after the end
            self._progress = None

    def report_progress(self, read_rows, read_bytes, total_rows_to_read, written_rows, written_bytes):
        """Cumulative counters in; the packet holds their increments."""
        counters = (read_rows, read_bytes, total_rows_to_read, written_rows, written_bytes)
        with self._lock:
            if self._progress is None:
                return
            steps = [max(0, new - old) for new, old in zip(counters, self._progress, strict=True)]
            if any(steps):
                self._progress = [old + step for old, step in zip(self._progress, steps, strict=True)]
                self.sock.sendall(b"".join(map(make_varint, (ServerPacketTypes.PROGRESS, *steps))))
