"""The HTTP paths of the service, and the guard before them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tidemill.core.errors import TidemillError
from tidemill.features.requested import request_fields
from tidemill.serving.guard import Guard, Hosts
from tidemill.serving.messages import (
    Explanations,
    Predictions,
    Refusal,
    explanations_of,
    predictions_of,
    question_schema,
)
from tidemill.serving.page import HEADERS, page
from tidemill.serving.refusals import refused, response_of

if TYPE_CHECKING:
    from tidemill.core.service_config import Serve
    from tidemill.serving.served import Served
    from tidemill.serving.service import Service

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": said}
    for status, said in (
        (400, "An object of the body has two values of one name."),
        (401, "The key is missing or not known."),
        (404, "No such use case is served, or nothing explains its model."),
        (408, "The headers or the body took too long."),
        (413, "The body is too large."),
        (415, "The body is no JSON."),
        (422, "The body is not what is asked."),
        (429, "Too many requests; Retry-After says when to come back."),
        (431, "The headers are too large."),
        (503, "The store, the model or the time is lacking; Retry-After says when to come back."),
    )
}
_GUARDED: dict[int | str, dict[str, Any]] = {status: _REFUSALS[status] for status in (401, 408, 413, 429, 431, 503)}


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
        name = path.removeprefix("/v1/").removesuffix("/predict").removesuffix("/explain")
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

    @app.get("/metrics", tags=["state"], response_class=PlainTextResponse, responses=_GUARDED)
    async def metrics() -> Response:
        """What Prometheus scrapes."""
        return Response(service.metrics.text(), media_type=service.metrics.media_type)

    if service.settings.pages:

        @app.get("/", include_in_schema=False)
        async def by_hand() -> HTMLResponse:
            return HTMLResponse(page(), headers=HEADERS)


def _add_answers(app: FastAPI, service: Service) -> None:
    @app.get("/v1", tags=["answers"], responses=_GUARDED)
    async def use_cases() -> dict[str, list[dict[str, Any]]]:
        """The use cases that are served: version, what an entity's key is called, and what a caller may give."""
        return {"use_cases": [_described(served) for _, served in sorted(service.champions.models.items())]}

    body = {"required": True, "content": {"application/json": {"schema": question_schema()}}}
    post = partial(app.post, tags=["answers"], responses=_REFUSALS, openapi_extra={"requestBody": body})

    @post("/v1/{use_case}/predict", response_model=Predictions)
    async def predict(use_case: str, request: Request) -> Response:
        """Scores entities; each answer says how old the features are that it was made from."""
        served, count = service.model(use_case), service.settings.reasons
        if count:
            await service.explainer(served)
        answers = await service.predict(served, request, count)
        return Response(predictions_of(served, answers).model_dump_json(), media_type="application/json")

    @post("/v1/{use_case}/explain", response_model=Explanations)
    async def explain(use_case: str, request: Request) -> Response:
        """Scores entities, and says what every feature did to each score."""
        served = service.model(use_case)
        if (explainer := await service.explainer(served)) is None:
            raise refused("E_NO_REASONS", "nothing explains this model", f"version {served.version}", "ask /predict")
        answers = await service.predict(served, request, len(explainer.inputs))
        return Response(explanations_of(served, answers, explainer).model_dump_json(), media_type="application/json")


def _described(served: Served) -> dict[str, Any]:
    use_case = served.use_case
    given = {item.name: item.type for item in request_fields(use_case.views)}
    return {"name": use_case.name, "model_version": served.version, "key": use_case.entity.key, "given": given}
