"""How a model ages: at one as-of time after another it is trained on what was mature, and judged on what came after.

Every model has the same recipe, so that nothing differs but when it was trained. At each evaluated time the models of
all ages score the same rows: an older one is compared with the fresh one there, and what a month is like cancels out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.errors import TidemillError
from tidemill.core.time import format_time, to_micros
from tidemill.data.slices import times_predicate
from tidemill.features.pairs import AS_OF
from tidemill.models.checks import check_trainings
from tidemill.models.evaluate import build_metrics
from tidemill.models.fits import fit_recipe
from tidemill.models.pipelines import with_score
from tidemill.models.preparation import usable_features
from tidemill.models.specs import HIGHER_IS_BETTER
from tidemill.models.tables import judged_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from pyspark.sql import DataFrame

    from tidemill.core.train_config import Train
    from tidemill.models.candidates import Candidate
    from tidemill.models.use_case import UseCase

_CLEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Aged:
    """One model on the rows of one time.

    Args:
        trained_at: the as-of time of its training, in microseconds since the epoch; it knew the labels mature then.
        evaluated_at: the as-of time of the rows.
        age: steps of the grid from one to the other.
        rows: that were judged.
        value: the primary metric, or None where the rows do not allow it.
    """

    trained_at: int
    evaluated_at: int
    age: int
    rows: int
    value: float | None


@dataclass(frozen=True)
class Loss:
    """What models of one age lose to fresh ones on the same rows.

    Args:
        age: in steps of the grid.
        times: evaluated times at which both were judged.
        value: the mean of the metric of this age there.
        fresh: the mean of that of the fresh models.
        loss: by how much fresh ones are better, in the metric's unit, on average.
        error: the standard error of `loss` over the times, or None with less than three.
    """

    age: int
    times: int
    value: float
    fresh: float
    loss: float
    error: float | None

    @property
    def clear(self) -> bool:
        """Whether the loss is more than chance between the times explains: two standard errors."""
        return self.error is not None and self.loss > _CLEAR * self.error


def cutoffs(times: Sequence[datetime], matures_after: timedelta, most: int) -> dict[datetime, tuple[datetime, ...]]:
    """The newest times to train at, each with the times whose labels were mature then.

    Args:
        times: of the grid whose labels are mature now, oldest first.
        matures_after: horizon and delay of the label.
        most: so many at most.
    """
    known = {at: tuple(t for t in times if t + matures_after <= at) for at in times}
    return {at: known[at] for at in [at for at in times if known[at]][-most:]}


def replay(
    rows: DataFrame,
    use_case: UseCase,
    recipe: Candidate,
    settings: Train,
    trainings: dict[datetime, tuple[datetime, ...]],
    where: str,
    say: Callable[[str], None],
) -> list[Aged]:
    """Trains at each cut-off and judges each model on all evaluated times from then on.

    A cut-off whose rows teach nothing is said and left out: all their labels are the same, or no feature has values.

    Args:
        rows: cached by the caller: features and `label` of all matured times.
        use_case: task, features, metric.
        recipe: family and parameters of every model.
        settings: of the fits.
        trainings: each cut-off with the times to train on.
        where: the rows are from.
        say: tells what is being done.

    Raises:
        TidemillError: E_LABEL_VALUE, E_FEATURE_VALUE, E_ONE_CLASS, E_NO_FEATURES (data).
    """
    evaluated, frames = list(trainings), []
    fault: TidemillError | None = None
    idle = check_trainings(rows, use_case, trainings, where)
    for number, (at, known) in enumerate(trainings.items()):
        if at in idle:
            continue
        say(f"training {number + 1} of {len(trainings)}")
        train = rows.where(times_predicate(AS_OF, known))
        try:
            features = usable_features(train, use_case.features, use_case.preparation.nulls)
            model = fit_recipe(train, use_case, features, recipe, settings)
        except TidemillError as error:
            if error.code != "E_NO_FEATURES":
                raise
            idle[at], fault = error.what, error
            continue
        later = rows.where(times_predicate(AS_OF, evaluated[number:]))
        scored = with_score(model, later, use_case.task).select(AS_OF, "label", judged_on(use_case.task))
        frames.append(scored.withColumn("trained_at", F.lit(at)))
    for at, why in sorted(idle.items()):
        say(f"the training of {format_time(at)} is left out: {why}")
    if fault is not None and not frames:
        raise fault
    say("judging")
    metrics = build_metrics(reduce(lambda a, b: a.unionByName(b), frames), use_case.task, ["trained_at", AS_OF])
    moments = [F.unix_micros(name).alias(name) for name in ("trained_at", AS_OF)]
    found = metrics.select(*moments, "rows", use_case.metric).toLocalIterator()
    ordered = sorted((row["trained_at"], row[AS_OF], row["rows"], row[use_case.metric]) for row in found)
    steps = {to_micros(at): number for number, at in enumerate(sorted(evaluated))}
    return [Aged(trained, at, steps[at] - steps[trained], int(n), value) for trained, at, n, value in ordered]


def losses(found: Sequence[Aged], metric: str) -> list[Loss]:
    """What models lose to fresh ones with age, youngest first; age 0 is the fresh model itself."""
    fresh = {a.evaluated_at: a.value for a in found if a.age == 0}
    sign = 1.0 if HIGHER_IS_BETTER[metric] else -1.0
    made = []
    for age in sorted({a.age for a in found}):
        pairs = [(a.value, fresh.get(a.evaluated_at)) for a in found if a.age == age]
        both = [(value, best) for value, best in pairs if value is not None and best is not None]
        if not both:
            continue
        gaps = [sign * (best - value) for value, best in both]
        error = stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 2 and age else None
        means = (fmean(value for value, _ in both), fmean(best for _, best in both))
        made.append(Loss(age, len(both), *means, fmean(gaps), error))
    return made


def conclusion(found: Sequence[Loss], metric: str) -> str:
    """What the losses say about the retraining interval, in a sentence."""
    aged = [loss for loss in found if loss.age]
    if not aged:
        return "there is only one time to judge at: nothing can be said about how models age yet"
    first = next((loss for loss in aged if loss.clear), None)
    if first is None:
        return f"no model up to {aged[-1].age} grid step(s) old does clearly worse than a fresh one"
    told = f"{metric} {first.value:.4f} beside {first.fresh:.4f} over {first.times} times"
    return f"from an age of {first.age} grid step(s) on a model does clearly worse than a fresh one: {told}"


def as_rows(found: Sequence[Aged], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of backtests."""
    return [
        {
            **facts,
            "trained_at": a.trained_at,
            "evaluated_at": a.evaluated_at,
            "age": a.age,
            "rows": a.rows,
            "value": a.value,
        }
        for a in found
    ]
