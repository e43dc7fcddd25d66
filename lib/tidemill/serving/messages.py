"""What is asked and answered over HTTP. A body is read strictly: of JSON's own types, and with nothing left over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tidemill.core.time import format_time
from tidemill.serving.refusals import refused

if TYPE_CHECKING:
    from tidemill.models.reasons import Explainer
    from tidemill.serving.answers import Answer
    from tidemill.serving.served import Served

Name = Annotated[str, Field(min_length=1, max_length=128)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Entity(_Strict):
    """An entity, and what only the caller knows of it."""

    key: Annotated[str, Field(min_length=1, max_length=512, examples=["17850"])]
    given: Annotated[dict[Name, Number | str | None], Field(max_length=64)] = {}


class Question(_Strict):
    """The entities to score."""

    entities: Annotated[list[Entity], Field(min_length=1, examples=[[{"key": "17850"}, {"key": "13047"}]])]


class Reason(BaseModel):
    """What a feature did to a score."""

    feature: str
    value: float | str | None
    contribution: Annotated[float, Field(description="What it adds to the margin of the score.")]


class Prediction(BaseModel):
    """The answer about one entity."""

    key: str
    status: Literal["ok", "stale", "unknown", "no_score"]
    score: float | None
    prediction: float | None
    as_of: Annotated[str | None, Field(description="What the oldest of its features speak for, in UTC.")]
    age_seconds: Annotated[float | None, Field(description="Seconds since then.")]
    reasons: Annotated[list[Reason] | None, Field(description="What moved the score most, largest first.")]
    predicted_class: Annotated[str | None, Field(description="The name of the predicted one of several classes.")]
    probabilities: Annotated[dict[str, float] | None, Field(description="Of several classes, by their names.")]


class Predictions(BaseModel):
    """The answers in the order of the question, and who gave them."""

    use_case: str
    model_version: str
    predictions: list[Prediction]


class Explanations(Predictions):
    """The answers with everything that moved each score, and what contributions are measured in."""

    base: Annotated[float, Field(description="The margin where nothing is known; contributions are added to it.")]
    unit: str


class Fault(BaseModel):
    """What happened, where, and what to do next."""

    code: str
    what: str
    where: str
    next: str


class Refusal(BaseModel):
    """Why there is no answer."""

    error: Fault


def read_question(body: bytes, most: int) -> Question:
    """The question of a body: UTF-8 without a byte order mark, finite numbers, no unpaired surrogates.

    Raises:
        TidemillError: E_BODY (usage) for anything else, or for more entities than may be asked about at once;
            E_BODY_TWICE for an object with two values of one name.
    """
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        # Neither the input nor what an error quotes of it goes back: it may hold what no answer can.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _WORDS)
        raise refused("E_BODY", first["msg"], f"body {place}".strip(), "see /openapi.json for what is asked") from None
    if len(question.entities) > most:
        raise refused("E_BODY", f"more than {most} entities are asked about", "body entities", "ask in parts")
    # The parser keeps the last of two values of a name. What it took is no deeper than it allows; numbers stay texts.
    json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str)
    return question


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise refused("E_BODY_TWICE", "an object has two values of one name", "body", "leave all but one out")


def question_schema() -> dict[str, Any]:
    """The JSON schema of a question, in one piece: OpenAPI knows no definitions within a schema."""
    schema = Question.model_json_schema()
    schema["properties"]["entities"]["items"] = schema.pop("$defs")["Entity"]
    return schema


def predictions_of(served: Served, answers: list[Answer]) -> Predictions:
    """Answers as they are sent."""
    said = [_prediction(answer) for answer in answers]
    return Predictions(use_case=served.use_case.name, model_version=served.version, predictions=said)


def explanations_of(served: Served, answers: list[Answer], explainer: Explainer) -> Explanations:
    """Answers as they are sent with what the explainer says of all of them."""
    return Explanations(**vars(predictions_of(served, answers)), base=explainer.base, unit=explainer.unit)


def _prediction(answer: Answer) -> Prediction:
    return Prediction(
        key=answer.key,
        status=answer.status,  # type: ignore[arg-type]
        score=answer.score,
        prediction=answer.prediction,
        as_of=None if answer.as_of is None else format_time(answer.as_of),
        age_seconds=answer.age,
        reasons=None if answer.reasons is None else [Reason(**vars(reason)) for reason in answer.reasons],
        predicted_class=answer.predicted_class,
        probabilities=None if answer.probabilities is None else dict(answer.probabilities),
    )


_WORDS = frozenset({"entities", "key", "given"})
