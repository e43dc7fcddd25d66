"""The description of the service, and what a generator of requests makes of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

if TYPE_CHECKING:
    from running_service import Serve


def test_the_description_says_what_is_asked_with_an_example(serve: Serve) -> None:
    described = serve().client.get("/openapi.json").json()
    asked = described["paths"]["/v1/{use_case}/predict"]["post"]
    schema = asked["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["entities"]["examples"] == [[{"key": "17850"}, {"key": "13047"}]]
    assert {"200", "401", "413", "422", "429", "503"} <= set(asked["responses"])


@pytest.mark.filterwarnings("ignore")
def test_no_generated_request_brings_the_service_down(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    import schemathesis  # which takes a second

    caplog.set_level(logging.CRITICAL)
    running = serve(rate=1e6, burst=1_000_000, hosts=("*",))
    schema = schemathesis.openapi.from_dict(running.client.get("/openapi.json").json())
    operation = schema["/v1/{use_case}/predict"]["POST"]
    seen: set[int] = set()
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

        @settings(
            max_examples=25,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def every(case: schemathesis.Case[Any]) -> None:
            sent = case.as_transport_kwargs(base_url="http://testserver")
            content = {"content": sent["data"]} if "data" in sent else {"json": sent.get("json")}
            headers = {**sent["headers"], "Content-Type": "application/json"}
            answer = running.client.request("POST", "/v1/shop/predict", headers=headers, **content)
            assert answer.status_code in {200, 422}, answer.text
            seen.add(answer.status_code)

        every()
    assert {200, 422} <= seen
