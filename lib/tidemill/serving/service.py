"""What requests are answered with: scores of entities whose features are looked up, by the champion of the moment."""

from __future__ import annotations

import asyncio
import itertools
import logging
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError, nearest
from tidemill.serving.answers import Asked, Inquiry, build_answers
from tidemill.serving.messages import read_question
from tidemill.serving.refusals import refused
from tidemill.serving.together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from fastapi import FastAPI, Request

    from tidemill.core.service_config import Serve
    from tidemill.models.reasons import Explainer
    from tidemill.monitoring.service_metrics import ServiceMetrics
    from tidemill.serving.answers import Answer
    from tidemill.serving.follow import Champions
    from tidemill.serving.request_log import RequestLog
    from tidemill.serving.served import Served

LOG = logging.getLogger(__name__)


class Service:
    """What a request is answered with.

    Args:
        champions: who answers.
        settings: limits and policies.
        metrics: told of every answer.
        log: takes its sample of the answers.
    """

    def __init__(self, champions: Champions, settings: Serve, metrics: ServiceMetrics, log: RequestLog) -> None:
        self.champions, self.settings, self.metrics, self.log = champions, settings, metrics, log
        self._together = Together(self._answer)
        self._explaining = ThreadPoolExecutor(1, "explainer")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Follows the champions and writes the log for as long as the service runs."""
        stopped = threading.Event()
        arguments = (self.settings.follow, stopped)
        threading.Thread(target=self.champions.follow, args=arguments, name="follow", daemon=True).start()
        writer = threading.Thread(target=self.log.run, args=(stopped,), name="log")
        writer.start()
        try:
            yield
        finally:
            stopped.set()
            self.log.wake()
            self._together.stop()
            self._explaining.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(writer.join)

    def model(self, use_case: str) -> Served:
        """Who answers for a use case; E_NO_USE_CASE where it is none, E_NOT_READY where nobody answers yet."""
        champions = self.champions
        found = champions.models.get(use_case)
        if found is not None:
            return found
        if champions.ground is None or use_case in champions.reasons:
            why = champions.reasons.get(use_case, "the service is starting")
            raise refused("E_NOT_READY", f"nobody answers yet: {why}", f"use case {use_case!r}", "come back later")
        known = nearest(use_case, champions.models)
        raise refused("E_NO_USE_CASE", "no such use case is served", "path", known)

    async def explainer(self, served: Served) -> Explainer | None:
        """What explains a model's scores; who needs it first waits for it in a thread of its own, and nobody else."""
        if not served.explained:
            await asyncio.get_running_loop().run_in_executor(self._explaining, lambda: served.explainer)
        return served.explainer

    async def predict(self, served: Served, request: Request, reasons: int) -> list[Answer]:
        """Reads a question, looks the features up and scores them; the guard counts the time."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise refused("E_BODY_TYPE", "the body is no JSON", "header Content-Type", "send application/json")
        read = read_question(await request.body(), self.settings.max_entities)
        question = Inquiry([Asked(item.key, item.given) for item in read.entities], reasons)
        return await self._together.ask((served, question))

    def _answer(self, asked: Sequence[tuple[Served, Inquiry]]) -> list[list[Answer] | Exception]:
        """Answers questions that waited together: one read and one run of the model for all that it answers."""
        ground, now = self.champions.ground, datetime.now(UTC)
        if ground is None:
            raise ValueError("a model answers before the store is open")
        found: list[list[Answer] | Exception] = []
        for served, group in itertools.groupby(asked, key=operator.itemgetter(0)):
            questions = [question for _, question in group]
            keys = [item.key for question in questions for item in question.asked]
            try:
                rows = ground.reader.read(served.use_case.views, keys)
            except Exception as error:
                LOG.exception("the online store does not answer")
                away = refused("E_ONLINE_STORE", "the online store does not answer", "online store", "come back later")
                away.__cause__ = error
                found += [away] * len(questions)
                continue
            for answers in build_answers(served, questions, rows, self.settings, now):
                found.append(answers)
                if not isinstance(answers, TidemillError):
                    self._note(served, answers, now)
        return found

    def _note(self, served: Served, answers: list[Answer], now: datetime) -> None:
        for answer in answers:
            self.metrics.answered(served.use_case.name, answer.status, answer.age)
        self.log.add(served, answers, now)
