"""Fixtures of the tests of the service, which `conftest.py` gives to all: what they need is imported by the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from load import Promote
    from running_service import Running, Serve
    from service_ground import Place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three versions and a filled store, which no test changes."""
    from service_ground import make_place

    return make_place(tmp_path_factory.mktemp("service") / "var")


@pytest.fixture
def serve(place: Place) -> Iterator[Serve]:
    """Starts services over the place, with changed settings."""
    from running_service import Running

    running: list[Running] = []

    def start(at: Place | None = None, **changes: Any) -> Running:
        running.append(Running(at or place, **changes))
        running[-1].client.__enter__()
        return running[-1]

    yield start
    for service in running:
        service.client.__exit__(None, None, None)


@pytest.fixture
def promote(place: Place) -> Iterator[Promote]:
    """Moves the alias; at the end it is where it was."""
    from service_ground import NAME
    from tidemill.models.promotion import CHAMPION

    yield lambda version: place.registry.set_alias(NAME, CHAMPION, version)
    place.registry.set_alias(NAME, CHAMPION, "1")
