"""The HTTP service: scores of entities whose features it looks up, by the champion of the moment."""

from __future__ import annotations

import asyncio
import itertools
import logging
import operator
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from tidemill.core.errors import TidemillError, nearest
from tidemill.core.time import format_time
from tidemill.features.requested import request_fields
from tidemill.serving.answers import Asked, build_answers
from tidemill.serving.guard import Guard, Hosts
from tidemill.serving.messages import Predictions, Refusal, prediction_of, question_schema, read_question
from tidemill.serving.page import HEADERS, page
from tidemill.serving.refusals import refused, response_of
from tidemill.serving.together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tidemill.core.service_config import Serve
    from tidemill.features.feast_reading import OnlineRow
    from tidemill.monitoring.service_metrics import ServiceMetrics
    from tidemill.serving.answers import Answer
    from tidemill.serving.follow import Champions
    from tidemill.serving.messages import Question
    from tidemill.serving.request_log import RequestLog
    from tidemill.serving.served import Served

LOG = logging.getLogger(__name__)
_REFUSALS = {
    status: {"model": Refusal, "description": said}
    for status, said in (
        (400, "An object of the body has two values of one name."),
        (401, "The key is missing or not known."),
        (404, "No such use case is served."),
        (408, "The body took too long."),
        (413, "The body is too large."),
        (415, "The body is no JSON."),
        (422, "The body is not what is asked."),
        (429, "Too many requests; Retry-After says when to come back."),
        (503, "The store, the model or the time is lacking; Retry-After says when to come back."),
    )
}


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

    async def predict(self, served: Served, question: Question) -> list[Answer]:
        """Looks the features up and scores them, within the time that a request may take."""
        asked = [Asked(item.key, item.given) for item in question.entities]
        try:
            return await asyncio.wait_for(self._together.ask((served, asked)), self.settings.timeout)
        except TimeoutError:
            raise refused("E_DEADLINE", "there was no answer in time", "online store", "come back later") from None

    def _answer(self, questions: Sequence[tuple[Served, list[Asked]]]) -> list[list[Answer] | Exception]:
        """Answers questions that waited together: one read for all that are answered by the same model."""
        ground, now = self.champions.ground, datetime.now(UTC)
        if ground is None:
            raise ValueError("a model answers before the store is open")
        found: list[list[Answer] | Exception] = []
        for served, group in itertools.groupby(questions, key=operator.itemgetter(0)):
            asked = [items for _, items in group]
            keys = [item.key for items in asked for item in items]
            try:
                rows = iter(ground.reader.read(served.use_case.views, keys))
            except Exception as error:
                LOG.exception("the online store does not answer")
                away = refused("E_ONLINE_STORE", "the online store does not answer", "online store", "come back later")
                away.__cause__ = error
                found += [away] * len(asked)
                continue
            found += [self._answers(served, items, [next(rows) for _ in items], now) for items in asked]
        return found

    def _answers(
        self, served: Served, asked: list[Asked], rows: list[OnlineRow], now: datetime
    ) -> list[Answer] | Exception:
        try:
            answers = build_answers(served, asked, rows, self.settings, now)
        except TidemillError as error:  # of this question, and of no other
            return error
        for answer in answers:
            self.metrics.answered(served.use_case.name, answer.status, answer.age)
        self.log.add(served, answers, now)
        return answers


def build_app(service: Service) -> FastAPI:
    """The application, with its guard around it."""
    settings = service.settings
    app = FastAPI(
        title="tidemill",
        description="Scores of entities by the champion of each use case.",
        lifespan=service.lifespan,
        docs_url=None,  # they fetch scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json" if settings.pages else None,
    )
    _add_errors(app, settings)
    _add_state(app, service)
    _add_answers(app, service)

    def note(path: str, status: int, seconds: float) -> None:
        name = path.removeprefix("/v1/").removesuffix("/predict")
        service.metrics.requested(name if name in service.champions.models else "", status, seconds)

    app.add_middleware(Guard, settings=settings, note=note)
    app.add_middleware(Hosts, allowed_hosts=list(settings.hosts), www_redirect=False)
    return app


def _add_errors(app: FastAPI, settings: Serve) -> None:
    @app.exception_handler(TidemillError)
    async def _(_: Request, error: TidemillError) -> Response:
        return response_of(error, settings.retry_after)

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> Response:
        said = {"code": "E_USAGE", "what": str(error.detail), "where": "path", "next": "see /v1"}
        return JSONResponse({"error": said}, error.status_code, error.headers)


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["state"])
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["state"], responses={503: {"description": "Nobody answers yet."}})
    async def readyz() -> JSONResponse:
        """Somebody answers for every use case that is to be served."""
        champions = service.champions
        models = {name: served.version for name, served in champions.models.items()}
        ready = champions.ready
        said = {"ready": ready, "models": models, "reasons": dict(champions.reasons)}
        return JSONResponse(
            said, 200 if ready else 503, {} if ready else {"Retry-After": str(service.settings.retry_after)}
        )

    @app.get("/metrics", tags=["state"])
    async def metrics() -> Response:
        """What Prometheus scrapes."""
        return Response(service.metrics.text(), media_type=service.metrics.media_type)

    if service.settings.pages:

        @app.get("/", include_in_schema=False)
        async def by_hand() -> HTMLResponse:
            return HTMLResponse(page(), headers=HEADERS)


def _add_answers(app: FastAPI, service: Service) -> None:
    @app.get("/v1", tags=["answers"])
    async def use_cases() -> dict[str, list[dict[str, Any]]]:
        """The use cases that are served: version, what an entity's key is called, and what a caller may give."""
        return {"use_cases": [_described(served) for _, served in sorted(service.champions.models.items())]}

    body = {"required": True, "content": {"application/json": {"schema": question_schema()}}}

    @app.post(
        "/v1/{use_case}/predict",
        tags=["answers"],
        response_model=Predictions,
        responses=_REFUSALS,  # type: ignore[arg-type]
        openapi_extra={"requestBody": body},
    )
    async def predict(use_case: str, request: Request) -> Response:
        """Scores entities; each answer says how old the features are that it was made from."""
        served = service.model(use_case)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise refused("E_BODY_TYPE", "the body is no JSON", "header Content-Type", "send application/json")
        question = read_question(await request.body(), service.settings.max_entities)
        answers = await service.predict(served, question)
        said = [prediction_of(a, None if a.as_of is None else format_time(a.as_of)) for a in answers]
        found = Predictions(use_case=use_case, model_version=served.version, predictions=said)
        return Response(found.model_dump_json(), media_type="application/json")


def _described(served: Served) -> dict[str, Any]:
    use_case = served.use_case
    given = {item.name: item.type for item in request_fields(use_case.views)}
    return {"name": use_case.name, "model_version": served.version, "key": use_case.entity.key, "given": given}
