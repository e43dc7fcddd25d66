"""The champion over the population of an as-of time, once; a newer challenger beside it, in shadow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.freshness import check_freshness
from tidemill.cli.job import main
from tidemill.cli.models import check_still_declared, registered_graph, scoring_versions
from tidemill.cli.plan import gold_builder
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.slices import visible
from tidemill.features.gold import view_batches
from tidemill.models.registry import Registry
from tidemill.models.scoring import build_predictions
from tidemill.models.tables import predictions_table

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Scores what no batch of predictions holds yet: per as-of time, model version and gold batch."""
    use_case, lake = context.use_case, context.lake
    table, builder = predictions_table(use_case), gold_builder(context)
    notes = check_freshness(context)
    registry = Registry(context.root, context.config.services.tracking)
    written, population, facts = 0, 0, {}
    for at in dict.fromkeys((context.as_of, *context.requested)):
        gold = "-".join(b for view in use_case.views for b in view_batches(lake, view, [at]))
        entries = ledger.entries(lake.root, context.silver(use_case.label.population.source).label)
        versions = scoring_versions(context, registry, at)
        if not versions:
            raise TidemillError(
                "E_NO_MODEL",
                f"no version was champion at {format_time(at)}, and none that was trained by then is challenger",
                where=f"registered model {use_case.name!r}",
                next_step="run train and promote for that time first, or the whole pipeline",
                exit_code=Exit.NO_INPUT,
            )
        for role, version in versions:
            inputs = {
                "as_of": format_time(at),
                "model": version.version,
                "gold": gold,
                "population": list(visible(entries, at)),
                **context.again,
            }
            batch = derived_batch(table, inputs)
            entry = ledgered(lake, table, batch)
            if entry is None:
                context.progress.say(f"{role} version {version.version} at {format_time(at)}")
                beside = {
                    "model_version": version.version,
                    "role": role,
                    "gold_batch": gold,
                    "batch_id": batch.batch_id,
                }
                check_still_declared(registry, version, use_case)
                graph = registered_graph(registry, version, context.config.score.reasons)
                predictions = build_predictions(builder, use_case, at, graph, table, beside)
                facts = {"score_join": predictions.path}
                entry = commit(lake, table, batch, predictions.rows).entry
                written += entry.rows
                failpoint("score.committed", role)
            population = entry.rows if at == context.as_of else population
    if not population:
        raise TidemillError(
            "E_NO_POPULATION",
            f"nobody belongs to the population at {format_time(context.as_of)}",
            where=f"label {use_case.label.name!r} of use case {use_case.name!r}",
            next_step="choose an as-of time that the data cover, or check the population's condition",
            exit_code=Exit.NO_INPUT,
        )
    status = OK if written else SKIPPED
    return Result(status, {"scored": written}, metrics={"population": population}, notes=notes, facts=facts)


if __name__ == "__main__":
    main("score", run)
