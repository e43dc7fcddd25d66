"""Training set to candidates to the best, registered in MLflow under the alias `challenger`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from tidemill.cli.auditing import audit, refuse_leaks
from tidemill.cli.job import main
from tidemill.cli.plan import training_times
from tidemill.cli.reference import keep_references
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.retraining import why_not_to_train
from tidemill.cli.training import (
    challenger,
    finish,
    gate_metrics,
    keep_gate_scores,
    keep_training_set,
    log_search,
    made_of,
    of_fits,
    tags_of,
)
from tidemill.core.failpoints import failpoint
from tidemill.core.frozen import freeze
from tidemill.core.time import format_time
from tidemill.models.card import CARD, DECLARATION, build_card
from tidemill.models.checks import check_training_set
from tidemill.models.packaging import build_package
from tidemill.models.reasons import read_parts
from tidemill.models.reasons_rows import importance
from tidemill.models.search import search
from tidemill.models.splits import plan_splits
from tidemill.models.tables import training_sets_table
from tidemill.models.training_set import GATE, training_set_id, training_set_inputs
from tidemill.models.training_statistics import STATISTICS, column_statistics
from tidemill.models.wandb_runs import check_wandb

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Trains where the matured rows or the declaration changed since the last training."""
    use_case, settings = context.use_case, context.config.train
    check_wandb(context.config.services.wandb)
    label = use_case.label
    plan = plan_splits(training_times(context), use_case.splits, label.matures_after, use_case.grid)
    inputs = {**training_set_inputs(context.lake, use_case, plan.final), **context.again}
    identity = training_set_id(inputs, settings.of_fits())
    context.progress.say("opening the registry")
    registry = context.registry
    version = registry.version_of(use_case.name, identity)
    if version is not None:
        left = registry.unfinished(version)  # something ended that training after it had registered
        notes = tuple(n for parent in left for n in finish(context, parent, version, registry.document(version, CARD)))
        return Result(SKIPPED, model=challenger(version), notes=notes, facts={"training_set_id": identity})
    if (reason := why_not_to_train(context)) is not None:
        return Result(SKIPPED, notes=(reason,))
    audited = audit(context)
    refuse_leaks(context, audited.findings)
    rows, joined = keep_training_set(context, plan, identity, inputs)
    try:
        check_training_set(rows, use_case, plan, training_sets_table(use_case).label)
        with registry.training(use_case.name, identity, {"as_of": format_time(context.as_of)}) as parent:
            found = search(rows, use_case, plan, settings, context.root / "search", identity, context.progress.say)
            failpoint("train.searched")
            gate = keep_gate_scores(context, found, identity, inputs)
            card = build_card(use_case, found, gate, plan, identity, context.as_of, settings.of_fits())
            card |= {"audit": audited.batch_id, **made_of(inputs)}
            card |= of_fits(rows, use_case, found, settings, context.progress.say)
            held = column_statistics(rows, training_sets_table(use_case).columns)
            held |= {"training_set_id": identity, "profile": keep_references(context, identity)}
            documents = {CARD: card, DECLARATION: freeze(use_case), STATISTICS: held}
            context.progress.say("exporting the best")
            with TemporaryDirectory(dir=registry.temporary) as folder:
                best, classes = found.finalists[0].model, use_case.classes
                package = build_package(best, rows, use_case.task, Path(folder), classes, card["threshold"])
                card["importance"] = importance(rows.where(F.col("part") == GATE), read_parts(package.graph))
                context.progress.say("logging to MLflow")
                run_id, uri = log_search(registry, parent, identity, found, package, documents, use_case.metric)
            failpoint("train.logged")
    finally:
        rows.unpersist()
    version = registry.register(use_case.name, uri, run_id, identity, tags_of(card, use_case))
    failpoint("train.registered")
    notes = finish(context, parent, version, card)
    facts = {
        "candidates": len(found.candidates),
        "families": len(found.finalists),
        "search": found.said,
        "leaderboard": found.leaderboard,
        "training_set_id": identity,
        "family": card["family"],
        "threshold": card["threshold"],
        "registry": registry.place,
        "train_join": joined,
        "gate_evaluation": gate.path,
    }
    counts, metrics = {"rows": found.gate_rows}, gate_metrics(card)
    return Result(OK, counts, model=challenger(version), metrics=metrics, notes=notes, facts=facts)


if __name__ == "__main__":
    main("train", run)
