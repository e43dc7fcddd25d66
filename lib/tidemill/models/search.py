"""The search for a model: candidates on folds, then the two fits of each family's best.

Selection sees the folds only. The gate fit, on times embargoed before the gate, is what promotion looks at; the final
fit, on all matured rows, is what is registered.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.features.pairs import AS_OF
from tidemill.models.automl import Space, asked_for, automl_space, is_automl
from tidemill.models.baseline import fit_baseline, with_baseline_score, with_constant_score
from tidemill.models.calibrated import calibrate
from tidemill.models.candidates import Candidate, best_of_families, leaderboard_lines, list_candidates
from tidemill.models.deciding import decide
from tidemill.models.fits import fit, ordered, parallel
from tidemill.models.folds import BASELINE, Folds
from tidemill.models.judge import judge
from tidemill.models.metric_values import scalars
from tidemill.models.pipelines import families_of, with_score
from tidemill.models.preparation import usable_features
from tidemill.models.scikit import MOST_ROWS
from tidemill.models.spaces import GRID
from tidemill.models.tables import scored_columns
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.ml.pipeline import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.baseline import AnyBaseline
    from tidemill.models.calibrating import Decided
    from tidemill.models.evaluate_sums import Metrics
    from tidemill.models.judge import Slice
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase

TRIVIAL = "constant"


@dataclass(frozen=True)
class Fitted:
    """The best candidate of a family with its two fits.

    Args:
        candidate: what was fitted.
        gate_value: the primary metric of the gate fit on the gate rows.
        gate_metrics: all its metrics there.
        gate_scores: the gate fit's scores: entity, `event_timestamp`, `label`, `score`, and of several classes
            `prediction` and `probabilities`.
        model: the final fit.
    """

    candidate: Candidate
    gate_value: float
    gate_metrics: Metrics
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
        trivial_gate: that of a constant: the mean label of the gate fit's rows, or the share of each class.
        gate_rows: labelled rows of the gate.
        gate_positive_rate: share of positive labels there, or None where the task is not binary.
        decided: the calibration and the threshold of the first finalist.
        train_metrics, slices: of the first finalist's gate fit, on the rows it was fitted on and by slices of the gate.
        said: the search in words.
        leaderboard: of a search by trials, as lines.
    """

    candidates: tuple[Candidate, ...]
    finalists: tuple[Fitted, ...]
    baseline: AnyBaseline
    baseline_folds: tuple[float, ...]
    baseline_gate: float
    trivial_gate: float
    gate_rows: int
    gate_positive_rate: float | None
    decided: Decided
    train_metrics: Metrics
    slices: tuple[Slice, ...]
    said: str
    leaderboard: tuple[str, ...]


@dataclass(frozen=True)
class Selected:
    """What the folds say.

    Args:
        candidates: all, with their folds.
        baseline: the one-feature baseline's metric on each fold.
        said: the search in words.
        leaderboard: of a search by trials, as lines.
    """

    candidates: tuple[Candidate, ...]
    baseline: tuple[float, ...]
    said: str
    leaderboard: tuple[str, ...] = ()


def search(
    rows: DataFrame,
    use_case: UseCase,
    plan: Plan,
    settings: Train,
    studies: Path,
    identity: str,
    say: Callable[[str], None],
) -> Search:
    """Selects on folds and fits the finalists.

    Args:
        rows: the training set, cached by the caller: features, `label`, `part`, entity and `event_timestamp`.
        use_case: task, features and candidates.
        plan: folds and gate.
        settings: partitions, threads, seed and search; all of them change the model.
        studies: the folder of searches by trials, which go on where they were stopped.
        identity: of the training set.
        say: tells what is being done.
    """
    features = usable_features(rows.where(F.col("part") == TRAIN), use_case.features, use_case.preparation.nulls)
    with closing(Folds(rows, use_case, plan, settings)) as folds:
        selected = _select(rows, use_case, folds, settings, studies / f"{use_case.name}.db", identity, say)
        best = best_of_families(selected.candidates, use_case.metric)
        decided = decide(folds, best[0], use_case)
    say(f"two fits of {len(best)} finalists")
    train, gate = rows.where(F.col("part") == TRAIN), rows.where(F.col("part") == GATE)
    early = ordered(train, use_case, settings).persist()
    late = ordered(rows, use_case, settings).persist()
    try:
        fits = [(c, frame) for c in best for frame in (early, late)]
        models = parallel(
            rows, settings.parallel_fits, lambda job: fit(job[1], use_case, features, job[0], settings), fits
        )
        baseline = fit_baseline(early, use_case)
    finally:
        early.unpersist()
        late.unpersist()
    models[:2] = [calibrate(model, decided.calibration) for model in models[:2]]  # both fits of the best
    scored = {c.name: with_score(m, gate, use_case.task) for c, m in zip(best, models[::2], strict=True)}
    trivial = with_constant_score(gate, baseline)
    everyone = {**scored, BASELINE: with_baseline_score(gate, baseline), TRIVIAL: trivial}
    on_gate = judge(everyone, with_score(models[0], train, use_case.task), use_case, decided.threshold)
    found = {name: scalars(metrics) for name, metrics in on_gate.gate.items()}
    kept = (use_case.entity.key, AS_OF, "label", *scored_columns(use_case.task))
    finalists = tuple(
        Fitted(c, found[c.name][use_case.metric], on_gate.gate[c.name], scored[c.name].select(*kept), final)
        for c, final in zip(best, models[1::2], strict=True)
    )
    return Search(
        selected.candidates,
        finalists,
        baseline,
        selected.baseline,
        found[BASELINE][use_case.metric],
        found[TRIVIAL][use_case.metric],
        int(found[BASELINE]["rows"]),
        found[BASELINE].get("positive_rate"),
        decided,
        on_gate.train,
        on_gate.slices,
        selected.said,
        selected.leaderboard,
    )


def _select(
    rows: DataFrame,
    use_case: UseCase,
    folds: Folds,
    settings: Train,
    study: Path,
    identity: str,
    say: Callable[[str], None],
) -> Selected:
    """Every candidate of the grid, or those that the trials of a search come to, on the folds."""
    by = asked_for(use_case, settings)
    if by.strategy == GRID:
        candidates = list_candidates(use_case, settings.only)
        for number in range(len(folds)):
            say(f"fold {number + 1} of {len(folds)}: {len(candidates)} candidates")
            values = folds.judge(number, candidates)
            candidates = tuple(replace(c, folds=(*c.folds, values[c.name])) for c in candidates)
        return Selected(candidates, folds.baselines(), f"{len(candidates)} candidates, all that are declared")
    from tidemill.models.optuna_search import run_trials

    found = run_trials(
        study,
        identity,
        _automl(rows, use_case) if is_automl(settings) else Space(use_case.models),
        by,
        folds,
        metric=use_case.metric,
        seed=settings.seed,
        width=settings.parallel_fits,
        say=say,
    )
    lines = leaderboard_lines(found.candidates, use_case.metric)
    return Selected(found.candidates, folds.baselines(), f"{by.strategy} search: {found.said}", lines)


def _automl(rows: DataFrame, use_case: UseCase) -> Space:
    """Families that know the task; of them scikit-learn's only where one worker can hold all rows."""
    families = families_of(use_case.task, use_case.preparation)
    few = rows.count() <= MOST_ROWS
    return automl_space(use_case, [family for family in families if few or not family.startswith("scikit_")])
