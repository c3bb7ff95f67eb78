"""``python -m demo``: see ``make demo`` in the README."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="The demonstration of web_analytics.")
    parser.set_defaults(command="run", access_log=None)
    commands = parser.add_subparsers(dest="command")
    run = commands.add_parser("run", help="everything, on a fresh embedded ClickHouse (the default)")
    for each in (parser, run):
        each.add_argument(
            "--access-log",
            type=Path,
            metavar="PATH",
            default=argparse.SUPPRESS,
            help="a log in combined format, to load instead of made-up events",
        )
    commands.add_parser("verify", help="repeat the last run's comparison with the raw events")
    commands.add_parser("coverage", help="print which days of which table are there")
    commands.add_parser("serve", help="leave a ClickHouse with data running")
    shown = commands.add_parser("ui", help="the same, and Airflow with its UI on it, until interrupted")
    shown.add_argument("--fresh", action="store_true", help="with new sample data, in which there are gaps")
    commands.add_parser("stop", help="stop the ClickHouse of this checkout")
    load = commands.add_parser("load", help="put made-up events into the ClickHouse of clickhouse_default")
    load.add_argument("--events", type=int, required=True, help="about so many; 0 does nothing")
    parsed = parser.parse_args(arguments)
    parsed.command = parsed.command or "run"
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parse_arguments(arguments)
    sys.path.insert(0, str(ROOT / "plugins"))
    # A home of its own: its runs must not meet the scheduler of a `make ui` that is still up.
    os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".demo" / "airflow"))
    warnings.simplefilter("ignore")
    if parsed.command == "load":
        from demo.load import load

        load(parsed.events)
        return 0
    from demo import flow
    from demo.access_log import UnusableLog

    logging.getLogger("web_analytics").setLevel(logging.WARNING)
    try:
        if parsed.command == "run":
            return 0 if flow.run(parsed.access_log) else 1
        if parsed.command == "verify":
            return 0 if flow.verify_again() else 1
        {
            "coverage": flow.show_coverage,
            "serve": flow.serve,
            "ui": lambda: flow.show_ui(fresh=parsed.fresh),
            "stop": flow.stop,
        }[parsed.command]()
    except (RuntimeError, UnusableLog) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
