"""Training set to candidates to the best, registered in MLflow under the alias `challenger`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.auditing import audit, refuse_leaks
from tidemill.cli.job import main
from tidemill.cli.plan import training_times
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.retraining import why_not_to_train
from tidemill.cli.training import challenger, finish, fit_and_log, gate_metrics, keep_training_set, tags_of
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time
from tidemill.models.card import CARD
from tidemill.models.checks import check_training_set
from tidemill.models.splits import plan_splits
from tidemill.models.tables import training_sets_table
from tidemill.models.training_set import training_set_id, training_set_inputs
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
            logged = fit_and_log(context, rows, plan, parent, identity, inputs, audited)
            failpoint("train.logged")
    finally:
        rows.unpersist()
    found, card = logged.search, logged.card
    version = registry.register(use_case.name, logged.uri, logged.run, identity, tags_of(card, use_case))
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
        "gate_evaluation": logged.gate.path,
    }
    counts, metrics = {"rows": found.gate_rows}, gate_metrics(card)
    return Result(OK, counts, model=challenger(version), metrics=metrics, notes=notes, facts=facts)


if __name__ == "__main__":
    main("train", run)
