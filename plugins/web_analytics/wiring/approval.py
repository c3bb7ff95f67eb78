"""Airflow's question to a person, with an answer that later tasks can read whichever it was."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

ANSWER = "answer"


class RecordedApprovalOperator(ApprovalOperator):
    """An ApprovalOperator whose answer is the XCom ``answer``: after a rejection the original returns none."""

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        if "error" not in event:
            answer = {name: event[name] for name in ("chosen_options", "responded_by_user")}
            context["ti"].xcom_push(ANSWER, answer)
        return super().execute_complete(context, event)
