"""What a person answered whom a run has asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

APPROVE = "Approve"


def is_approved(approval: Mapping[str, Any] | None) -> bool:
    """:param approval: the answer that the ApprovalOperator has left; None where nobody was asked."""
    return approval is not None and list(approval["chosen_options"]) == [APPROVE]


def responder(approval: Mapping[str, Any]) -> str:
    user = approval.get("responded_by_user")
    return f"{user['name']} (id {user['id']})" if user else "nobody, the time for an answer passed"
