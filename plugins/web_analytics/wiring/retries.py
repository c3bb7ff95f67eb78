"""Which failures are worth another try. The table of codes is that of errors.py.

Airflow 3.2 has no retry policies: there :mod:`web_analytics.wiring.fail_at_once` ends what another try cannot help.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from web_analytics.errors import CODES, permanent
from web_analytics.reporting import failures

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=10)


class ClickHouseRetryPolicy(RetryPolicy):
    """Fails at once where the error's ``code`` is permanent; otherwise waits longer each time, with jitter.

    :param first_delay_seconds: the first wait; each further one is twice as long, up to ten minutes.
    """

    def __init__(self, first_delay_seconds: float = FIRST_DELAY.total_seconds()):
        self.first_delay_seconds = first_delay_seconds

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        # Here and not in a callback of the task: those come after its state is reported.
        failures.remember(context, exception)
        code: Any = getattr(exception, "code", None)
        known = CODES.get(code)
        if permanent(exception):
            return RetryDecision.fail(f"not tried again: {known.meaning} (code {code})")
        seconds = min(self.first_delay_seconds * 2 ** (try_number - 1), LONGEST_DELAY.total_seconds())
        delay = timedelta(seconds=seconds * random.uniform(0.75, 1.25))
        return RetryDecision.retry(delay, known.meaning if known else None)

    def serialize(self) -> dict[str, Any]:
        return {"first_delay_seconds": self.first_delay_seconds}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ClickHouseRetryPolicy:
        return cls(**data)
