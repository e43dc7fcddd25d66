"""The champion over the population of an as-of time, once; a newer challenger beside it, in shadow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.freshness import check_freshness
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.scoring import graphs_of, reasons_said, score_time
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import format_time

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Scores what no batch of predictions holds yet: per as-of time, model version and gold batch."""
    notes = check_freshness(context)
    graph_of = graphs_of(context)
    times = dict.fromkeys((context.as_of, *context.requested))
    scored = {at: score_time(context, at, graph_of) for at in times}
    population = scored[context.as_of].population
    if not population:
        raise TidemillError(
            "E_NO_POPULATION",
            f"nobody belongs to the population at {format_time(context.as_of)}",
            where=f"label {context.use_case.label.name!r} of use case {context.use_case.name!r}",
            next_step="choose an as-of time that the data cover, or check the population's condition",
            exit_code=Exit.NO_INPUT,
        )
    written = sum(found.written for found in scored.values())
    notes = (*notes, *reasons_said(written, context.config.score.reasons))
    paths = [found.path for found in scored.values() if found.path is not None]
    facts = {"score_join": paths[-1]} if paths else {}
    status = OK if written else SKIPPED
    return Result(status, {"scored": written}, metrics={"population": population}, notes=notes, facts=facts)


if __name__ == "__main__":
    main("score", run)
