"""A registered model made again: from its training set as it was kept, which is first made again from what was pinned.

Rows, scores and metrics are compared exactly. Fits take their order, partitioning and seed from the card, so the same
rows give the same model on the same versions of the libraries, whatever the machine and the number of its cores.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.features.pairs import AS_OF
from tidemill.models.calibrated import calibrate
from tidemill.models.candidates import recipe_of
from tidemill.models.deciding import decide
from tidemill.models.evaluate import build_metrics
from tidemill.models.fits import fit_recipe
from tidemill.models.folds import Folds
from tidemill.models.pipelines import with_score
from tidemill.models.preparation import usable_features
from tidemill.models.specs import BINARY
from tidemill.models.tables import scored_columns
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Difference:
    """How two frames of the same rows differ.

    Args:
        rows: of the one that was kept.
        missing: rows of it that were not made again.
        added: rows that were made and are not among them.
        columns: of rows in both, how many differ, by the columns that do.
        largest: the largest difference of numbers that differ; infinite where one of the two is no finite number.
    """

    rows: int
    missing: int
    added: int
    columns: dict[str, int]
    largest: float

    @property
    def none(self) -> bool:
        """Whether the two are equal."""
        return not (self.missing or self.added or self.columns)

    @property
    def said(self) -> str:
        """The difference in words."""
        if self.none:
            return f"{self.rows} rows, equal"
        parts = [f"{n} in {name}" for name, n in self.columns.items()]
        parts += [f"{n} {word}" for n, word in ((self.missing, "missing"), (self.added, "added")) if n]
        most = f", by {self.largest:g} at most" if self.largest else ""
        return f"{self.rows} rows, different: {', '.join(parts)}{most}"

    def description(self) -> dict[str, Any]:
        """The figures, as JSON values."""
        return {**asdict(self), "largest": self.largest if self.largest < float("inf") else "infinite"}


@dataclass(frozen=True)
class Remade:
    """A model fitted again.

    Args:
        gate: the gate fit's scores of the gate rows.
        value: their primary metric.
        threshold: of a binary task, chosen again, as the calibration of both fits was fitted again; else None.
        model: the final fit.
    """

    gate: DataFrame
    value: float
    threshold: float | None
    model: PipelineModel


def compare(kept: DataFrame, made: DataFrame, key: str, columns: Sequence[str]) -> Difference:
    """Rows of the same keys and as-of times, column by column; null equals null, and NaN equals NaN."""
    keys = (key, AS_OF)
    left = kept.select(*keys, F.struct(*[F.col(f"`{name}`") for name in columns]).alias("_kept"))
    right = made.select(*keys, F.struct(*[F.col(f"`{name}`") for name in columns]).alias("_made"))
    both = left.join(right, list(keys), "full")
    kinds = dict(kept.select(*[F.col(f"`{name}`") for name in columns]).dtypes)
    there = F.col("_kept").isNotNull() & F.col("_made").isNotNull()
    counts, gaps = [], [F.lit(0.0)]
    for place, name in enumerate(columns):
        one, other = F.col("_kept").getField(name), F.col("_made").getField(name)
        differs = there & ~one.eqNullSafe(other)
        counts.append(F.count_if(differs).alias(f"column_{place}"))
        if kinds[name] == "double":
            gap = F.abs(one - other)
            gaps.append(F.max(F.when(differs, F.when(gap < float("inf"), gap).otherwise(float("inf")))))
    row = both.agg(
        F.count("_kept").alias("rows"),
        F.count_if(F.col("_made").isNull()).alias("missing"),
        F.count_if(F.col("_kept").isNull()).alias("added"),
        F.greatest(*gaps, F.lit(0.0)).alias("largest"),
        *counts,
    ).first()
    found: dict[str, Any] = {} if row is None else row.asDict()
    differing = {name: found[f"column_{place}"] for place, name in enumerate(columns)}
    return Difference(
        found["rows"], found["missing"], found["added"], {n: c for n, c in differing.items() if c}, found["largest"]
    )


def fit_again(rows: DataFrame, use_case: UseCase, card: dict[str, Any], plan: Plan, settings: Train) -> Remade:
    """Both fits of the recipe in a card, its calibration and its threshold.

    Args:
        rows: the training set.
        use_case: as it was registered.
        card: of the version.
        plan: the folds.
        settings: of the fit, as the card has them.
    """
    train, gate = rows.where(F.col("part") == TRAIN), rows.where(F.col("part") == GATE)
    features = usable_features(train, use_case.features, use_case.preparation.nulls)
    recipe = recipe_of(card, "again")
    with closing(Folds(rows, use_case, plan, settings)) as folds:
        decided = decide(folds, recipe, use_case)
    early, final = (
        calibrate(fit_recipe(some, use_case, features, recipe, settings), decided.calibration) for some in (train, rows)
    )
    kept = (use_case.entity.key, AS_OF, "label", *scored_columns(use_case.task))
    scored = with_score(early, gate, use_case.task).select(*kept)
    found = build_metrics(scored, use_case.task, []).first()
    if found is None or found[use_case.metric] is None:
        raise ValueError("the gate has no row that can be judged")
    threshold = decided.threshold if use_case.task == BINARY else None
    return Remade(scored, float(found[use_case.metric]), threshold, final)
