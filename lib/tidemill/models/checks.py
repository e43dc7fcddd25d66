"""What is asked of a training set before anything is fitted on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.slices import times_predicate
from tidemill.features.pairs import AS_OF
from tidemill.models.divisions import fold_fit_rows, fold_rows
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase


def check_training_set(rows: DataFrame, use_case: UseCase, plan: Plan, where: str) -> None:
    """Refuses a training set from which nothing can be learned or judged.

    Raises:
        TidemillError: E_NO_ROWS (no input) where the gate, a fold, or what trains for one of them is empty; E_ONE_CLASS
            (data) where its binary labels have one value only, or those that a fit on several classes learns from;
            E_CLASS (data) where a class has no row; E_LABEL_VALUE (data) where a label is not finite, or the number of
            no class; E_FEATURE_VALUE (data) where a feature is infinite.
    """
    key = use_case.entity.key
    parts = {f"{part} rows": F.expr(f"part = '{part}'") for part in (TRAIN, GATE)}
    judged = {f"{GATE} rows"}
    for number, fold in enumerate(plan.folds, 1):
        name = f"fold {number} of {len(plan.folds)}"
        parts[f"rows to train on for {name}"] = F.expr(fold_fit_rows(plan, fold, key))
        parts[f"rows of {name}"] = F.expr(fold_rows(plan, fold, key))
        judged.add(f"rows of {name}")
    found = _counted(rows, use_case, parts.values())
    if found["bad"]:
        raise _bad_labels(found, where)
    for place, name in enumerate(parts):
        if not found[f"rows_{place}"]:
            what, then = f"the training set has no {name}", "choose a later as-of time, or larger or fewer folds"
            raise _refused("E_NO_ROWS", what, where, then, Exit.NO_INPUT)
        may_be_one = use_case.task == MULTICLASS and name in judged  # a log loss needs no second class
        if not may_be_one and _one_class(found, place, use_case):
            what = f"all {found[f'rows_{place}']} {name} have the same label"
            then = "check the label's outcome and horizon, or make folds larger: there is nothing to tell apart"
            raise _refused("E_ONE_CLASS", what, where, then)
    unseen = [name for number, name in enumerate(use_case.classes) if not found[f"class_{number}"]]
    if unseen:
        what = f"no row of the training set is of the class {', '.join(map(repr, unseen))}"
        then = "see whether the outcome's column has that very value, or leave the class out of ClassIn"
        raise _refused("E_CLASS", what, where, then)
    _refuse_infinite(found, use_case, where)


def check_trainings(
    rows: DataFrame, use_case: UseCase, trainings: Mapping[datetime, Sequence[datetime]], where: str
) -> dict[datetime, str]:
    """Refuses rows that no model may learn from; of many trainings, those that teach nothing are but named.

    Args:
        rows: features and `label` at the times of all trainings.
        use_case: task, classes and features.
        trainings: each by its as-of time, with the times whose rows it sees.
        where: the rows are from.

    Returns:
        Why a training teaches nothing, by its as-of time: it has no row, or all its rows have the same label.

    Raises:
        TidemillError: E_LABEL_VALUE, E_FEATURE_VALUE (data) as for a training set; E_ONE_CLASS (data) where no training
            teaches anything.
    """
    found = _counted(rows, use_case, [F.expr(times_predicate(AS_OF, times)) for times in trainings.values()])
    if found["bad"]:
        raise _bad_labels(found, where)
    _refuse_infinite(found, use_case, where)
    idle = {}
    for place, at in enumerate(trainings):
        if not found[f"rows_{place}"]:
            idle[at] = "it has no row to train on"
        elif _one_class(found, place, use_case):
            idle[at] = f"all {found[f'rows_{place}']} rows to train on have the same label"
    if len(idle) == len(trainings):
        what = f"none of {len(trainings)} trainings has rows of different labels"
        raise _refused(
            "E_ONE_CLASS", what, where, "check the label's outcome and horizon, or choose a later as-of time"
        )
    return idle


def _counted(rows: DataFrame, use_case: UseCase, parts: Iterable[Column]) -> dict[str, Any]:
    """What is asked of rows at once: their labels and features, and how many rows and labels each part has."""
    label = F.col("label")
    numbers = _numbers(use_case)
    allowed = label.isin(*numbers) if numbers else F.abs(label) < float("inf")
    asked = {"bad": F.count_if(label.isNull() | ~allowed | F.isnan(label))}
    for place, condition in enumerate(parts):
        within = F.when(condition, label)
        asked |= {f"rows_{place}": F.count(within), f"one_{place}": F.min(within) == F.max(within)}
    asked |= {f"class_{number}": F.count_if(label == number) for number in range(len(use_case.classes))}
    asked |= {
        f"infinite_{n}": F.count_if(F.abs(F.col(name)) == float("inf")) for n, name in enumerate(_doubles(use_case))
    }
    row = rows.agg(*[column.alias(name) for name, column in asked.items()]).first()
    return {} if row is None else row.asDict()


def _numbers(use_case: UseCase) -> tuple[float, ...]:
    """The labels that a task knows; none for a regression, which takes any."""
    return {BINARY: (0.0, 1.0), MULTICLASS: tuple(float(n) for n in range(len(use_case.classes)))}.get(
        use_case.task, ()
    )


def _doubles(use_case: UseCase) -> list[str]:
    return [f.name for f in use_case.features if f.type == "double"]


def _one_class(found: Mapping[str, Any], place: int, use_case: UseCase) -> bool:
    return bool(_numbers(use_case)) and bool(found[f"one_{place}"])


def _bad_labels(found: Mapping[str, Any], where: str) -> TidemillError:
    return _refused("E_LABEL_VALUE", f"{found['bad']} labels are not usable numbers", where, "correct the label")


def _refuse_infinite(found: Mapping[str, Any], use_case: UseCase, where: str) -> None:
    counts = {name: found[f"infinite_{place}"] for place, name in enumerate(_doubles(use_case))}
    infinite = {name: count for name, count in counts.items() if count}
    if infinite:
        what = ", ".join(f"{name!r} in {count}" for name, count in list(infinite.items())[:5])
        what += f" and {len(infinite) - 5} more" if len(infinite) > 5 else ""
        then = "bound it where it is made: a minimum or maximum in the contract, or an Expression with min and max"
        raise _refused("E_FEATURE_VALUE", f"features are infinite: {what} training rows", where, then)


def _refused(code: str, what: str, where: str, next_step: str, exit_code: Exit = Exit.DATA) -> TidemillError:
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=exit_code)
