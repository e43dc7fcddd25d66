"""What a training leaves in tables and the registry, and what its summary says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from tidemill.cli.evaluating import EVALUATION, evaluation_page
from tidemill.cli.reference import keep_references
from tidemill.core.digest import digest_of, digest_of_code
from tidemill.core.failpoints import failpoint
from tidemill.core.frozen import freeze
from tidemill.data.commit import commit
from tidemill.data.pins import pin
from tidemill.data.read import read
from tidemill.data.write import Batch
from tidemill.features.tables import labels_table, view_table
from tidemill.models.card import CARD, DECLARATION, build_card
from tidemill.models.evaluation import evaluate_table
from tidemill.models.fits import layout
from tidemill.models.gate_intervals import Gate, gate_intervals
from tidemill.models.learning_curve import learning_curve
from tidemill.models.metric_values import ENDS, scalars
from tidemill.models.packaging import build_package
from tidemill.models.promotion import CHALLENGER
from tidemill.models.reasons import read_parts
from tidemill.models.reasons_rows import importance
from tidemill.models.registry_runs import TRAINING_SET
from tidemill.models.search import search
from tidemill.models.tables import gate_scores_table, training_sets_table
from tidemill.models.training_set import GATE, build_training_set
from tidemill.models.training_statistics import STATISTICS, column_statistics
from tidemill.models.wandb_runs import copy_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

    from tidemill.cli.auditing import Audited
    from tidemill.cli.context import Context
    from tidemill.core.train_config import Train
    from tidemill.models.packaging import Package
    from tidemill.models.registry import Registry, Version
    from tidemill.models.search import Search
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase


@dataclass(frozen=True)
class Logged:
    """A training in MLflow, not registered yet.

    Args:
        run: of the best candidate.
        uri: of its model.
        search: what was tried.
        gate: how the best does on the gate rows.
        card: of the model.
    """

    run: str
    uri: str
    search: Search
    gate: Gate
    card: dict[str, Any]


def keep_training_set(context: Context, plan: Plan, identity: str, inputs: dict[str, Any]) -> tuple[DataFrame, str]:
    """Makes a training set and commits it; what it is made from is kept from compaction.

    Returns:
        Its rows, cached, for the caller to let go of; and how they were joined.
    """
    use_case, lake, table = context.use_case, context.lake, training_sets_table(context.use_case)
    context.progress.say("training set")
    # What it is made from is pinned before it is read: no compaction may take these files away later.
    for upstream in (*map(view_table, use_case.views), labels_table(use_case.name, use_case.label)):
        pin(lake, upstream, identity)
    joined = build_training_set(context.spark, lake, use_case, plan)
    built = joined.frame.withColumn("training_set_id", F.lit(identity))
    commit(lake, table, Batch(identity, inputs), built.sortWithinPartitions(*table.sort))
    failpoint("train.set_committed")
    pin(lake, table, identity, {"training_set_id": identity})
    rows = read(context.spark, lake, table).where(F.col("training_set_id") == identity)
    return rows.persist(), joined.said


def fit_and_log(
    context: Context,
    rows: DataFrame,
    plan: Plan,
    parent: str,
    identity: str,
    inputs: dict[str, Any],
    audited: Audited,
) -> Logged:
    """Tries every candidate, and logs them with what belongs to the best below the parent run of the training.

    Args:
        context: of the run.
        rows: the training set.
        plan: how it is divided.
        parent: the run.
        identity: of the training set.
        inputs: of its batch.
        audited: the audit that the card names.
    """
    use_case, settings, say, registry = context.use_case, context.config.train, context.progress.say, context.registry
    found = search(rows, use_case, plan, settings, context.root / "search", identity, say)
    failpoint("train.searched")
    gate = _keep_gate_scores(context, found, identity, inputs)
    card = build_card(use_case, found, gate, plan, identity, context.as_of, settings.of_fits())
    card |= {"audit": audited.batch_id, **_made_of(inputs), **_of_fits(rows, use_case, found, settings, say)}
    held = column_statistics(rows, training_sets_table(use_case).columns)
    held |= {"training_set_id": identity, "profile": keep_references(context, identity)}
    documents = {CARD: card, DECLARATION: freeze(use_case), STATISTICS: held}
    say("exporting the best")
    with TemporaryDirectory(dir=registry.temporary) as folder:
        best, classes = found.finalists[0].model, use_case.classes
        package = build_package(best, rows, use_case.task, Path(folder), classes, card["threshold"])
        card["importance"] = importance(rows.where(F.col("part") == GATE), read_parts(package.graph))
        say("logging to MLflow")
        run, uri = _log_search(registry, parent, identity, found, package, documents, use_case.metric)
    return Logged(run, uri, found, gate, card)


def _keep_gate_scores(context: Context, found: Search, identity: str, inputs: dict[str, Any]) -> Gate:
    """Commits the scores that the best's gate fit gives the gate rows, and judges them as they were kept.

    Also how sure the metrics are.
    """
    use_case, table = context.use_case, gate_scores_table(context.use_case)
    scores = found.finalists[0].gate_scores.withColumn("training_set_id", F.lit(identity))
    absent = {name: F.lit(None).cast(kind) for name, kind in table.columns if name not in scores.columns}
    scores = scores.withColumns(absent) if absent else scores
    commit(context.lake, table, Batch(identity, inputs), scores)
    only, threshold = {"training_set_id": identity}, found.decided.threshold
    judged = evaluate_table(context.spark, context.lake, table, only, use_case.task, threshold)
    rows = read(context.spark, context.lake, table).where(F.col("training_set_id") == identity)
    return Gate(judged.metrics, gate_intervals(rows, use_case, scalars(judged.metrics), threshold), judged.path)


def _of_fits(
    rows: DataFrame, use_case: UseCase, found: Search, settings: Train, say: Callable[[str], None]
) -> dict[str, Any]:
    """What the card says of the best's fits: how their rows lay, and the learning curve where it is asked for."""
    best = found.finalists[0]
    said: dict[str, Any] = {"layout": layout(use_case, best.candidate, settings)}
    if settings.learning_curve:
        say("learning curve")
        said["learning_curve"] = learning_curve(rows, use_case, best.candidate, best.gate_value, settings)
    return said


def _log_search(
    registry: Registry,
    parent: str,
    identity: str,
    found: Search,
    package: Package,
    documents: dict[str, Any],
    metric: str,
) -> tuple[str, str]:
    """Every candidate as a run; those of the finalists hold all metrics of the gate rows, and the package or pipeline.

    That of the best holds a page with its charts, too.

    Returns:
        The run of the best, and the URI of its model.
    """
    runs = {}
    judged = {f.candidate.name: {f"gate_{n}": v for n, v in scalars(f.gate_metrics).items()} for f in found.finalists}
    first = found.finalists[0].candidate.name
    plain = {name: value for name, value in judged[first].items() if not name.endswith(ENDS)}
    sure = {f"gate_{name}": value for name, value in documents[CARD]["gate_metrics"].items() if name.endswith(ENDS)}
    judged[first] = {**plain, **sure, **{f"train_{n}": value for n, value in scalars(found.train_metrics).items()}}
    for c in found.candidates:
        metrics = {f"fold_{i}_{metric}": value for i, value in enumerate(c.folds)} | (
            {} if c.stopped else {f"folds_{metric}": c.mean}
        )
        metrics |= judged.get(c.name, {})
        recipe = {"family": c.family, **c.parameters, **({"without": c.without} if c.without else {})}
        runs[c.name] = registry.log_candidate(parent, identity, c.name, recipe, metrics)
    best, *others = found.finalists
    for other in others:
        registry.log_model(runs[other.candidate.name], other.model, documents)
    pages = {EVALUATION: evaluation_page(documents[CARD])}
    return runs[best.candidate.name], registry.log_package(runs[best.candidate.name], package, {**documents, **pages})


def _made_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """What the card says a model was made of: the code's digest, and the batches of gold rows and labels."""
    return {"code": digest_of_code(), "data": {"gold": inputs["batches"], "labels": inputs["labels"]}}


def tags_of(card: dict[str, Any], use_case: UseCase) -> dict[str, str]:
    """The tags of a registered version: when, how and of what it was made; texts for people to search by."""
    said = {key: str(card[key]) for key in ("as_of", "family", "trained_until", "declaration", "code")}
    batches = {f"gold.{table}": made for table, made in card["data"]["gold"].items()}
    batches["gold.labels"] = card["data"]["labels"]
    said |= {name: _few(made) for name, made in batches.items()}
    return {**said, "views": ", ".join(f"{view.name} v{view.version}" for view in use_case.views)}


def _few(batches: list[str]) -> str:
    """Batches by name; of so many that nobody reads them, number and digest. The card names all."""
    most = 100
    return ",".join(batches) if len(batches) <= most else f"{len(batches)} batches, {digest_of(batches)}"


def finish(context: Context, parent: str, version: Version, card: dict[str, Any]) -> tuple[str, ...]:
    """The last steps of a training; its parent run ends last, so that a run still going means they are not done.

    Returns:
        Notes: what could not be done, and need not be.
    """
    registry, project = context.registry, context.config.services.wandb
    registry.set_alias(version.name, CHALLENGER, version.version)
    failpoint("train.aliased")
    note = ""
    if project:
        runs, identity = registry.tried(parent), version.tags[TRAINING_SET]
        note = copy_runs(project, version.name, identity, runs, context.root / "wandb")
    registry.finish(parent, {f"gate_{card['metric']}": card["gate_value"]})
    return (note,) if note else ()


def gate_metrics(card: dict[str, Any]) -> dict[str, Any]:
    """What the summary says of the gate rows; what does not apply is left out."""
    baseline = card["baseline"]
    found = {
        "gate_rows": card["gate_rows"],
        "gate_positive_rate": card["gate_positive_rate"],
        f"gate_{card['metric']}": card["gate_value"],
        f"baseline_{card['metric']}": baseline["gate_value"],
    }
    return {name: value for name, value in found.items() if value is not None}


def challenger(version: Version) -> dict[str, str]:
    """The version as the summary names it."""
    return {"name": version.name, "version": version.version, "alias": CHALLENGER}
