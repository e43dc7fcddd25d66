"""Training set to candidates to the best, registered in MLflow under the alias `challenger`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from tidemill.cli.auditing import audit, refuse_leaks
from tidemill.cli.job import main
from tidemill.cli.plan import training_times
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.retraining import why_not_to_train
from tidemill.cli.training import challenger, finish, gate_metrics, log_search, of_fits
from tidemill.core.failpoints import failpoint
from tidemill.core.frozen import freeze
from tidemill.core.time import format_time
from tidemill.data.commit import commit
from tidemill.data.pins import pin
from tidemill.data.read import read
from tidemill.data.write import Batch
from tidemill.features.tables import labels_table, view_table
from tidemill.models.card import CARD, DECLARATION, THRESHOLD, build_card
from tidemill.models.checks import check_training_set
from tidemill.models.evaluation import evaluate_table
from tidemill.models.packaging import build_package
from tidemill.models.reasons import read_parts
from tidemill.models.reasons_rows import importance
from tidemill.models.search import search
from tidemill.models.splits import plan_splits
from tidemill.models.tables import gate_scores_table, training_sets_table
from tidemill.models.training_set import GATE, build_training_set, training_set_id, training_set_inputs
from tidemill.models.training_statistics import STATISTICS, column_statistics

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Trains where the matured rows or the declaration changed since the last training."""
    use_case, lake, settings = context.use_case, context.lake, context.config.train
    label = use_case.label
    plan = plan_splits(training_times(context), use_case.splits, label.matures_after, use_case.grid)
    inputs = {**training_set_inputs(lake, use_case, plan.final), **context.again}
    identity = training_set_id(inputs, settings.of_fits())
    context.progress.say("opening the registry")
    registry = context.registry
    version = registry.version_of(use_case.name, identity)
    if version is not None:
        for parent in registry.unfinished(version):  # something ended that training after it had registered
            finish(registry, parent, version, registry.document(version, CARD))
        return Result(SKIPPED, model=challenger(version), facts={"training_set_id": identity})
    if (reason := why_not_to_train(context)) is not None:
        return Result(SKIPPED, notes=(reason,))
    audited = audit(context)
    refuse_leaks(context, audited.findings)
    spark, table = context.spark, training_sets_table(use_case)
    context.progress.say("training set")
    # What it is made from is pinned before it is read: no compaction may take these files away later.
    for upstream in (*map(view_table, use_case.views), labels_table(use_case.name, label)):
        pin(lake, upstream, identity)
    joined = build_training_set(spark, lake, use_case, plan)
    built = joined.frame.withColumn("training_set_id", F.lit(identity))
    commit(lake, table, Batch(identity, inputs), built.sortWithinPartitions(*table.sort))
    failpoint("train.set_committed")
    pin(lake, table, identity, {"training_set_id": identity})
    rows = read(spark, lake, table).where(F.col("training_set_id") == identity).persist()
    try:
        check_training_set(rows, use_case, plan, table.label)
        parent = registry.start_training(use_case.name, identity, {"as_of": format_time(context.as_of)})
        found = search(rows, use_case, plan, settings, context.root / "search", identity, context.progress.say)
        failpoint("train.searched")
        scores = found.finalists[0].gate_scores.withColumn("training_set_id", F.lit(identity))
        commit(lake, gate_scores_table(use_case), Batch(identity, inputs), scores)
        gate = evaluate_table(
            spark, lake, gate_scores_table(use_case), {"training_set_id": identity}, use_case.task, THRESHOLD
        )
        card = build_card(use_case, found, gate.metrics, plan, identity, context.as_of, settings.of_fits())
        card |= {"audit": audited.batch_id, **of_fits(rows, use_case, found, settings, context.progress.say)}
        held = column_statistics(rows, table.columns)
        documents = {CARD: card, DECLARATION: freeze(use_case), STATISTICS: {"training_set_id": identity, **held}}
        context.progress.say("exporting the best")
        with TemporaryDirectory(dir=registry.temporary) as folder:
            package = build_package(found.finalists[0].model, rows, use_case.task, Path(folder))
            card["importance"] = importance(rows.where(F.col("part") == GATE), read_parts(package.graph))
            context.progress.say("logging to MLflow")
            run_id, uri = log_search(registry, parent, identity, found, package, documents, use_case.metric)
        failpoint("train.logged")
    finally:
        rows.unpersist()
    tags = {key: str(card[key]) for key in ("as_of", "family", "trained_until", "declaration")}
    version = registry.register(use_case.name, uri, run_id, identity, tags)
    failpoint("train.registered")
    finish(registry, parent, version, card)
    facts = {
        "candidates": len(found.candidates),
        "families": len(found.finalists),
        "search": found.said,
        "leaderboard": found.leaderboard,
        "training_set_id": identity,
        "family": card["family"],
        "registry": registry.uri,
        "train_join": joined.said,
        "gate_evaluation": gate.path,
    }
    return Result(OK, {"rows": found.gate_rows}, model=challenger(version), metrics=gate_metrics(card), facts=facts)


if __name__ == "__main__":
    main("train", run)
