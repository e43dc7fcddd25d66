"""The folds of a plan: candidates fitted and judged on them."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.ml import Pipeline

from tidemill.models.baseline import fit_baseline, with_baseline_score
from tidemill.models.divisions import fold_fit_rows, fold_rows
from tidemill.models.fits import ordered, parallel, seen_features
from tidemill.models.judge import judge_fold
from tidemill.models.pipelines import family_stages, with_score
from tidemill.models.preparation import preprocessing, usable_features
from tidemill.models.tables import SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.ml.pipeline import PipelineModel
    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.candidates import Candidate
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase

BASELINE = "one feature"


class Folds:
    """The folds, prepared once for all candidates that see the same views, and kept until they are closed.

    Args:
        rows: the training set, cached by the caller.
        use_case: task, features and preparation.
        plan: the folds.
        settings: partitions, threads and seed.
    """

    def __init__(self, rows: DataFrame, use_case: UseCase, plan: Plan, settings: Train) -> None:
        self._rows, self._use_case, self._plan, self._settings = rows, use_case, plan, settings
        self._prepared: dict[tuple[int, tuple[str, ...]], tuple[DataFrame, DataFrame]] = {}
        self._baselines: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._plan.folds)

    def judge(self, number: int, candidates: Sequence[Candidate]) -> dict[str, float]:
        """The primary metric on a fold of each candidate by its name; they are fitted side by side."""
        use_case, settings = self._use_case, self._settings
        for without in dict.fromkeys(c.without for c in candidates):  # before the threads: they only read it
            self._prepare(number, without)
        models = parallel(self._rows, settings.parallel_fits, lambda c: self._fit(number, c), candidates)
        frames = {
            c.name: with_score(m, self._prepare(number, c.without)[1], use_case.task)
            for c, m in zip(candidates, models, strict=True)
        }
        if number not in self._baselines:
            seen, unseen = self._prepare(number, candidates[0].without if candidates else ())
            frames[BASELINE] = with_baseline_score(unseen, fit_baseline(seen, use_case))
        found = {name: metrics[use_case.metric] for name, metrics in judge_fold(frames, use_case).items()}
        if BASELINE in found:
            self._baselines[number] = found.pop(BASELINE)
        return found

    def baselines(self) -> tuple[float, ...]:
        """The one-feature baseline's metric on each fold."""
        for number in range(len(self)):
            if number not in self._baselines:
                self.judge(number, ())
        return tuple(self._baselines[number] for number in range(len(self)))

    def scores(self, candidate: Candidate) -> DataFrame:
        """The rows of all folds: entity, `label`, and the `score` of the candidate fitted anew without the fold."""
        use_case, numbers = self._use_case, range(len(self))
        unseen = [self._prepare(number, candidate.without)[1] for number in numbers]
        models = parallel(self._rows, self._settings.parallel_fits, lambda n: self._fit(n, candidate), numbers)
        scored = [with_score(model, rows, use_case.task) for model, rows in zip(models, unseen, strict=True)]
        kept = (use_case.entity.key, "label", SCORE)
        return reduce(lambda a, b: a.unionByName(b), [frame.select(*kept) for frame in scored])

    def close(self) -> None:
        """Lets go of the prepared rows."""
        for pair in self._prepared.values():
            for frame in pair:
                frame.unpersist()

    def _fit(self, number: int, candidate: Candidate) -> PipelineModel:
        known = (candidate.family, candidate.parameters, self._settings.seed, self._use_case.preparation)
        seen, _ = self._prepare(number, candidate.without)
        return Pipeline(stages=family_stages(self._use_case.task, *known)).fit(seen)

    def _prepare(self, number: int, without: tuple[str, ...]) -> tuple[DataFrame, DataFrame]:
        """Rows to learn from and to be judged on, as the families see them; preprocessing is fitted once for all."""
        if (number, without) not in self._prepared:
            use_case, fold = self._use_case, self._plan.folds[number]
            learned, judged_on = (
                self._rows.where(condition(self._plan, fold, use_case.entity.key))
                for condition in (fold_fit_rows, fold_rows)
            )
            train = ordered(learned, use_case, self._settings)
            features = seen_features(use_case, use_case.features, without)
            there = usable_features(learned, features, use_case.preparation.nulls)
            fitted = Pipeline(stages=preprocessing(there, use_case.preparation)).fit(train)
            pair = fitted.transform(train).persist(), fitted.transform(judged_on).persist()
            self._prepared[number, without] = pair
        return self._prepared[number, without]
