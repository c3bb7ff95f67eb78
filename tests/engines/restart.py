"""Replaces a day in the engine of the chDB wheel on the path, or tells what is there after a restart:
``python restart.py DATA_DIRECTORY STATEMENTS.json``. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from chdb.session import Session

session = Session(sys.argv[1])


def rows(statement: str) -> list:
    answer = str(session.query(statement, "JSONCompact"))
    return json.loads(answer)["data"] if answer.strip() else []


statements = json.loads(Path(sys.argv[2]).read_text())
for statement in statements["run"]:
    rows(statement)
started = time.monotonic()
while int(rows(statements["left"])[0][0]) and time.monotonic() - started < statements["patience"]:
    time.sleep(0.2)
print(
    json.dumps({"version": rows("SELECT version()")[0][0], "pageviews": int(rows(statements["ask"])[0][0])})
)
