"""What the OpenAPI document promises is what the API does, asked by schemathesis for everything that it allows."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis

from tests.support import examples
from web_analytics.api import app


@pytest.fixture
def schema(airflow_api, login, source, queued_runs):
    """The document as it is served, asked through Airflow's application."""
    source.enable(1, 2)
    document = f"{app.URL_PREFIX}/openapi.json"
    return schemathesis.openapi.from_asgi(document, airflow_api.app, headers=login("viewer"))


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_the_document_knows(schema, login, mode):
    headers = login("admin")
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.path.startswith(f"{app.URL_PREFIX}/teams") and not operation.path.startswith(
            "/teams"
        ):
            continue

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @examples(20)
        def is_answered_as_documented(case):
            case.call_and_validate(headers=headers)

        is_answered_as_documented()
        asked += 1
    assert asked == 3


def test_every_endpoint_is_described(airflow_api, login):
    document = airflow_api.get(f"{app.URL_PREFIX}/openapi.json", headers=login("viewer")).json()
    assert document["servers"] == [{"url": app.URL_PREFIX}]
    assert set(document["paths"]) >= {"/teams", "/teams/{team_id}"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)
