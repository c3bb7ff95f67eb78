"""python -m embedded_clickhouse --path DIR --port PORT: see README.md."""

import argparse
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from xml.etree import ElementTree

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
DEFAULT_CONFIG = Path(__file__).with_name("config.xml")


def port_number(value):
    if not value.isdecimal() or int(value) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 (any free one) to 65535, not {value!r}")
    return int(value)


def user(value):
    name, colon, password = value.partition(":")
    if not name or not colon or "\t" in name:
        raise argparse.ArgumentTypeError(f"a user is given as NAME:PASSWORD, not {value!r}")
    return name, password


def arguments():
    parser = argparse.ArgumentParser(
        prog="embedded_clickhouse",
        description="ClickHouse for development and tests: the chDB engine behind the native TCP protocol.",
    )
    parser.add_argument("--path", required=True, type=Path, help="data directory, created if missing")
    parser.add_argument("--port", required=True, type=port_number, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--user",
        type=user,
        action="append",
        metavar="NAME:PASSWORD",
        help="may be repeated; the default is the user default with an empty password",
    )
    parser.add_argument("--config-file", type=Path, default=DEFAULT_CONFIG, help="the engine's configuration")
    return parser.parse_args()


def lock(path):
    """Takes the data directory for this process; the kernel gives it back however the process ends."""
    path.mkdir(parents=True, exist_ok=True)
    handle = os.open(path / "embedded_clickhouse.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"embedded_clickhouse: the data directory {path} is in use by another process")


def with_users(config, users, path):
    """The configuration with users that the engine knows too: a dictionary signs in to its source with them."""
    tree = ElementTree.parse(config)
    root = tree.getroot()
    directories = ElementTree.SubElement(root, "user_directories")
    ElementTree.SubElement(ElementTree.SubElement(directories, "users_xml"), "path").text = str(path)
    section = ElementTree.SubElement(root, "users")
    for name, password in {**users, "default": ""}.items():  # the engine itself works as `default`
        user = ElementTree.SubElement(section, name)
        for key, value in (("password", password), ("profile", "default"), ("quota", "default")):
            ElementTree.SubElement(user, key).text = value
        ElementTree.SubElement(ElementTree.SubElement(user, "networks"), "ip").text = "::/0"
    for name in ("profiles", "quotas"):
        ElementTree.SubElement(ElementTree.SubElement(root, name), "default")
    tree.write(path)
    path.chmod(0o600)
    return path


def start(args):
    path, config = args.path.absolute(), args.config_file.absolute()
    for name in (path, config):
        if set("?&+%") & set(str(name)):  # chDB takes both in one string, as in a URL
            sys.exit(f"embedded_clickhouse: a path with one of ? & + % cannot be used: {name}")
    if not config.is_file():
        sys.exit(f"embedded_clickhouse: there is no configuration file {config}")
    try:
        lock(path)
    except OSError as e:
        sys.exit(f"embedded_clickhouse: the data directory {path} cannot be used: {e.strerror}")
    try:
        listener = socket.create_server((args.host, args.port), backlog=128)
    except OSError as e:
        sys.exit(f"embedded_clickhouse: cannot listen on {args.host}:{args.port}: {e.strerror}")
    if args.user and all(name.isidentifier() for name, _ in args.user):
        config = with_users(config, dict(args.user), path / "embedded_clickhouse.xml")
    from .engine import Engine  # chDB takes its time to load: not before the arguments are right
    from .errors import EngineError
    from .server import Server

    try:
        engine = Engine(path, config)
    except EngineError as e:
        sys.exit(f"embedded_clickhouse: the engine does not start on {path}: {e}")
    server = Server(engine, listener, dict(args.user or [("default", "")]))
    server.start()
    version, port = ".".join(map(str, engine.version)), listener.getsockname()[1]
    print(f"embedded ClickHouse ready on {args.host}:{port}, engine {version}, path {path}", flush=True)
    return server


def main():
    args = arguments()
    os.environ["TZ"] = "UTC"  # a DateTime without a zone means the same on every machine
    # Blocked before the engine starts its threads, so that only sigwait() below takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    server = start(args)
    signal.sigwait(STOP_SIGNALS)
    server.stop()
    os._exit(0)  # an orderly end of the interpreter would wait for every session


if __name__ == "__main__":
    main()
