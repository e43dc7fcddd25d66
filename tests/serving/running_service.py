"""A service that runs in this process, without a network."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving.app import build_app
from tidemill.serving.follow import Champions, Ground
from tidemill.serving.request_log import RequestLog
from tidemill.serving.service import Service

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says that it will want another library
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from service_ground import Place

    Serve = Callable[..., "Running"]


class Still(Champions):
    """Champions that no thread looks for: tests do, and what they print is theirs."""

    def follow(self, seconds: float, stopped: threading.Event) -> None:
        """Does nothing."""


class Running:
    """A service that runs, its champions looked for by the tests alone."""

    def __init__(self, place: Place, **changes: Any) -> None:
        settings = place.settings.model_copy(update={"follow": 3600.0, "log_seconds": 3600.0, **changes})
        self.metrics = ServiceMetrics()
        explained = settings.reasons > 0
        self.champions = Still(lambda: Ground(place.registry, place.reader()), self.metrics, explained=explained)
        self.champions.look()
        self.log = RequestLog(place.lake, settings, self.metrics)
        self.app = build_app(Service(self.champions, settings, self.metrics, self.log))
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def ask(self, *keys: str, **given: Any) -> Any:
        """The answer to a question about entities."""
        body = {"entities": [{"key": key, "given": given} for key in keys]}
        return self.client.post("/v1/shop/predict", json=body)
