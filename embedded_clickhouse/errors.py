"""The engine's exceptions, as ClickHouse numbers them."""

import contextlib
import re

PREFIX = re.compile(r"Code: (\d+)\. DB::Exception: ")


class EngineError(Exception):
    """An exception for the client: ClickHouse's `code` and the message without its prefix."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code

    @classmethod
    def parse(cls, text):
        """From chDB's text, which may repeat the prefix: the last of a row is the engine's own."""
        first = found = PREFIX.search(text)
        if not first:
            return cls(1002, text)  # UNKNOWN_EXCEPTION
        while again := PREFIX.match(text, found.end()):
            found = again
        message = re.sub(r"(\([A-Z0-9_]+\))(?: \(version [^)]*\)\. \1)$", r"\1", text[found.end() :].strip())
        return cls(int(found[1]), message)


@contextlib.contextmanager
def engine_errors():
    """Turns what chDB raises into EngineError."""
    try:
        yield
    except (EngineError, OSError, EOFError):  # the client's connection is none of the engine's
        raise
    except Exception as e:
        raise EngineError.parse(str(e)) from e
