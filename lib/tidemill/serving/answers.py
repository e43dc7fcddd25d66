"""From what the store holds of entities to answers about them: policies, scores, predictions and ages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.core.time import from_micros
from tidemill.features.requested import with_request
from tidemill.models.onnx_scoring import decisions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidemill.core.service_config import Serve
    from tidemill.features.feast_reading import OnlineRow
    from tidemill.features.requested import Value
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
class Answer:
    """The answer about one entity.

    Args:
        key: its join key.
        status: `ok`; `stale` where a view's values are older than they may be; `unknown` where the store holds nothing;
            `no_score` where the model makes no number of the features.
        score: the probability of the positive class or the predicted value; None where the policy refuses one.
        prediction: the decision at the threshold, or the value itself.
        as_of: what the oldest of its features speak for; None where there are none.
        age: seconds since then.
        features: what was scored.
    """

    key: str
    status: str
    score: float | None
    prediction: float | None
    as_of: datetime | None
    age: float | None
    features: Mapping[str, Value]


def build_answers(
    served: Served, asked: Sequence[Asked], rows: Sequence[OnlineRow], settings: Serve, now: datetime
) -> list[Answer]:
    """Answers in the order of the questions.

    Args:
        served: the model.
        asked: the entities.
        rows: what the store holds of each.
        settings: the policies for entities that are unknown and values that are old.
        now: the moment of the question; ages are counted from it.

    Raises:
        TidemillError: E_REQUEST (usage) where a given value is not one that a view asks for.
    """
    views, stand = served.use_case.views, {f.name: f.missing for f in served.use_case.features}
    # As training and batch do: what has no value has the one that is declared for that.
    filled = [{n: stand[n] if v is None else v for n, v in row.features.items()} for row in rows]
    features = [with_request(views, row, item.given) for item, row in zip(asked, filled, strict=True)]
    scores = served.scorer.score_rows(features)
    predictions = decisions(scores, served.threshold)
    found = []
    for at, (item, row) in enumerate(zip(asked, rows, strict=True)):
        status = _status(served, row, settings, now)
        refused = {UNKNOWN: settings.unknown, STALE: settings.stale}.get(status) == "refuse"
        finite = bool(np.isfinite(scores[at]))
        said = finite and not refused
        oldest = min(row.seconds.values(), default=None)
        found.append(
            Answer(
                item.key,
                status if finite or refused else NO_SCORE,
                float(scores[at]) if said else None,
                float(predictions[at]) if said else None,
                None if oldest is None else from_micros(oldest * 1_000_000),
                None if oldest is None else now.timestamp() - oldest,
                features[at],
            )
        )
    return found


def _status(served: Served, row: OnlineRow, settings: Serve, now: datetime) -> str:
    if not row.seconds:
        return UNKNOWN
    for view in served.use_case.views:
        second = row.seconds.get(view.table_name)
        longest = (view.ttl + view.delay).total_seconds() if settings.max_age is None else settings.max_age
        if second is not None and now.timestamp() - second > longest:
            return STALE
    return OK
