"""The description of the service, and what a generator of requests makes of it."""

from __future__ import annotations

import itertools
import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tidemill.serving.guard import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from running_service import Running, Serve
    from schemathesis import GenerationMode


def test_the_description_says_what_is_asked_with_an_example(serve: Serve) -> None:
    described = serve().client.get("/openapi.json").json()
    asked = described["paths"]["/v1/{use_case}/predict"]["post"]
    schema = asked["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["entities"]["examples"] == [[{"key": "17850"}, {"key": "13047"}]]
    assert {"200", "401", "413", "422", "429", "503"} <= set(asked["responses"])


def generated(running: Running, operation: Any, mode: GenerationMode, key: Mapping[str, str]) -> set[int]:
    """Asks what a generator makes of an operation; the statuses, each of which the description has to know."""
    import schemathesis  # which takes a second
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    conform = (checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance)
    seen: set[int] = set()
    number = itertools.count()

    @settings(
        max_examples=8,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def every(case: schemathesis.Case[Any]) -> None:
        # One in three as it comes, which names no use case; one asks ours; and one gives nothing, as no view wants it.
        turn, body = next(number) % 3, cast("Any", case.body)
        if turn > 0 and "use_case" in case.path_parameters:
            case.path_parameters["use_case"] = "shop"
        if turn > 1 and operation.body and mode == schemathesis.GenerationMode.POSITIVE:
            case.body = {"entities": [{"key": entity["key"]} for entity in body["entities"]]}
        sent = case.as_transport_kwargs(base_url="http://testserver")
        if "data" in sent:
            sent["content"] = sent.pop("data")
        sent.pop("cookies", None)
        sent["headers"] = {name: str(value).encode() for name, value in {**sent["headers"], **key}.items()}
        answer = running.client.request(**sent)
        case.validate_response(answer, checks=[not_a_server_error, *conform])
        seen.add(answer.status_code)

    every()
    return seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("closed", [False, True], ids=["open", "keys and reasons"])
def test_no_generated_request_brings_the_service_down(
    serve: Serve, caplog: pytest.LogCaptureFixture, closed: bool
) -> None:
    import schemathesis

    caplog.set_level(logging.CRITICAL)
    changes: dict[str, Any] = {"keys": {"app": sha256(b"secret").hexdigest()}, "reasons": 2} if closed else {}
    running, key = serve(rate=1e6, burst=1_000_000, **changes), {"Authorization": "Bearer secret"} if closed else {}
    schema = schemathesis.openapi.from_dict(running.client.get("/openapi.json", headers=key).json())
    seen: dict[str, set[int]] = {}
    positive, negative = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # what cannot be read has none
        modes = (positive, negative) if operation.body else (positive,)
        statuses = seen[operation.path] = set().union(*(generated(running, operation, mode, key) for mode in modes))
        if closed and operation.path not in OPEN:
            statuses.add(running.client.request(operation.method, operation.path).status_code)
    refused = {401} if closed else set[int]()
    answers = [seen.pop(f"/v1/{{use_case}}/{what}") for what in ("predict", "explain")]
    assert seen == {"/healthz": {200}, "/readyz": {200}, "/metrics": {200} | refused, "/v1": {200} | refused}
    assert [statuses for statuses in answers if not {200, 404} | refused <= statuses] == []
    assert 422 in set().union(*answers)
