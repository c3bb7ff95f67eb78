"""What the server must know of a statement's text; the rest is left to the engine."""

import re

from .errors import EngineError

QUOTED = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*"""
    r"""|/\*.*?\*/|#[ !][^\n]*|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$""",
    re.S,
)
# An INSERT whose rows come from the client in blocks: nothing follows VALUES or FORMAT.
CLIENT_INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?!FUNCTION\b)(?P<table>[^\s(]+)"
    r"\s*(?:\((?P<columns>[^()]*)\))?\s*"
    r"(?:(?:SETTINGS\s(?:(?!\bSELECT\b).)*?)?(?P<format>\bVALUES|\bFORMAT\s+\w+))?\s*",
    re.I | re.S,
)
INSERT_FORMAT = re.compile(r"\s*INSERT\b.*?\bFORMAT\s+\w+\s", re.I | re.S)
KILL_QUERY = re.compile(
    r"\s*KILL\s+QUERY\s+WHERE\b(?P<where>.*?)(?P<mode>\b(?:SYNC|ASYNC|TEST))?\s*", re.I | re.S
)
SELECT = re.compile(r"[\s(]*(SELECT|FROM|WITH(?!.*\bINSERT\s+INTO\b))\b", re.I | re.S)
TABULAR = re.compile(rf"{SELECT.pattern}|\s*(SHOW|EXISTS|DESC|DESCRIBE|EXPLAIN|CHECK)\b", re.I | re.S)
SET = re.compile(r"\s*SET\b", re.I)
FORMAT = re.compile(r"\bFORMAT\s+\w+(?=\s*(SETTINGS\b[^()]*)?$)", re.I)
PROCESSES = re.compile(r"\bsystem\s*\.\s*processes\b", re.I)
NAME = re.compile(r"`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|[^\s,]+")


def quote(value):
    """A string literal."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name):
    """An identifier in backquotes."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def mask(sql):
    """`sql` at the same length, the inside of literals, quoted names and comments blanked out."""

    def blank(match):
        text = match[0]
        return text[0] + "_" * (len(text) - 2) + text[-1] if text[0] in "'`\"" else " " * len(text)

    return QUOTED.sub(blank, sql)


def prepare(sql, processes):
    """The statement as the engine is to run it, and its mask.

    As on a server a second statement is refused (code 62) and FORMAT means nothing to the native
    protocol. Reads of system.processes go to the view `processes`.
    """
    masked = mask(sql)
    end = len(masked.rstrip("; \t\r\n\f\v"))
    sql, masked = sql[:end], masked[:end]
    if ";" in masked and not INSERT_FORMAT.match(masked):
        at = masked.index(";") + 1
        raise EngineError(
            62,
            f"Syntax error (Multi-statements are not allowed): failed at position "
            f"{at} (end of query): {sql[at - 1 : at + 60]}. (SYNTAX_ERROR)",
        )
    if TABULAR.match(masked) and (found := FORMAT.search(masked)):
        sql = sql[: found.start()] + sql[found.end() :]
        masked = masked[: found.start()] + masked[found.end() :]
    for found in reversed(list(PROCESSES.finditer(masked))):
        sql = sql[: found.start()] + processes + sql[found.end() :]
    return sql, mask(sql)


def client_insert(sql, masked):
    """(text before VALUES, table, column names or None) of an INSERT that takes its rows from the client."""
    found = CLIENT_INSERT.fullmatch(masked)
    if not found:
        return None
    head = sql[: found.start("format") if found["format"] else None].rstrip()
    table = sql[slice(*found.span("table"))]
    if found["columns"] is None:
        return head, table, None
    names = NAME.findall(sql[slice(*found.span("columns"))])
    return head, table, [re.sub(r"\\(.)", r"\1", n[1:-1]) if n[0] in '`"' else n for n in names]


def kill_query(sql, masked):
    """(condition, mode) of a KILL QUERY."""
    if found := KILL_QUERY.fullmatch(masked):
        return sql[slice(*found.span("where"))], found["mode"] or "ASYNC"
    return None
