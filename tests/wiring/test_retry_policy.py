"""Which failures are tried again: decided by the error's code, later each time, and never in step."""

from __future__ import annotations

import pytest

from web_analytics.airflow_version import HAS_RETRY_POLICIES

if not HAS_RETRY_POLICIES:
    pytest.skip(
        "Airflow 3.2 has no retry policies; tests/wiring/test_fail_at_once.py holds there",
        allow_module_level=True,
    )

from airflow.sdk.definitions.retry_policy import RetryAction
from clickhouse_driver.errors import NetworkError, ServerException

from web_analytics.errors import CODES, Again, BadSetting, QueryFailed
from web_analytics.wiring.retries import LONGEST_DELAY, ClickHouseRetryPolicy

POLICY = ClickHouseRetryPolicy(first_delay_seconds=8)


def failed(code: int) -> QueryFailed:
    return QueryFailed("build/fill_sessions", "query", code, "reason")


def delays(error: Exception, tries: int = 4) -> list[float]:
    return [POLICY.evaluate(error, number, 4).retry_delay.total_seconds() for number in range(1, tries + 1)]


@pytest.mark.parametrize("code", [62, 60, 516])
@pytest.mark.parametrize("error", [failed, lambda code: ServerException("message", code)])
def test_what_another_try_cannot_help_fails_at_once_and_says_why(code, error):
    decision = POLICY.evaluate(error(code), 1, 4)
    assert decision.action == RetryAction.FAIL
    assert CODES[code].meaning in decision.reason
    assert f"code {code}" in decision.reason


@pytest.mark.parametrize(
    "code",
    sorted(code for code, known in CODES.items() if known.again is Again.NEVER and isinstance(code, int)),
)
def test_every_permanent_code_fails_at_once(code):
    assert POLICY.evaluate(failed(code), 1, 4).action == RetryAction.FAIL


def test_a_bad_setting_fails_at_once():
    error = BadSetting("WEB_ANALYTICS_BUCKET_MINUTES", "7", "60, 30 or 15")
    assert POLICY.evaluate(error, 1, 4).action == RetryAction.FAIL


@pytest.mark.parametrize("error", [failed(241), failed(210), NetworkError("gone"), ValueError("unknown")])
def test_anything_else_is_tried_again_later_each_time_with_jitter(error):
    for number, seconds in enumerate(delays(error)):
        assert 0.75 * 8 * 2**number <= seconds <= 1.25 * 8 * 2**number
    assert len({delays(error, 1)[0] for _ in range(20)}) > 10, (
        "many tasks would come back at the same instant"
    )


def test_the_driver_gives_a_broken_connection_the_code_210():
    assert NetworkError("gone").code == 210
    assert POLICY.evaluate(NetworkError("gone"), 1, 4).reason == CODES[210].meaning


def test_no_wait_is_longer_than_the_longest():
    assert max(delays(failed(241), 30)) <= 1.25 * LONGEST_DELAY.total_seconds()


def test_every_code_says_what_it_means():
    assert all(known.meaning for known in CODES.values())


def test_the_policy_survives_serialization():
    back = ClickHouseRetryPolicy.deserialize(POLICY.serialize())
    assert back.first_delay_seconds == 8
