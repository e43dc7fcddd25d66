"""The search for a model: candidates on folds, then the two fits of each family's best.

Selection sees the folds only. The gate fit, on times embargoed before the gate, is what promotion looks at; the final
fit, on all matured rows, is what is registered.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.ml import Pipeline
from pyspark.sql import functions as F
from pyspark.util import inheritable_thread_target

from tidemill.features.pairs import AS_OF
from tidemill.models.baseline import fit_baseline, with_baseline_score
from tidemill.models.divisions import fold_fit_rows, fold_rows
from tidemill.models.judge import judge, judge_fold
from tidemill.models.metric_values import scalars
from tidemill.models.pipelines import family_stages, unfitted, with_score
from tidemill.models.preparation import preprocessing, usable_features, with_weights
from tidemill.models.specs import HIGHER_IS_BETTER, ModelSpec, better
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pyspark.ml.pipeline import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.config import Train
    from tidemill.features.declarations import Feature
    from tidemill.models.baseline import Baseline
    from tidemill.models.judge import Slice
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase
    from tidemill.stats.binary import Binary
    from tidemill.stats.residuals import Regression

BASELINE, TRIVIAL = "one feature", "constant"


@dataclass(frozen=True)
class Candidate:
    """One set of parameters of one family, and how it did on the folds.

    Args:
        name: `family-number`, unique in a search.
        family: its family.
        parameters: by the names of the family's library.
        folds: the primary metric on each fold, newest first.
    """

    name: str
    family: str
    parameters: dict[str, Any]
    folds: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean of the primary metric over the folds."""
        return sum(self.folds) / len(self.folds)


@dataclass(frozen=True)
class Fitted:
    """The best candidate of a family with its two fits.

    Args:
        candidate: what was fitted.
        gate_value: the primary metric of the gate fit on the gate rows.
        gate_metrics: all its metrics there.
        gate_scores: the gate fit's scores: entity, `event_timestamp`, `label`, `score`.
        model: the final fit.
    """

    candidate: Candidate
    gate_value: float
    gate_metrics: Binary | Regression
    gate_scores: DataFrame
    model: PipelineModel


@dataclass(frozen=True)
class Search:
    """What a training found.

    Args:
        candidates: all, with their folds.
        finalists: the best of each family, best first by folds; the first is the one to register.
        baseline: fitted on the gate fit's rows.
        baseline_folds: the baseline's metric on each fold.
        baseline_gate: its metric on the gate rows.
        trivial_gate: that of a constant, the mean label of the gate fit's rows.
        gate_rows: labelled rows of the gate.
        gate_positive_rate: share of positive labels there, or None for regression.
        train_metrics, slices: of the first finalist's gate fit, on the rows it was fitted on and by slices of the gate.
    """

    candidates: tuple[Candidate, ...]
    finalists: tuple[Fitted, ...]
    baseline: Baseline
    baseline_folds: tuple[float, ...]
    baseline_gate: float
    trivial_gate: float
    gate_rows: int
    gate_positive_rate: float | None
    train_metrics: Binary | Regression
    slices: tuple[Slice, ...]


def list_candidates(use_case: UseCase, only: Mapping[str, dict[str, Any]]) -> tuple[Candidate, ...]:
    """Every parameter set that the use case declares, or those of the families that are asked for in their place."""
    specs = [ModelSpec(family, parameters) for family, parameters in only.items()] or use_case.models
    return tuple(
        Candidate(f"{spec.family}-{number}", spec.family, parameters)
        for spec in specs
        for number, parameters in enumerate(spec.candidates())
    )


def search(rows: DataFrame, use_case: UseCase, plan: Plan, settings: Train, say: Callable[[str], None]) -> Search:
    """Selects on folds and fits the finalists.

    Args:
        rows: the training set, cached by the caller: features, `label`, `part`, entity and `event_timestamp`.
        use_case: task, features and candidates.
        plan: folds and gate.
        settings: partitions, threads and seed; all of them change the model.
        say: tells what is being done.
    """
    features = usable_features(rows.where(F.col("part") == TRAIN), use_case.features, use_case.preparation.nulls)
    candidates = list_candidates(use_case, settings.only)
    values: dict[str, list[float]] = {name: [] for name in (*(c.name for c in candidates), BASELINE)}
    for number, fold in enumerate(plan.folds):
        say(f"fold {number + 1} of {len(plan.folds)}: {len(candidates)} candidates")
        learned, judged_on = (rows.where(f(plan, fold, use_case.entity.key)) for f in (fold_fit_rows, fold_rows))
        for name, value in _run_fold(learned, judged_on, use_case, candidates, settings).items():
            values[name].append(value)
    judged = tuple(Candidate(c.name, c.family, c.parameters, tuple(values[c.name])) for c in candidates)
    best = _best_of_families(judged, use_case.metric)
    say(f"two fits of {len(best)} finalists")
    train, gate = rows.where(F.col("part") == TRAIN), rows.where(F.col("part") == GATE)
    early = _ordered(train, use_case, settings).persist()
    late = _ordered(rows, use_case, settings).persist()
    try:
        fits = [(c, frame) for c in best for frame in (early, late)]
        models = _parallel(
            rows, settings.parallel_fits, lambda job: _fit(job[1], use_case, features, job[0], settings), fits
        )
        baseline = fit_baseline(early, use_case)
    finally:
        early.unpersist()
        late.unpersist()
    scored = {c.name: with_score(m, gate, use_case.task) for c, m in zip(best, models[::2], strict=True)}
    trivial = gate.withColumn("score", F.lit(baseline.constant))
    everyone = {**scored, BASELINE: with_baseline_score(gate, baseline), TRIVIAL: trivial}
    on_gate = judge(everyone, with_score(models[0], train, use_case.task), use_case)
    found = {name: scalars(metrics) for name, metrics in on_gate.gate.items()}
    kept = (use_case.entity.key, AS_OF, "label", "score")
    finalists = tuple(
        Fitted(c, found[c.name][use_case.metric], on_gate.gate[c.name], scored[c.name].select(*kept), final)
        for c, final in zip(best, models[1::2], strict=True)
    )
    return Search(
        judged,
        finalists,
        baseline,
        tuple(values[BASELINE]),
        found[BASELINE][use_case.metric],
        found[TRIVIAL][use_case.metric],
        int(found[BASELINE]["rows"]),
        found[BASELINE].get("positive_rate"),
        on_gate.train,
        on_gate.slices,
    )


def fit_recipe(
    rows: DataFrame, use_case: UseCase, features: Sequence[Feature], candidate: Candidate, settings: Train
) -> PipelineModel:
    """Fits one candidate on rows, ordered and partitioned as every fit is."""
    ordered = _ordered(rows, use_case, settings).persist()
    try:
        return _fit(ordered, use_case, features, candidate, settings)
    finally:
        ordered.unpersist()


def _run_fold(
    learned: DataFrame,
    evaluate: DataFrame,
    use_case: UseCase,
    candidates: Iterable[Candidate],
    settings: Train,
) -> dict[str, float]:
    """The primary metric of every candidate and of the baseline on one fold; preprocessing is fitted once for all."""
    train = _ordered(learned, use_case, settings)
    there = usable_features(learned, use_case.features, use_case.preparation.nulls)
    prepared = Pipeline(stages=preprocessing(there, use_case.preparation)).fit(train)
    seen, unseen = prepared.transform(train).persist(), prepared.transform(evaluate).persist()
    try:

        def fit(candidate: Candidate) -> PipelineModel:
            known = (candidate.family, candidate.parameters, settings.seed, use_case.preparation)
            return Pipeline(stages=family_stages(use_case.task, *known)).fit(seen)

        listed = list(candidates)
        models = _parallel(evaluate, settings.parallel_fits, fit, listed)
        frames = {c.name: with_score(m, unseen, use_case.task) for c, m in zip(listed, models, strict=True)}
        frames[BASELINE] = with_baseline_score(unseen, fit_baseline(seen, use_case))
        found = judge_fold(frames, use_case)
    finally:
        seen.unpersist()
        unseen.unpersist()
    return {name: metrics[use_case.metric] for name, metrics in found.items()}


def _best_of_families(judged: Iterable[Candidate], metric: str) -> list[Candidate]:
    """The best candidate of each family, best first; of equals the first declared."""
    best: dict[str, Candidate] = {}
    for candidate in judged:
        known = best.get(candidate.family)
        if known is None or better(metric, candidate.mean, known.mean):
            best[candidate.family] = candidate
    return sorted(best.values(), key=lambda c: c.mean, reverse=HIGHER_IS_BETTER[metric])


def _ordered(rows: DataFrame, use_case: UseCase, settings: Train) -> DataFrame:
    """Rows in one order and one partitioning, whatever the machine: both change the last digits of a model."""
    order, rows = (AS_OF, use_case.entity.key), with_weights(rows, use_case.preparation)
    if settings.partitions == 1:  # by an exchange: XGBoost's barrier stage cannot stand on coalesced partitions
        return rows.repartition(1).sortWithinPartitions(*order)
    return rows.repartitionByRange(settings.partitions, *order).sortWithinPartitions(*order)


def _fit(
    ordered: DataFrame, use_case: UseCase, features: Sequence[Feature], candidate: Candidate, settings: Train
) -> PipelineModel:
    parameters = (candidate.family, candidate.parameters, settings.seed, use_case.preparation)
    return unfitted(use_case.task, features, *parameters).fit(ordered)


def _parallel(rows: DataFrame, threads: int, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """The results in the order of the items; Spark runs the jobs of the threads side by side."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(inheritable_thread_target(rows.sparkSession)(work), items))
