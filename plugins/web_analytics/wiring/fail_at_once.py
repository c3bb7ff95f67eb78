"""The decorator of every task: Airflow's own, or for an Airflow without retry policies one that knows which failures
another try cannot help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk import task as airflow_task

from web_analytics.airflow_version import HAS_RETRY_POLICIES
from web_analytics.errors import is_expected, permanent
from web_analytics.reporting import failures


def _context() -> Any:
    """None where the function is called outside a task."""
    try:
        return get_current_context()
    except RuntimeError:
        return None


def failing_at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a task, whose permanent errors use up no retry.

    :raises AirflowFailException: the error's ``code``, which it has too, is permanent.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if is_expected(error):
                failures.remember(_context(), error)
            known = permanent(error)
            if known is None:
                raise
            from airflow.sdk.exceptions import AirflowFailException

            failed = AirflowFailException(f"{error} Not tried again: {known.meaning}.")
            failed.code = error.code
            raise failed from error

    return run


class _FailingAtOnce:
    """Airflow's ``task``, and by its attributes ``task.branch`` and the others, for functions that fail at once."""

    def __init__(self, decorator: Any):
        self._decorator = decorator

    def __call__(self, function: Callable[..., Any] | None = None, **arguments: Any) -> Any:
        if function is not None:
            return self._decorator(failing_at_once(function))
        decorate = self._decorator(**arguments)
        return lambda decorated: decorate(failing_at_once(decorated))

    def __getattr__(self, kind: str) -> _FailingAtOnce:
        return _FailingAtOnce(getattr(self._decorator, kind))


task = airflow_task if HAS_RETRY_POLICIES else _FailingAtOnce(airflow_task)
