"""Silver becomes gold: features at the training grid and at T, and the labels that are mature at T."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.cli.job import main
from tidemill.cli.plan import gold_builder, training_times
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.parallel import side_by_side
from tidemill.features.gold import commit_labels, commit_view

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Builds what is missing or outdated: of every view at the training times and the times asked for, and labels."""
    use_case, builder = context.use_case, gold_builder(context)
    asked = {context.as_of, *context.requested}
    matured = training_times(context)
    times = sorted({*matured, *asked})
    context.progress.say(f"{len(use_case.views)} view(s)")
    # Asked first: what a view was computed from does not change while it is.
    paths = {view.table_name: str(builder.path(view)) for view in use_case.views}
    counted = side_by_side(lambda v: commit_view(builder, v, times), use_case.views, context.config.parallel_tables)
    built = sum(counted)
    context.progress.say("labels")
    labelled = commit_labels(builder, use_case.name, use_case.label, matured)
    counts = {"as_of_times": built, "label_times": labelled}
    facts: dict[str, Any] = {"features": len(use_case.features), "views": len(use_case.views)}
    if built:
        facts["paths"] = {v.table_name: paths[v.table_name] for v, n in zip(use_case.views, counted, strict=True) if n}
    return Result(OK if built or labelled else SKIPPED, counts, facts=facts)


if __name__ == "__main__":
    main("build_features", run)
