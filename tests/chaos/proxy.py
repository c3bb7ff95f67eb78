"""A loopback TCP proxy that cuts or stalls its connections: ``python -m tests.chaos.proxy TARGET_PORT``.

Prints the port it listens on. Obeys one line on standard input each: ``cut`` ends every connection, ``stall
SECONDS`` lets nothing through for so long and then goes on, ``blackhole SECONDS`` does the same and never again
forwards anything on the connections it had.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time


class Proxy:
    def __init__(self, target_port: int):
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock, self._pairs = threading.Lock(), []
        self._stalled_until = 0.0

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = {"sockets": (client, server), "is_lost": False}
        with self._lock:
            self._pairs.append(pair)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=[pair, source, sink], daemon=True).start()

    def _forward(self, pair, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._wait()
                if not pair["is_lost"]:
                    sink.sendall(data)
        _close(pair)
        with self._lock, contextlib.suppress(ValueError):
            self._pairs.remove(pair)

    def _wait(self) -> None:
        while (left := self._stalled_until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))

    def obey(self, line: str) -> None:
        command, *arguments = line.split()
        with self._lock:
            pairs = list(self._pairs)
        if command == "cut":
            for pair in pairs:
                _close(pair)
        else:
            self._stalled_until = time.monotonic() + float(arguments[0])
            for pair in pairs:
                pair["is_lost"] = command == "blackhole"


def _close(pair) -> None:
    for each in pair["sockets"]:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def main() -> None:
    proxy = Proxy(int(sys.argv[1]))
    threading.Thread(target=proxy.serve, daemon=True).start()
    print(proxy.port, flush=True)
    for line in sys.stdin:
        proxy.obey(line)
    os._exit(0)


if __name__ == "__main__":
    main()
