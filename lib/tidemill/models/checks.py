"""What is asked of a training set before anything is fitted on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.divisions import fold_fit_rows, fold_rows
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.training_set import GATE, TRAIN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
    parts = {f"{part} rows": f"part = '{part}'" for part in (TRAIN, GATE)}
    judged = {f"{GATE} rows"}
    for number, fold in enumerate(plan.folds, 1):
        name = f"fold {number} of {len(plan.folds)}"
        parts[f"rows to train on for {name}"] = fold_fit_rows(plan, fold, key)
        parts[f"rows of {name}"] = fold_rows(plan, fold, key)
        judged.add(f"rows of {name}")
    label = F.col("label")
    numbers = {BINARY: (0.0, 1.0), MULTICLASS: tuple(float(n) for n in range(len(use_case.classes)))}.get(use_case.task)
    allowed = label.isin(*numbers) if numbers else F.abs(label) < float("inf")
    asked = {"bad": F.count_if(label.isNull() | ~allowed | F.isnan(label))}
    for place, condition in enumerate(parts.values()):
        within = F.when(F.expr(condition), label)
        asked |= {f"rows_{place}": F.count(within), f"one_{place}": F.min(within) == F.max(within)}
    asked |= {f"class_{number}": F.count_if(label == number) for number in range(len(use_case.classes))}
    doubles = [f.name for f in use_case.features if f.type == "double"]
    asked |= {f"infinite_{place}": F.count_if(F.abs(F.col(n)) == float("inf")) for place, n in enumerate(doubles)}
    row = rows.agg(*[column.alias(name) for name, column in asked.items()]).first()
    found: dict[str, Any] = {} if row is None else row.asDict()
    if found["bad"]:
        raise _refused("E_LABEL_VALUE", f"{found['bad']} labels are not usable numbers", where, "correct the label")
    for place, name in enumerate(parts):
        if not found[f"rows_{place}"]:
            what, then = f"the training set has no {name}", "choose a later as-of time, or larger or fewer folds"
            raise _refused("E_NO_ROWS", what, where, then, Exit.NO_INPUT)
        enough_of_one = not numbers or (use_case.task == MULTICLASS and name in judged)  # a log loss needs no second
        if found[f"one_{place}"] and not enough_of_one:
            what = f"all {found[f'rows_{place}']} {name} have the same label"
            then = "check the label's outcome and horizon, or make folds larger: there is nothing to tell apart"
            raise _refused("E_ONE_CLASS", what, where, then)
    unseen = [name for number, name in enumerate(use_case.classes) if not found[f"class_{number}"]]
    if unseen:
        what = f"no row of the training set is of the class {', '.join(map(repr, unseen))}"
        then = "see whether the outcome's column has that very value, or leave the class out of ClassIn"
        raise _refused("E_CLASS", what, where, then)
    infinite = {name: found[f"infinite_{place}"] for place, name in enumerate(doubles) if found[f"infinite_{place}"]}
    if infinite:
        what = ", ".join(f"{name!r} in {count}" for name, count in list(infinite.items())[:5])
        what += f" and {len(infinite) - 5} more" if len(infinite) > 5 else ""
        then = "bound it where it is made: a minimum or maximum in the contract, or an Expression with min and max"
        raise _refused("E_FEATURE_VALUE", f"features are infinite: {what} training rows", where, then)


def _refused(code: str, what: str, where: str, next_step: str, exit_code: Exit = Exit.DATA) -> TidemillError:
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=exit_code)
