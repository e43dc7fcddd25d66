"""What workers do to score: rows of Arrow through a registered graph; a whole bucket from its files to its answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.features.asof_buckets import loads
from tidemill.features.asof_search import look_up, micros
from tidemill.features.members import bucket_members
from tidemill.features.pairs import AS_OF
from tidemill.models.onnx_scoring import make_scorer
from tidemill.models.reasons import Explainer, make_explainer
from tidemill.models.tables import CONTRIBUTIONS, PREDICTION, PROBABILITIES, REASONS, SCORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tidemill.data.buckets import BucketFiles
    from tidemill.features.asof_search import Lookup
    from tidemill.features.declarations import Feature
    from tidemill.features.window_plan import Plan
    from tidemill.models.onnx_scoring import Scorer

_BATCH_ROWS = 1 << 15  # as look-ups bring them: nothing is copied to put batches together


@dataclass(frozen=True)
class Graph:
    """A registered graph as workers take it with them.

    Args:
        graph: the ONNX file.
        description: what belongs to it, as JSON.
        threshold: the score from which on the prediction is 1; None but of a binary task.
        reasons: so many reasons a row, at most.
        explainer: the parts of what explains the scores, by name; None where nothing does, or no reasons are wanted.
    """

    graph: bytes
    description: str
    threshold: float | None
    reasons: int = 0
    explainer: tuple[tuple[str, bytes], ...] | None = None


@dataclass(frozen=True)
class Contender:
    """One of the versions that score the same rows.

    Args:
        graph: what scores.
        beside: columns of its predictions that are the same in all rows.
    """

    graph: Graph
    beside: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BucketWork:
    """What a worker does with buckets.

    Args:
        key: the column of the entity.
        members: how the population is found in a bucket's events.
        lookups: the gold tables of the views.
        features: what the lookups bring, in their order: whatever one of the contenders reads.
        contenders: what scores.
    """

    key: str
    members: Plan
    lookups: tuple[Lookup, ...]
    features: tuple[Feature, ...]
    contenders: tuple[Contender, ...]

    def __call__(self, buckets: Iterable[BucketFiles]) -> Iterator[pa.RecordBatch]:
        """The predictions for the members of buckets, of each contender in the order of buckets and entities."""
        pa.set_cpu_count(1)  # Spark has a worker for every core already
        rows = (batch for bucket in buckets for batch in self._rows(bucket))
        return scored_by_all(rows, self.contenders, (self.key, AS_OF))

    def _rows(self, bucket: BucketFiles) -> Iterator[pa.RecordBatch]:
        """The members of one bucket with their features."""
        for load in loads(bucket_members(bucket, self.members)):
            keys, times = load.column(0).cast(pa.string()).combine_chunks(), load.column(1)
            found = [c for lookup in self.lookups for c in look_up(lookup, bucket.bucket, keys, micros(times))]
            filled = [
                column if feature.missing is None else pc.fill_null(column, pa.scalar(feature.missing, column.type))
                for feature, column in zip(self.features, found, strict=True)
            ]
            names = [self.key, AS_OF, *(feature.name for feature in self.features)]
            yield from pa.table([keys, times, *filled], names=names).to_batches(_BATCH_ROWS)


def scored_by_all(
    batches: Iterable[pa.RecordBatch], contenders: Iterable[Contender], kept: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Batches of features as batches of predictions, those of the contenders by turns, with all columns of `scored`."""
    for batch in _gathered(batches):
        for contender in contenders:
            yield from scored([batch], contender.graph, kept, contender.beside)


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small batches put together: reasons by trees cost something a batch, however few its rows are."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if held and sum(part.num_rows for part in (*held, batch)) > _BATCH_ROWS:
            yield _joined(held)
            held = []
        held.append(batch)
    if held:
        yield _joined(held)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)  # which copies


def scored(
    batches: Iterable[pa.RecordBatch], graph: Graph, kept: Iterable[str], beside: Iterable[tuple[str, str]] = ()
) -> Iterator[pa.RecordBatch]:
    """Batches of features as batches of predictions.

    Args:
        batches: rows with the graph's inputs.
        graph: what scores.
        kept: the columns that the answer takes over.
        beside: columns that are the same in all rows.

    Yields:
        The columns kept, `score`, `prediction`, `probabilities` (null but of several classes), `reasons` and
        `contributions` (null without an explainer), and those beside. All of these are null where the model makes no
        finite number of a row, as in the service's answers.
    """
    scorer = _scorer(graph.graph, graph.description)
    for batch in batches:
        found = scorer.predicted(scorer.outputs(batch), graph.threshold)
        columns = {name: batch.column(name) for name in kept}
        columns[SCORE], columns[PREDICTION] = (pa.array(v, from_pandas=True) for v in (found.score, found.prediction))
        said = _lists(found.probabilities, batch.num_rows), *_reasons(batch, graph)
        if columns[SCORE].null_count:
            there = columns[SCORE].is_valid()
            said = tuple(pc.if_else(there, lists, pa.scalar(None, lists.type)) for lists in said)
        columns |= dict(zip((PROBABILITIES, REASONS, CONTRIBUTIONS), said, strict=True))
        columns |= {name: pa.repeat(value, batch.num_rows) for name, value in beside}
        yield pa.RecordBatch.from_pydict(columns)


def _lists(probabilities: NDArray[np.float64] | None, rows: int) -> pa.Array:
    if probabilities is None:
        return pa.nulls(rows, pa.list_(pa.float64()))
    ends = np.arange(0, probabilities.size + 1, probabilities.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(ends, probabilities.ravel())


@lru_cache(maxsize=2)
def _scorer(graph: bytes, description: str) -> Scorer:
    """Once a worker: champion and challenger."""
    return make_scorer(graph, json.loads(description))


def _reasons(batch: pa.RecordBatch, graph: Graph) -> tuple[pa.Array, pa.Array]:
    """For each row the inputs that moved its score most, and by how much."""
    if graph.explainer is None:
        return tuple(pa.nulls(batch.num_rows, pa.list_(kind)) for kind in (pa.string(), pa.float64()))
    explainer = _explainer(graph.explainer)
    return explainer.reasons(explainer.explain(batch), graph.reasons)


@lru_cache(maxsize=2)
def _explainer(parts: tuple[tuple[str, bytes], ...]) -> Explainer:
    """Once a worker, as the scorer."""
    return make_explainer(dict(parts))
