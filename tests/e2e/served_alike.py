"""What the service answers about entities, held against what the newest batch predicted of them; in process, no JVM."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pytest
from tidemill.core.config import load_config
from tidemill.core.home import HOME
from tidemill.core.time import parse_time
from tidemill.data import ledger
from tidemill.data.read import read_arrow
from tidemill.data.tables import Lake
from tidemill.features.feast_reading import OnlineReader
from tidemill.features.feast_store import open_store
from tidemill.models.registry import Registry
from tidemill.models.tables import predictions_table
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.serving.answers import Answer, Asked, Inquiry, build_answers
from tidemill.serving.follow import Champions, Ground

if TYPE_CHECKING:
    from pathlib import Path

REASONS = 3


def check_served_as_scored(root: Path, name: str, most: int = 50) -> list[Answer]:
    """Asks the service's own functions about entities of the champion's newest predictions.

    Args:
        root: where a use case was materialized, promoted and scored at one as-of time, in this order.
        name: of the use case.
        most: so many entities, spread over all.

    Returns:
        The answers, which were found to be equal: scores to the last digit, reasons where the batch has some.
    """
    yaml = HOME / "feature_repo" / "feature_store.yaml"
    ground = Ground(Registry(root), OnlineReader(open_store(yaml, root)))
    champions = Champions(lambda: ground, ServiceMetrics(), (name,))
    champions.look()
    assert champions.reasons == {}
    served = champions.models[name]
    key, table = served.use_case.entity.key, predictions_table(served.use_case)
    mine = [e for e in ledger.entries(root, table.label) if e.inputs["model"] == served.version]
    newest = max(reversed(mine), key=lambda entry: parse_time(entry.inputs["as_of"]))  # of equal times the last batch
    held = read_arrow(Lake(root, "reader"), table, where=ds.field("batch_id") == newest.batch_id).to_pylist()
    assert len(held) == newest.rows > 0
    held.sort(key=lambda row: row[key])
    count = min(most, len(held))
    chosen: list[dict[str, Any]] = [held[at * len(held) // count] for at in range(count)]
    rows = ground.reader.read(served.use_case.views, [row[key] for row in chosen])
    inquiry = Inquiry([Asked(row[key]) for row in chosen], REASONS)
    settings = load_config(HOME / "conf", "local").serve
    (found,) = build_answers(served, [inquiry], rows, settings, datetime.now(UTC))
    assert isinstance(found, list)
    assert [(a.key, a.score, a.prediction) for a in found] == [(r[key], r["score"], r["prediction"]) for r in chosen]
    for answer, row in zip(found, chosen, strict=True):
        assert row["probabilities"] == (None if answer.probabilities is None else [*answer.probabilities.values()])
        if row["reasons"] is not None:
            assert answer.reasons is not None
            assert [reason.feature for reason in answer.reasons] == row["reasons"]
            assert [reason.contribution for reason in answer.reasons] == pytest.approx(row["contributions"])
    return found
