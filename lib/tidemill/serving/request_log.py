"""A sample of the answers, kept in Delta: what was scored, by which model, and what came out."""

from __future__ import annotations

import json
import logging
import math
import random
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from tidemill.core.time import format_time
from tidemill.data.commit import commit
from tidemill.data.schema import delta_schema
from tidemill.data.tables import OPS, Lake, Table
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tidemill.core.service_config import Serve
    from tidemill.features.requested import Value
    from tidemill.monitoring.service_metrics import ServiceMetrics
    from tidemill.serving.answers import Answer
    from tidemill.serving.served import Served

# Grain: one answer about one entity.
REQUESTS = Table(
    OPS,
    "requests",
    (
        ("use_case", "string"),
        ("entity", "string"),
        ("asked_at", "timestamp"),
        ("model_version", "string"),
        ("status", "string"),
        ("score", "double"),
        ("prediction", "double"),
        ("probabilities", "array<double>"),
        ("as_of", "timestamp"),
        ("batch_as_of", "timestamp"),
        ("features", "string"),
    ),
    evolves=True,  # answers that older releases logged stay as they are
)
LOG = logging.getLogger(__name__)
_BATCHES_HELD = 10
_FIRST_PAUSE = 1.0  # seconds after a write that failed; each further one doubles it


class RequestLog:
    """Gathers rows in memory and commits them from a thread of its own: no request waits for a write.

    Args:
        lake: where, and who writes.
        settings: the share that is kept, and how much of it makes a commit.
        metrics: told what became of the rows.
    """

    def __init__(self, lake: Lake, settings: Serve, metrics: ServiceMetrics) -> None:
        self._lake, self._settings, self._metrics = lake, settings, metrics
        self._rows: list[dict[str, Any]] = []
        self._batch: tuple[Batch, list[dict[str, Any]]] | None = None  # not known to be written
        self._full, self._lock = threading.Event(), threading.Lock()

    def add(self, served: Served, answers: Iterable[Answer], now: datetime) -> None:
        """Takes a sample of some answers; where too many wait to be written they are dropped, and counted."""
        share = self._settings.log_share
        rows = [_row(served, answer, now) for answer in answers if random.random() < share]  # noqa: S311 - no secret
        with self._lock:
            if len(self._rows) + len(rows) > _BATCHES_HELD * self._settings.log_rows:
                self._metrics.logged("dropped", len(rows))
                return
            self._rows += rows
            if len(self._rows) >= self._settings.log_rows:
                self._full.set()

    def run(self, stopped: threading.Event) -> None:
        """Writes until it is stopped, and then what is left."""
        while not stopped.is_set():
            self._full.wait(self._settings.log_seconds)
            self._full.clear()
            pause = _FIRST_PAUSE
            while not self.flush() and not stopped.wait(pause):
                pause = min(2 * pause, self._settings.log_seconds)
        self.flush()

    def wake(self) -> None:
        """Lets the thread look whether it is stopped."""
        self._full.set()

    def flush(self) -> bool:
        """Commits what there is; False where it cannot be written now: the next call tries the same batch."""
        if self._batch is None:
            with self._lock:
                rows, self._rows = self._rows, []
            if not rows:
                return True
            inputs = {"rows": len(rows), "from": format_time(rows[0]["asked_at"])}
            self._batch = Batch(uuid4().hex, inputs), rows
        batch, rows = self._batch
        try:
            commit(self._lake, REQUESTS, batch, pa.Table.from_pylist(rows, delta_schema(REQUESTS.columns)))
        except Exception:
            LOG.exception("%d answers are not in the request log yet", len(rows))
            return False
        self._metrics.logged("written", len(rows))
        self._batch = None
        return True


def _row(served: Served, answer: Answer, now: datetime) -> dict[str, Any]:
    return {
        "use_case": served.use_case.name,
        "entity": answer.key,
        "asked_at": now,
        "model_version": served.version,
        "status": answer.status,
        "score": answer.score,
        "prediction": answer.prediction,
        "probabilities": None if answer.probabilities is None else list(answer.probabilities.values()),
        "as_of": answer.as_of,
        "batch_as_of": answer.batch_as_of,
        "features": json.dumps({n: _plain(v) for n, v in answer.features.items()}, ensure_ascii=False),
    }


def _plain(value: Value) -> Value:
    """A value as JSON holds it: NaN and infinities by their names."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
