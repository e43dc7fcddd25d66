"""A registered version made again and held against what was registered; what remains different is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.core.digest import digest_of_code
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.frozen import thaw
from tidemill.core.runs import run_folder, write_json
from tidemill.data.read import read
from tidemill.features.pinned_gold import join_pinned
from tidemill.models.card import CARD, DECLARATION, times_of
from tidemill.models.pipelines import with_score
from tidemill.models.reproduce import compare, fit_again
from tidemill.models.splits import plan_splits
from tidemill.models.tables import gate_scores_table, scored_columns, training_sets_table
from tidemill.models.training_set import with_parts

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.models.registry import Registry, Version
    from tidemill.models.reproduce import Difference
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase

REPORT = "reproduction.json"


def reproduce(context: Context, number: str) -> dict[str, Any]:
    """Makes a version again and writes what was found into the run's folder.

    Returns:
        The report, as JSON values: `training_set`, `rebuilt` (what was pinned against the set; null where the pins are
        gone), `gate_scores`, `metric`, `threshold`, `model_scores`, each with what differs; `equal`; `remaining`: what
        else is not as it was then.

    Raises:
        TidemillError: E_NO_VERSION (usage); E_NO_ROWS (no input) where the training set is gone.
    """
    registry = context.registry
    version = _version(context, registry, number)
    card = registry.document(version, CARD)
    use_case: UseCase = thaw(registry.document(version, DECLARATION))
    settings = context.config.train.model_copy(update=card["fit"])
    key, identity = use_case.entity.key, card["training_set_id"]
    final = times_of(card, "final")
    plan = plan_splits(final, use_case.splits, use_case.label.matures_after, use_case.grid)
    kept = _rows(context, use_case, identity).persist()
    try:
        context.progress.say("the training set from what was pinned")
        rebuilt, why_not = _rebuilt(context, use_case, identity, plan, kept)
        context.progress.say("both fits")
        made = fit_again(kept, use_case, card, plan, settings)
        table = gate_scores_table(use_case)
        gate = read(context.spark, context.lake, table).where(F.col("training_set_id") == identity)
        columns = scored_columns(use_case.task)
        on_gate = compare(gate, made.gate, key, columns)
        registered = with_score(registry.load(version), kept, use_case.task)
        on_all = compare(registered, with_score(made.model, kept, use_case.task), key, columns)
    finally:
        kept.unpersist()
    differences = {"rebuilt": rebuilt, "gate_scores": on_gate, "model_scores": on_all}
    report = {
        "model": version.name,
        "version": version.version,
        "training_set": identity,
        "equal": (made.value, made.threshold) == (card["gate_value"], card["threshold"])
        and all(d is None or d.none for d in differences.values()),
        "metric": {"name": card["metric"], "card": card["gate_value"], "again": made.value},
        "threshold": {"card": card["threshold"], "again": made.threshold},
        **{name: None if found is None else found.description() for name, found in differences.items()},
        "said": {name: found.said for name, found in differences.items() if found is not None},
        "remaining": [*([why_not] if why_not else []), *_remaining(context, registry, version)],
    }
    write_json(report_path(context), report)
    return report


def report_path(context: Context) -> Path:
    """Where a run leaves what it found."""
    return run_folder(context.root, context.lake.run_id) / REPORT


def refuse_different(context: Context, report: dict[str, Any]) -> None:
    """Raises where a version could not be made again as it was.

    Raises:
        TidemillError: E_NOT_REPRODUCED (data).
    """
    if report["equal"]:
        return
    metric, threshold = report["metric"], report["threshold"]
    found = [f"{name.replace('_', ' ')}: {said}" for name, said in report["said"].items()]
    raise TidemillError(
        "E_NOT_REPRODUCED",
        f"{report['model']} version {report['version']} came out different: {'; '.join(found)}; "
        f"{metric['name']} {metric['card']} then, {metric['again']} now; "
        f"threshold {threshold['card']} then, {threshold['again']} now",
        where=str(report_path(context)),
        next_step="; ".join(report["remaining"]) or "all else is as it was: report this as a fault of this project",
        exit_code=Exit.DATA,
    )


def _version(context: Context, registry: Registry, number: str) -> Version:
    name = context.use_case.name
    found = {version.version: version for version in registry.versions(name)}
    if number not in found:
        raise TidemillError(
            "E_NO_VERSION",
            f"there is no version {number!r} of {name!r}",
            where=registry.place,
            next_step=f"name one of {', '.join(sorted(found, key=int))}" if found else "train it first",
            exit_code=Exit.USAGE,
        )
    return found[number]


def _rows(context: Context, use_case: UseCase, identity: str) -> DataFrame:
    table = training_sets_table(use_case)
    rows = read(context.spark, context.lake, table).where(F.col("training_set_id") == identity)
    if rows.isEmpty():
        raise TidemillError(
            "E_NO_ROWS",
            f"the training set {identity} has no rows any more",
            where=table.label,
            next_step="bring the table back from a backup",
            exit_code=Exit.NO_INPUT,
        )
    return rows


def _rebuilt(
    context: Context, use_case: UseCase, identity: str, plan: Plan, kept: DataFrame
) -> tuple[Difference | None, str | None]:
    """What was pinned against the set; or why there is nothing to hold against it."""
    label, times = use_case.label, plan.final
    try:
        joined = join_pinned(context.spark, context.lake, identity, use_case.name, label, use_case.views, times)
        if joined is None:
            return None, f"the training set was taken as it was kept: nothing is pinned as {identity}"
        columns = [*(f.name for f in use_case.features), "label", "part"]
        return compare(kept, with_parts(joined, plan, use_case.entity.key), use_case.entity.key, columns), None
    except TidemillError as error:
        if error.code != "E_PIN":
            raise
        return None, f"the training set was taken as it was kept: {error.what}: {error.where}"


def _remaining(context: Context, registry: Registry, version: Version) -> list[str]:
    """What is not as it was when the version was made."""
    then, now = registry.packages(version)
    missing = "none of that name"
    found = [
        f"{package} then, {now.get(name, missing)} now" for name, package in then.items() if now.get(name) != package
    ]
    if digest_of_code() != version.tags.get("code"):  # older versions have no such tag
        found.append("the code of tidemill has changed since")
    if context.use_case.digest != version.tags["declaration"]:
        found.append("the use case's file has changed since; the registered declaration was used")
    return found
