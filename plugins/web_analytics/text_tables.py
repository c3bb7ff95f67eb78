"""Tables in the logs of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def text_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, number: str = ".1f") -> str:
    """Rows as aligned text, numbers to the right; None is empty.

    :param number: the format of a column that has fractions, as of :func:`format`.
    """
    from tabulate import tabulate

    return tabulate(list(rows), list(headers), tablefmt="plain", floatfmt=number, missingval="")
