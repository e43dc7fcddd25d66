"""Callers who ask without a pause while champions change, and what their answers have to be."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service_ground import NAME, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from running_service import Running
    from service_ground import Place

    Promote = Callable[[str], None]

SCORES = {"1": 0.48, "2": 0.49, "3": 0.5}  # of ann, by version


@dataclass(frozen=True)
class Told:
    """What a caller was told.

    Args:
        status: of HTTP.
        version: that answered; of a refusal its code.
        score: of ann; None where there is none.
        retry_after: the header.
        asked, answered: seconds of the monotonic clock.
    """

    status: int
    version: str
    score: float | None
    retry_after: str | None
    asked: float
    answered: float


def swap_under_load(
    running: Running, place: Place, promote: Promote, seconds: float, *, bad: float, disturb: Callable[[], None]
) -> list[Told]:
    """Two callers ask while two new champions and one that is wrong come, each for a while.

    Args:
        running: the service; its limits allow for the load.
        place: where versions are registered.
        promote: makes a version champion.
        seconds: of the load, of which each champion has a quarter.
        bad: what the wrong version adds to a score; no other version of the place does.
        disturb: called while the second champion answers; its time is the load's.
    """
    stopped, found = threading.Event(), list[list[Told]]()
    callers = [threading.Thread(target=lambda: found.append(_ask_until(running, stopped))) for _ in range(2)]
    wrong = register(place, bad, wrong_by=0.001).version
    for caller in callers:
        caller.start()
    for version in ("2", wrong, "3"):
        until = time.monotonic() + seconds / 4
        if version == wrong:
            disturb()
        time.sleep(max(0.0, until - time.monotonic()))
        promote(version)
        running.champions.look()
        answering = running.champions.models[NAME].version
        assert answering == ("2" if version == wrong else version)
        assert (wrong in running.champions.reasons.get(NAME, "")) == (version == wrong)
    time.sleep(seconds / 4)
    stopped.set()
    for caller in callers:
        caller.join()
    assert 'tidemill_model_swaps_total{outcome="refused",use_case="shop"} 1.0' in running.client.get("/metrics").text
    return [answer for answers in found for answer in answers]


def check(answers: list[Told]) -> None:
    """Whoever was given a score was given that of the version named, and every good version answered."""
    scored = [answer for answer in answers if answer.status == 200]
    assert {answer.version for answer in scored} == set(SCORES)
    assert [a for a in scored if a.score is None or abs(a.score - SCORES[a.version]) > 1e-12] == []


def _ask_until(running: Running, stopped: threading.Event) -> list[Told]:
    found = []
    while not stopped.is_set():
        asked = time.monotonic()
        answer = running.ask("ann")
        said, after = answer.json(), answer.headers.get("retry-after")
        if answer.status_code == 200:
            version, score = said["model_version"], said["predictions"][0]["score"]
        else:
            version, score = said["error"]["code"], None
        found.append(Told(answer.status_code, version, score, after, asked, time.monotonic()))
    return found
