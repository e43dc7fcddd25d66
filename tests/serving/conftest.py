"""What the tests of the service share: one place, made once, and services over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import prometheus_client  # noqa: F401 - before Feast, as in the service
import pytest
from running_service import Running
from service_ground import Place, make_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running_service import Serve


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three versions and a filled store, which no test changes."""
    return make_place(tmp_path_factory.mktemp("service") / "var")


@pytest.fixture
def serve(place: Place) -> Iterator[Serve]:
    """Starts services over the place, with changed settings."""
    running: list[Running] = []

    def start(at: Place | None = None, **changes: Any) -> Running:
        running.append(Running(at or place, **changes))
        running[-1].client.__enter__()
        return running[-1]

    yield start
    for service in running:
        service.client.__exit__(None, None, None)
