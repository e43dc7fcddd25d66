"""The proof that a graph gives Spark's scores: on training rows, and on rows made to find a difference."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.models.onnx_adversary import adversarial_rows
from tidemill.models.onnx_graph import refused
from tidemill.models.pipelines import with_score
from tidemill.models.sample_check import PREDICTIONS, gaps_between
from tidemill.models.specs import MULTICLASS
from tidemill.models.tables import judged_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.models.onnx_export import Export

TRAINING_ROWS = 20_000
_SAMPLE, _SAID, _TRAINING, _ADVERSARIAL = "sample__", "said__", "training", "adversarial"
_KEPT = 16  # rows of a batch, and of either kind in all
_WORST = (
    "sample string, rows bigint, difference double, spark double, graph double, row string, kept string, "
    "wrong bigint"  # predictions
)


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Args:
        training_rows: compared rows of the training set.
        adversarial_rows: compared rows that were made for it.
        difference: the largest one between Spark and the graph, relative where a score is larger than 1.
        example: one of the training rows: feature to value.
        sample: rows of both kinds with Spark's scores, or probabilities, and what is predicted of them: whoever loads
            the graph later compares itself with it.
    """

    training_rows: int
    adversarial_rows: int
    difference: float
    example: dict[str, Any]
    sample: dict[str, list[Any]]

    def description(self) -> dict[str, Any]:
        """The figures, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name not in {"example", "sample"}}


def prove(exported: Export, model: PipelineModel, rows: DataFrame, task: str) -> Proof:
    """Compares a graph with the pipeline that it was made from, row by row, on the executors.

    Its scores with Spark's; its predictions with what its scores say at the threshold, which no rounding changes.

    Args:
        exported: the graph.
        model: the fitted pipeline.
        rows: the training set; of a large one `TRAINING_ROWS` rows are taken, by a hash of their features.
        task: `binary`, `multiclass` or `regression`.

    Raises:
        TidemillError: E_EXPORT (data) where a score, or a probability, differs by more than the export's tolerance, or
            a prediction is not the one of its score.
    """
    features = list(exported.inputs)
    sample = rows.select(*features).orderBy(F.xxhash64(*features)).limit(TRAINING_ROWS)
    made = rows.sparkSession.createDataFrame(adversarial_rows(exported))
    both = sample.withColumn(_SAMPLE, F.lit(_TRAINING)).unionByName(made.withColumn(_SAMPLE, F.lit(_ADVERSARIAL)))
    judged = F.col(judged_on(task))
    said = judged if task == MULTICLASS else F.array(judged)
    scored = with_score(model, both, task).select(*features, _SAMPLE, said.alias(_SAID))
    found = [row.asDict() for row in scored.mapInArrow(_comparison(exported), _WORST).toLocalIterator()]
    worst = max(found, key=lambda row: row["difference"])
    if worst["difference"] > exported.tolerance:
        raise refused(
            f"the exported graph scores {worst['graph']!r} where Spark scores {worst['spark']!r}; they may differ by "
            f"{exported.tolerance:g}",
            f"{worst['sample']} row {worst['row']}",
            "take this model out of the use case, and report it as a fault of this project with the row above",
        )
    if wrong := sum(row["wrong"] for row in found):
        raise refused(
            f"the exported graph predicts {wrong} rows otherwise than its scores say",
            f"threshold {exported.threshold}",
            "take this model out of the use case, and report it as a fault of this project",
        )
    rows_of = {kind: sum(row["rows"] for row in found if row["sample"] == kind) for kind in (_TRAINING, _ADVERSARIAL)}
    example = json.loads(next(row["row"] for row in found if row["sample"] == _TRAINING))
    kept = [item for kind in rows_of for item in _kept(found, kind)]
    scores = [item["score"] if exported.classes else item["score"][0] for item in kept]
    predictions = [item["prediction"] for item in kept]
    shown = {"rows": [item["row"] for item in kept], "scores": scores, PREDICTIONS: predictions}
    return Proof(rows_of[_TRAINING], rows_of[_ADVERSARIAL], worst["difference"], example, shown)


def differences(spark: NDArray[np.float64], graph: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far two scorings are apart, row by row: 0 where both are NaN or the same infinity, infinite where one is."""
    same = (spark == graph) | (np.isnan(spark) & np.isnan(graph))
    with np.errstate(all="ignore"):
        gap = gaps_between(graph, spark)
    return np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))


def _comparison(exported: Export) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What the workers do: of each batch and sample its number of rows, and the row of the largest difference."""
    graph, features = exported.graph, list(exported.inputs)
    description = {**exported.description(), "classes": [str(number) for number in range(exported.classes)]}

    def compare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tidemill.models.onnx_scoring import make_scorer

        scorer = make_scorer(graph, description)
        for batch in batches:
            for kind in batch.column(_SAMPLE).unique().to_pylist():
                rows = batch.filter(pa.compute.equal(batch.column(_SAMPLE), kind))
                found, predictions = scorer.told(rows)
                spark = rows.column(_SAID).flatten().to_numpy(zero_copy_only=False).reshape(found.shape)
                gaps = differences(spark, found)
                at, column = (int(place) for place in np.unravel_index(np.argmax(gaps), gaps.shape))
                worst = json.dumps(rows.select(features).slice(at, 1).to_pylist()[0], ensure_ascii=False)
                rule = scorer.predicted(found, exported.threshold).prediction
                wrong = int(np.count_nonzero(differences(rule, predictions)))
                said = np.where(_is_near(spark, exported), np.nan, predictions)
                kept = json.dumps(_sample_of(rows.select(features), spark, said), allow_nan=False)
                place = at, column
                values = (kind, rows.num_rows, gaps[place], spark[place], found[place], worst, kept, wrong)
                yield pa.RecordBatch.from_pylist([dict(zip(_names(), values, strict=True))])

    return compare


def _is_near(scores: NDArray[np.float64], exported: Export) -> NDArray[np.bool_]:
    """Rows of which a score within the tolerance may decide the one way or the other."""
    with np.errstate(invalid="ignore"):
        if exported.classes:
            last = np.sort(scores, axis=1)[:, -2:]
            return last[:, 1] - last[:, 0] <= 2 * exported.tolerance
        if exported.threshold is None:
            return np.zeros(len(scores), bool)
        return np.abs(scores[:, 0] - exported.threshold) <= 2 * exported.tolerance


def _sample_of(
    rows: pa.RecordBatch, scores: NDArray[np.float64], predictions: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """The first rows that JSON can hold, with what is said of each; NaN is kept as null, which means the same."""
    made: list[dict[str, Any]] = []
    for row, score, said in zip(rows.to_pylist(), scores.tolist(), predictions.tolist(), strict=True):
        plain = {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in row.items()}
        if all(math.isfinite(v) for v in (*plain.values(), *score) if isinstance(v, float)):
            made.append({"row": plain, "score": score, "prediction": None if math.isnan(said) else said})
        if len(made) == _KEPT:
            break
    return made


def _kept(found: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for row in found if row["sample"] == kind for item in json.loads(row["kept"])][:_KEPT]


def _names() -> list[str]:
    return [part.split()[0] for part in _WORST.split(", ")]
