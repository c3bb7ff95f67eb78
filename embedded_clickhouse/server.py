"""Embedded ClickHouse: the chDB engine behind the ClickHouse native TCP protocol (prototype).

    python chembed.py --path DIR --port 9000 --user NAME:PASSWORD [--config-file FILE]
"""
import argparse, contextlib, json, os, re, select, signal, socket, struct, sys, threading, time, uuid

from chdb import session as chdb_session
from clickhouse_driver import defines as D
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.bufferedreader import (
    BufferedReader, BufferedSocketReader, CompressedBufferedReader)
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.client import Client
from clickhouse_driver.columns.service import read_column
from clickhouse_driver.connection import ServerInfo
from clickhouse_driver.protocol import ClientPacketTypes as C, ServerPacketTypes as S
from clickhouse_driver.reader import read_binary_str, read_binary_uint8
from clickhouse_driver.varint import make_varint, read_varint, write_varint
from clickhouse_driver.writer import (
    write_binary_int32, write_binary_str, write_binary_uint8, write_binary_uint128)

REVISION = D.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION - 1  # FORMAT Native bytes fit below this
BUF = 1 << 20
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
TAG = "stream_like_engine_insert_queue"  # unused String setting that carries the query_id
OWN = "/* chembed */ "  # marks the statements this server adds, so its query_log view can hide them
FIXED = {"UInt8": 1, "Int8": 1, "Bool": 1, "UInt16": 2, "Int16": 2, "Date": 2, "UInt32": 4,
         "Int32": 4, "Date32": 4, "DateTime": 4, "Float32": 4, "IPv4": 4, "UInt64": 8, "Int64": 8,
         "Float64": 8, "UUID": 16, "IPv6": 16, "UInt128": 16, "Int128": 16, "UInt256": 32,
         "Int256": 32, "DateTime64": 8, "Enum8": 1, "Enum16": 2}
QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*"""
                    r"""|/\*.*?\*/|#[ !][^\n]*|\$\$.*?\$\$""", re.S)
INSERT = re.compile(r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<target>FUNCTION\s+\w+\s*\([^()]*\)|[^\s(]+)"
                    r"\s*(?P<cols>\((?:[^()]|\([^()]*\))*\))?\s*(?P<settings>SETTINGS\s.*?)?\s*"
                    r"(?P<tail>(?:VALUES|FORMAT\s+\w+)?)[\s;]*$", re.I | re.S)
MAPPED = f"if(Settings['{TAG}'] != '', Settings['{TAG}'], %s)"


class ChError(Exception):
    def __init__(self, code, message):
        self.code, self.message = code, message
        super().__init__(message)


def parse_error(exc):
    """chDB repeats its prefix; the last leading `Code: N. DB::Exception:` is the engine's own."""
    text = str(exc)
    found = list(re.finditer(r"Code: (\d+)\. DB::Exception: ", text))
    if not found:
        return ChError(1002, f"DB::Exception: {text}")
    code, pos = int(found[0][1]), found[0].start()
    for m in found:
        if m.start() != pos:
            break
        code, pos = int(m[1]), m.end()
    body = re.sub(r"(\([A-Z0-9_]+\))(?: \(version [^)]*\)\. \1)$", r"\1", text[pos:].strip())
    return ChError(code, f"DB::Exception: {body}")


def mask(sql):
    """Same length as sql, with the inside of strings, quoted names and comments blanked."""
    def blank(m):
        t = m[0]
        return t[0] + "_" * (len(t) - 2) + t[-1] if t[0] in "'`\"" else " " * len(t)
    return QUOTED.sub(blank, sql)


def quote(value):
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


class Tee:
    """Reader that can hand back the exact bytes consumed since mark()."""
    log = None

    def read_into_buffer(self):
        super().read_into_buffer()
        if self.log is not None:
            self.log.append(bytes(self.buffer[:self.current_buffer_size]))

    def mark(self):
        self.log = [bytes(self.buffer[self.position:self.current_buffer_size])]

    def taken(self):
        data, self.log = b"".join(self.log), None
        return data[:len(data) - (self.current_buffer_size - self.position)]


class SocketTee(Tee, BufferedSocketReader):
    pass


class BlockTee(Tee, CompressedBufferedReader):
    pass


class BytesReader(BufferedReader):
    def __init__(self, data):
        super().__init__(0)
        self.buffer, self.current_buffer_size = bytearray(data), len(data)

    def read_into_buffer(self):
        raise EOFError


class Engine:
    """The process-wide chDB instance plus what the protocol needs to know about it."""

    def __init__(self, path, config_file=None):
        self.url = path + (f"?config-file={config_file}" if config_file else "")
        self.admin, self.lock, self.running = self.session(), threading.RLock(), {}
        self.version = tuple(int(x) for x in self.rows("SELECT version()")[0][0].split("."))
        self.timezone = self.rows("SELECT timezone()")[0][0]
        self.known = {r[0] for r in self.rows(
            "SELECT name FROM system.settings UNION ALL SELECT alias_for FROM system.settings")}
        base = {"processes": "emb_processes"}
        if config_file:
            self.admin.query("SYSTEM FLUSH LOGS")
            if self.rows("EXISTS TABLE system.engine_query_log")[0][0]:
                base["engine_query_log"] = "query_log"
        for src, view in base.items():
            self.admin.query(
                f"CREATE VIEW IF NOT EXISTS system.{view} AS SELECT * REPLACE ("
                f"{MAPPED % 'query_id'} AS query_id, {MAPPED % 'initial_query_id'} AS initial_query_id"
                f") FROM system.{src} WHERE NOT startsWith(query, '{OWN}')")

    def session(self):
        return chdb_session.Session(self.url)

    def rows(self, sql, sess=None):
        with self.lock if sess is None else contextlib.nullcontext():
            out = (sess or self.admin).query(OWN + sql, "JSONCompact").bytes()
        return json.loads(out)["data"] if out else []

    def kill(self, tag):
        with self.lock:
            self.admin.query(f"KILL QUERY WHERE Settings['{TAG}'] = {quote(tag)} ASYNC")

    def watch(self):
        """Cancel packets and vanished clients of running queries, as the real server does."""
        while True:
            time.sleep(0.1)
            for qid, conn in list(self.running.items()):
                try:
                    got = conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
                except OSError:
                    got = b""
                if got in (b"", b"\x03") and self.running.get(qid) is conn:
                    conn.cancelled = True
                    try:
                        self.kill(qid)
                    except Exception as e:
                        print("kill failed", e, file=sys.stderr)


class Connection:
    def __init__(self, engine, sock, users):
        self.engine, self.sock, self.users = engine, sock, users
        self.fin, self.fout = SocketTee(sock, BUF), BufferedSocketWriter(sock, BUF)
        self.write_lock, self.sess = threading.RLock(), None
        self.applied, self.original = {}, {}
        self.context = Client("unused").connection.context  # codec defaults; never connects
        self.context.client_settings = dict(self.context.client_settings, strings_as_bytes=True)
        v = engine.version
        self.context.server_info = ServerInfo(
            D.DBMS_NAME, v[0], v[1], v[2], REVISION, engine.timezone, "chembed", REVISION)

    # ---- packets out
    def send_exception(self, e):
        with self.write_lock:
            write_varint(S.EXCEPTION, self.fout)
            write_binary_int32(e.code, self.fout)
            for text in ("DB::Exception", e.message, ""):
                write_binary_str(text, self.fout)
            write_binary_uint8(0, self.fout)
            self.fout.flush()

    def send_data(self, native):
        with self.write_lock:
            self.fout.write(make_varint(S.DATA) + b"\x00")
            if self.compress:
                from clickhouse_driver.compression.lz4 import Compressor
                from clickhouse_cityhash.cityhash import CityHash128
                lz4 = Compressor()
                lz4.write(BLOCK_INFO + native)
                frame = bytes([Compressor.method_byte]) + lz4.get_compressed_data(1)
                write_binary_uint128(CityHash128(frame), self.fout)
                self.fout.write(frame)
            else:
                self.fout.write(BLOCK_INFO)
                self.fout.write(native)
            self.fout.flush()

    def send_header(self, columns):
        out = [make_varint(len(columns)), make_varint(0)]
        for name_type in columns:
            for text in name_type:
                raw = text.encode()
                out += [make_varint(len(raw)), raw]
        self.send_data(b"".join(out))

    def progress(self, p):
        """Cumulative counters in, the protocol's increments out."""
        new = [p["read_rows"], p["read_bytes"], p["total_rows_to_read"], p["written_rows"],
               p["written_bytes"]]
        with self.write_lock:
            step = [max(0, n - o) for n, o in zip(new, self.sent)]
            if self.report and any(step):
                self.sent = [max(n, o) for n, o in zip(new, self.sent)]
                self.fout.write(b"".join(map(make_varint, [S.PROGRESS] + step)))
                self.fout.flush()

    def send_end(self, rows=0, blocks=0, size=0):
        with self.write_lock:
            if blocks:
                self.fout.write(b"".join(map(make_varint, [
                    S.PROFILE_INFO, rows, blocks, size, 0, 0, 0])))
            write_varint(S.END_OF_STREAM, self.fout)
            self.fout.flush()

    # ---- packets in
    def hello(self):
        if read_varint(self.fin) != C.HELLO:
            raise EOFError
        read_binary_str(self.fin)
        for _ in range(2):
            read_varint(self.fin)
        self.client_revision = read_varint(self.fin)
        database, user, password = (read_binary_str(self.fin) for _ in range(3))
        if self.users.get(user) != password:
            raise ChError(516, f"DB::Exception: {user}: Authentication failed: password is "
                               "incorrect, or there is no user with such name. "
                               "(AUTHENTICATION_FAILED)")
        self.sess, self.sent, self.report = self.engine.session(), [0] * 5, False
        self.sess._conn.set_progress_callback(self.progress)
        try:
            self.sess.query("SET implicit_select = 0, allow_introspection_functions = 0")
            if database:
                self.sess.query("USE `" + database.replace("`", "\\`") + "`")
        except Exception as e:
            raise parse_error(e)
        v = self.engine.version
        write_varint(S.HELLO, self.fout)
        write_binary_str(D.DBMS_NAME, self.fout)
        for n in (v[0], v[1], REVISION):
            write_varint(n, self.fout)
        write_binary_str(self.engine.timezone, self.fout)
        write_binary_str("chembed", self.fout)
        write_varint(v[2], self.fout)
        self.fout.flush()

    def read_query(self):
        fin, text = self.fin, lambda: read_binary_str(self.fin)
        query_id = text()
        if read_binary_uint8(fin):  # ClientInfo at REVISION
            for _ in range(3):
                text()
            fin.read(8 + 1)  # initial_query_start_time, interface
            for _ in range(3):
                text()
            for _ in range(3):
                read_varint(fin)
            text()  # quota key
            read_varint(fin), read_varint(fin)  # distributed depth, version patch
            if read_binary_uint8(fin):  # OpenTelemetry
                fin.read(16 + 8)
                text()
                fin.read(1)
            for _ in range(3):
                read_varint(fin)
        settings = {}
        while name := text():
            flags, value = read_binary_uint8(fin), text()
            if name in self.engine.known:
                settings[name] = value
            elif flags & 1:
                settings[None] = name
        text()  # interserver secret
        stage = read_varint(fin)
        self.compress = read_varint(fin)
        sql = text()
        if stage != 2:  # another server asking for intermediate states (remote(), Distributed)
            settings["stage"] = stage
        return query_id or str(uuid.uuid4()), settings, sql

    def read_block(self):
        """One client Data packet -> (table name, FORMAT Native bytes or b'' for the end mark)."""
        if (kind := read_varint(self.fin)) == C.CANCEL:
            raise ChError(394, "DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)")
        if kind != C.DATA:
            raise EOFError(f"unexpected packet {kind}")
        name, fin = read_binary_str(self.fin), self.fin
        if self.compress:
            from clickhouse_driver.streams.compressed import CompressedBlockInputStream
            stream = CompressedBlockInputStream(self.fin, self.context)
            fin = BlockTee(stream.read_block, BUF)
        BlockInfo().read(fin)
        fin.mark()
        n_columns, n_rows = read_varint(fin), read_varint(fin)
        columns = self.read_columns(fin, n_columns, n_rows)
        return name, fin.taken() if n_rows else b"", columns

    def read_columns(self, fin, n_columns, n_rows):
        columns = []
        for _ in range(n_columns):
            columns.append((read_binary_str(fin), read_binary_str(fin)))
            if n_rows:
                self.skip_column(fin, columns[-1][1], n_rows)
        return columns

    def skip_column(self, fin, kind, n_rows):
        while kind.startswith("Nullable("):
            fin.read(n_rows)
            kind = kind[9:-1]
        width = FIXED.get(kind.split("(")[0])
        if width:
            fin.read(width * n_rows)
        elif kind == "String":
            fin.read_strings(n_rows)
        else:
            read_column(self.context, kind, n_rows, fin)

    # ---- queries
    def apply(self, query_id, settings):
        """Packet settings hold for one query: set them, and put back what an earlier one set."""
        if "stage" in settings:
            raise ChError(48, "DB::Exception: Only complete queries are served. (NOT_IMPLEMENTED)")
        if None in settings:
            raise ChError(115, f"DB::Exception: Unknown setting '{settings[None]}'. "
                               "(UNKNOWN_SETTING)")
        sets = [f"{TAG} = {quote(query_id)}"]
        fresh = [n for n in settings if n not in self.original]
        if fresh:
            names = ", ".join(map(quote, fresh))
            for n, v, c in self.engine.rows(
                    f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})",
                    self.sess):
                self.original[n] = quote(v) if c else "DEFAULT"
        for n in [n for n in self.original if n not in settings]:
            sets.append(f"{n} = {self.original.pop(n)}")
        sets += [f"{n} = {quote(v)}" for n, v in settings.items()]
        self.sess.query(OWN + "SET " + ", ".join(sets))

    def rewrite(self, sql):
        m = mask(sql)
        end = len(m.rstrip("; \t\r\n\f\v"))
        sql, m = sql[:end], m[:end]
        if not re.match(r"\s*INSERT\b", m, re.I):
            if ";" in m:
                at = m.index(";")
                raise ChError(62, f"DB::Exception: Syntax error (Multi-statements are not allowed): "
                                  f"failed at position {at + 1} (end of query). (SYNTAX_ERROR)")
            if f := re.search(r"\sFORMAT\s+\w+\s*$", m, re.I):  # the native protocol ignores it
                if not re.match(r"\s*(CREATE|ALTER)\b", m, re.I):
                    sql, m = sql[:f.start()], m[:f.start()]
        if k := re.match(r"\s*KILL\s+QUERY\b.*?\bWHERE\b", m, re.I | re.S):
            parts, last = [sql[:k.end()]], k.end()
            for i in re.finditer(r"\b(?:initial_)?query_id\b", m):
                if i.start() >= k.end():
                    parts += [sql[last:i.start()], MAPPED % i[0]]
                    last = i.end()
            return "".join(parts) + sql[last:]
        out, last = [], 0
        for i in re.finditer(r"\bsystem\s*\.\s*processes\b", m, re.I):
            out += [sql[last:i.start()], "system.emb_processes"]
            last = i.end()
        return "".join(out) + sql[last:]

    def external_tables(self):
        made = []
        while True:
            name, native, columns = self.read_block()
            if not columns:
                return made
            if name not in made:
                cols = ", ".join(f"`{n}` {t}" for n, t in columns)
                self.sess.query(f"CREATE TEMPORARY TABLE `{name}` ({cols})")
                made.append(name)
            if native:
                self.insert_native(f"INSERT INTO `{name}`", iter([native]))

    def insert_native(self, head, blocks):
        inserter = self.sess.send_insert(head, "Native")
        try:
            for native in blocks:
                inserter.append(native)
            return inserter.finish()
        except BaseException:
            inserter.cancel()
            raise

    def insert(self, match, sql):
        target = sql[match.start("target"):match.end("target")]
        described = self.engine.rows(f"DESCRIBE TABLE {target}" if not target.upper().startswith(
            "FUNCTION") else f"DESCRIBE TABLE {target[8:]}", self.sess)
        types = {r[0]: r[1] for r in described}
        if match["cols"]:
            inner = sql[match.start("cols") + 1:match.end("cols") - 1]
            if re.search(r"[*(]", mask(inner)):
                names = [r[0] for r in self.describe(f"SELECT {inner} FROM {target}") or ()]
                self.report = False
            else:
                names = [n.strip() for n in inner.split(",")]
                names = [re.sub(r"^[`\"](.*)[`\"]$", r"\1", n) for n in names]
            missing = [n for n in names if n not in types]
            if missing:
                raise ChError(16, f"DB::Exception: No such column {missing[0]} in table {target}. "
                                  "(NO_SUCH_COLUMN_IN_TABLE)")
        else:
            names = [r[0] for r in described if r[2] not in ("MATERIALIZED", "ALIAS", "EPHEMERAL")]
        self.send_header([(n, types[n]) for n in names])

        def blocks():
            nonlocal ended
            while native := self.read_block()[1]:
                yield native
            ended = True
        ended, it = False, blocks()
        head = sql[:match.end("cols") if match["cols"] else match.end("target")]
        head += (" " + match["settings"]) if match["settings"] else ""
        try:
            done = self.insert_native(head, it)
        except (EOFError, OSError):
            raise
        except Exception as e:
            while not ended and self.read_block()[1]:  # the client sends on until the end mark
                pass
            raise e
        self.sent, self.report = [0] * 5, True
        self.progress(dict(read_rows=0, read_bytes=0, total_rows_to_read=0,
                           written_rows=done.rows_written, written_bytes=done.bytes_written))
        self.send_end()

    def select(self, sql):
        rows = blocks = size = 0
        total, columns, retyped = [0] * 4, self.describe(sql), None

        def send(chunk):
            nonlocal rows, blocks, size, retyped
            for i, f in enumerate((chunk.storage_rows_read, chunk.storage_bytes_read,
                                   chunk.rows_written, chunk.bytes_written)):
                total[i] += f()
            data = chunk.bytes()
            for native in [data] if streaming else self.split(data):
                if not blocks:
                    self.send_header(columns or self.columns_in(native))
                    retyped = any(t.startswith("DateTime(") for _, t in columns or ())
                self.send_data(self.retype(native, columns) if retyped else native)
                blocks += 1
            rows, size = rows + chunk.rows_read(), size + len(data)
        streaming = True
        try:
            stream = self.sess.send_query(sql, "Native")
        except Exception as e:
            if "Streaming query is not supported" not in str(e):
                raise
            streaming = False
            send(self.sess.query(sql, "Native"))
        else:
            try:
                for chunk in stream:
                    send(chunk)
            except OSError:
                stream.cancel()
                raise
        if not blocks:
            if columns is None and re.match(r"[\s(]*(SELECT|WITH|SHOW|EXISTS|DESC|EXPLAIN|CHECK)",
                                            mask(sql), re.I):
                lines = self.sess.query(sql, "TSVWithNamesAndTypes").bytes().decode().split("\n")
                columns = list(zip(lines[0].split("\t"), lines[1].split("\t"))) if lines[1:] else None
            if columns:
                self.send_header(columns)
        self.progress(dict(read_rows=total[0], read_bytes=total[1], total_rows_to_read=total[0],
                           written_rows=total[2], written_bytes=total[3]))
        self.send_end(rows, blocks or bool(columns), size)

    def describe(self, sql):
        """FORMAT Native says nothing of an empty result, so ask for its columns beforehand."""
        if re.match(r"[\s(]*(SELECT|WITH)\b", mask(sql), re.I):
            self.report, made = False, False
            try:  # a view is only analyzed; DESCRIBE TABLE (query) would run its scalar subqueries
                self.sess.query(f"{OWN}CREATE TEMPORARY VIEW chembed_header AS {sql}")
                made = True
                return [tuple(r[:2]) for r in self.engine.rows(
                    "DESCRIBE TABLE chembed_header", self.sess)]
            except Exception:  # a bad query, which will say so itself, or two columns of one name
                return None
            finally:
                if made:
                    self.sess.query(f"{OWN}DROP VIEW chembed_header")
                self.sent, self.report = [0] * 5, True

    def split(self, data):
        """A result that was not streamed is several Native blocks in a row."""
        fin, last = BytesReader(data), 0
        while last < len(data):
            self.read_columns(fin, read_varint(fin), read_varint(fin))
            yield data[last:fin.position]
            last = fin.position

    def columns_in(self, native):
        fin = BytesReader(native)
        return self.read_columns(fin, read_varint(fin), read_varint(fin))

    def retype(self, native, columns):
        """FORMAT Native writes for an ancient client, which drops DateTime's zone: put it back."""
        fin, out, last = BytesReader(native), [], 0
        n_rows = (read_varint(fin), read_varint(fin))[1]
        for _, full in columns:
            read_binary_str(fin)
            out.append(native[last:fin.position])
            kind = read_binary_str(fin)
            raw = (full if kind == "DateTime" else kind).encode()
            out += [make_varint(len(raw)), raw]
            last = fin.position
            self.skip_column(fin, kind, n_rows)
        return b"".join(out) + native[last:]

    def query(self):
        query_id, settings, sql = self.read_query()
        self.sent, self.report, self.cancelled, temporary = [0] * 5, False, False, []
        registered = False
        try:
            temporary = self.external_tables()
            with self.engine.lock:
                if query_id in self.engine.running:
                    raise ChError(216, f"DB::Exception: Query with id = {query_id} is already "
                                       "running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)")
            self.apply(query_id, settings)
            sql = self.rewrite(sql)
            if (m := INSERT.match(mask(sql))) and not re.match(r"(SELECT|WITH)$", m["target"], re.I):
                return self.insert(m, sql)
            registered = True
            self.engine.running[query_id] = self
            self.sent, self.report = [0] * 5, True
            self.select(sql)
        except (EOFError, OSError):
            raise
        except Exception as e:
            self.report = False
            err = e if isinstance(e, ChError) else parse_error(e)
            if self.cancelled and err.code == 394:
                self.send_end()
            else:
                self.send_exception(err)
        finally:
            self.report = False
            if registered:
                self.engine.running.pop(query_id, None)
            for name in temporary:
                self.sess.query(f"DROP TEMPORARY TABLE IF EXISTS `{name}`")

    def serve(self):
        try:
            self.hello()
            while True:
                kind = read_varint(self.fin)
                if kind == C.PING:
                    write_varint(S.PONG, self.fout)
                    self.fout.flush()
                elif kind == C.QUERY:
                    self.query()
                elif kind != C.CANCEL:
                    raise EOFError(f"unexpected packet {kind}")
        except ChError as e:
            self.send_exception(e)
        except (EOFError, OSError) as e:
            if str(e).startswith("unexpected packet"):
                print("closed:", e, file=sys.stderr)
        finally:
            self.sock.close()
            if self.sess:
                self.sess.cleanup()


def serve(path, host, port, users, config_file, ready):
    engine = Engine(path, config_file)
    threading.Thread(target=engine.watch, daemon=True).start()
    with socket.create_server((host, port), backlog=128) as listener:
        ready(engine, listener.getsockname()[1])
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Connection(engine, sock, users)
            threading.Thread(target=conn.serve, daemon=True).start()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--path", required=True)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=9000)
    p.add_argument("--user", action="append", default=[], help="NAME:PASSWORD")
    p.add_argument("--config-file", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "config.xml"))
    a = p.parse_args()
    users = dict(u.split(":", 1) for u in a.user) or {"default": ""}
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    serve(os.path.abspath(a.path), a.host, a.port, users, a.config_file,
          lambda e, port: print(f"embedded ClickHouse ready on {a.host}:{port}, engine "
                          f"{'.'.join(map(str, e.version))}, path {a.path}", flush=True))
