"""Airflow's question to a person, with an answer that later tasks can read whichever it was."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from web_analytics.errors import BadSetting
from web_analytics.regions import environment_of, region_names, suffix_of
from web_analytics.settings import Settings

ANSWER = "answer"
# Less than there is between two runs of the schedule: a run that waits for an answer keeps the next one waiting.
COST_ANSWER_WITHIN = timedelta(hours=5)


class RecordedApprovalOperator(ApprovalOperator):
    """An ApprovalOperator whose answer is the XCom ``answer``: after a rejection the original returns none."""

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        if "error" not in event:
            answer = {name: event[name] for name in ("chosen_options", "responded_by_user")}
            context["ti"].xcom_push(ANSWER, answer)
        return super().execute_complete(context, event)


def cost_is_approved() -> bool:
    """Whether a run may have to ask what its dates may cost, here or in a region: only then the DAG has a task for it.
    Read while the DAG file is parsed."""
    return any(_approve_above_rows(region) for region in ("", *region_names()))


def _approve_above_rows(region: str) -> int:
    try:
        return Settings.peek("approve_above_rows", environment_of(os.environ, suffix_of(region)))
    except BadSetting:
        return 0  # The first task of the region's runs says so.
