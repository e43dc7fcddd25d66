"""From what the store holds of entities to answers about them: policies, scores, predictions and ages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.core.errors import TidemillError
from tidemill.core.time import from_micros
from tidemill.features.requested import with_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from tidemill.core.service_config import Serve
    from tidemill.features.feast_reading import OnlineRow
    from tidemill.features.requested import Value
    from tidemill.models.onnx_scoring import Predicted
    from tidemill.serving.served import Served

OK, STALE, UNKNOWN, NO_SCORE = "ok", "stale", "unknown", "no_score"
STATUSES = (OK, STALE, UNKNOWN, NO_SCORE)


@dataclass(frozen=True)
class Asked:
    """One entity that somebody asks about.

    Args:
        key: its join key.
        given: values that only the caller knows, by name.
    """

    key: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inquiry:
    """Entities that are asked about at once.

    Args:
        asked: the entities.
        reasons: so many reasons of each score, at most.
    """

    asked: Sequence[Asked]
    reasons: int = 0


@dataclass(frozen=True)
class Reason:
    """What a feature did to a score.

    Args:
        feature: its name, or that of a column that was made from several.
        value: the feature's, as it was scored; None where it has none.
        contribution: what it adds to the margin, in the explainer's unit.
    """

    feature: str
    value: Value
    contribution: float


@dataclass(frozen=True)
class Answer:
    """The answer about one entity.

    Args:
        key: its join key.
        status: `ok`; `stale` where a view's values are older than they may be; `unknown` where the store holds nothing;
            `no_score` where the model makes no number of the features.
        score: the probability of the positive class or of the predicted one of several, or the predicted value; None
            where the policy refuses one.
        prediction: the decision at the threshold, the number of the predicted class, or the value itself.
        as_of: what the oldest of its features speak for; None where there are none.
        age: seconds since then.
        batch_as_of: the as-of time at which batch scores the same features; None where views speak for several times,
            or the caller gave values.
        features: what was scored.
        reasons: the features that moved the score most, largest first; None where none are asked for, there is no
            score, or nothing explains the model.
        predicted_class: the name of the predicted one of several classes; None without a score, or for another task.
        probabilities: of several classes by their names, in declared order; None likewise.
    """

    key: str
    status: str
    score: float | None
    prediction: float | None
    as_of: datetime | None
    age: float | None
    batch_as_of: datetime | None
    features: Mapping[str, Value]
    reasons: tuple[Reason, ...] | None = None
    predicted_class: str | None = None
    probabilities: Mapping[str, float] | None = None


def build_answers(
    served: Served, questions: Sequence[Inquiry], rows: Sequence[OnlineRow], settings: Serve, now: datetime
) -> list[list[Answer] | TidemillError]:
    """Answers questions that came together, scored together, in their order.

    Args:
        served: the model.
        questions: the entities of each.
        rows: what the store holds of each entity, those of the first question first.
        settings: the policies for entities that are unknown and values that are old.
        now: the moment of the questions; ages are counted from it.

    Returns:
        Of each question its answers, in the order of its entities; or E_REQUEST (usage), which stops no other question,
        where a given value is not one that a view asks for.
    """
    waiting = iter(rows)
    held = [[next(waiting) for _ in question.asked] for question in questions]
    features = [_features(served, question, mine) for question, mine in zip(questions, held, strict=True)]
    taken = [row for found in features if not isinstance(found, TidemillError) for row in found]
    ends = np.cumsum([0 if isinstance(found, TidemillError) else len(found) for found in features])
    outputs = np.split(served.scorer.outputs_of_rows(taken), ends[:-1])
    return [
        found if isinstance(found, TidemillError) else _answers(served, question, mine, found, part, settings, now)
        for question, mine, found, part in zip(questions, held, features, outputs, strict=True)
    ]


def _features(served: Served, question: Inquiry, rows: Sequence[OnlineRow]) -> list[dict[str, Value]] | TidemillError:
    """What is scored for each entity of a question, or why the question is refused."""
    # As training and batch do: what has no value has the one that is declared for that.
    filled = [{n: served.missing[n] if v is None else v for n, v in row.features.items()} for row in rows]
    given = zip(question.asked, filled, strict=True)
    try:
        return [with_request(served.use_case.views, row, item.given) for item, row in given]
    except TidemillError as error:  # of this question, and of no other
        return error


def _answers(
    served: Served,
    question: Inquiry,
    rows: Sequence[OnlineRow],
    features: Sequence[Mapping[str, Value]],
    outputs: NDArray[np.float64],
    settings: Serve,
    now: datetime,
) -> list[Answer]:
    said = served.scorer.predicted(outputs, served.threshold)
    why = _reasons(served, features, question.reasons)
    found = []
    for at, (item, row) in enumerate(zip(question.asked, rows, strict=True)):
        status = _status(served, row, settings, now)
        refused = {UNKNOWN: settings.unknown, STALE: settings.stale}.get(status) == "refuse"
        finite = bool(np.isfinite(outputs[at]).all())
        told = finite and not refused
        shares = _shares(served, said, at) if told else None
        times = sorted({*row.seconds.values()})
        oldest = from_micros(times[0] * 1_000_000) if times else None
        found.append(
            Answer(
                item.key,
                status if finite or refused else NO_SCORE,
                float(said.score[at]) if told else None,
                float(said.prediction[at]) if told else None,
                oldest,
                None if oldest is None else (now - oldest).total_seconds(),
                oldest if len(times) == 1 and not item.given else None,
                features[at],
                why[at] if told and why is not None else None,
                None if shares is None else served.scorer.classes[int(said.prediction[at])],
                shares,
            )
        )
    return found


def _shares(served: Served, said: Predicted, at: int) -> dict[str, float] | None:
    """The probability of each of several classes."""
    if said.probabilities is None:
        return None
    return dict(zip(served.scorer.classes, said.probabilities[at].tolist(), strict=True))


def _reasons(served: Served, features: Sequence[Mapping[str, Value]], count: int) -> list[tuple[Reason, ...]] | None:
    if not count or (explainer := served.explainer) is None:
        return None
    names, moved = explainer.reasons(explainer.explain_rows(features), count)
    return [
        tuple(Reason(name, row.get(name), by) for name, by in zip(*pair, strict=True))
        for row, *pair in zip(features, names.to_pylist(), moved.to_pylist(), strict=True)
    ]


def _status(served: Served, row: OnlineRow, settings: Serve, now: datetime) -> str:
    if not row.seconds:
        return UNKNOWN
    for view in served.use_case.views:
        second = row.seconds.get(view.table_name)
        longest = (view.ttl + view.delay).total_seconds() if settings.max_age is None else settings.max_age
        if second is not None and now.timestamp() - second > longest:
            return STALE
    return OK
