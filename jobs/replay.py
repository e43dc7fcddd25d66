"""Rejected rows take the same way again under the contract as it is now, or are waived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.errors import Exit, TidemillError, nearest

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Replays or waives the open rows of one source or of all, of one batch or of all."""
    from tidemill.cli.replaying import open_rows, replay, waive

    asked = context.asked
    known = [s.name for s in context.use_case.sources]
    if asked.source is not None and asked.source not in known:
        raise TidemillError(
            "E_NO_SOURCE",
            f"the use case {context.use_case.name!r} has no source {asked.source!r}",
            where=f"--source {asked.source}",
            next_step=nearest(asked.source, known),
            exit_code=Exit.USAGE,
        )
    counts = {"open": 0, "released": 0, "accepted_again": 0, "waived": 0}
    for source in context.use_case.sources:
        if asked.source not in {None, source.name}:
            continue
        chosen = open_rows(context, source, asked.batch)
        counts["open"] += sum(chosen.rows.values())
        if not chosen.batches:
            continue
        if asked.because is not None:
            counts["waived"] += waive(context, source, chosen, asked.because)
            continue
        context.progress.say(f"{source.name}: {sum(chosen.rows.values())} open row(s)")
        for name, number in replay(context, source, chosen).items():
            counts[name] += number
    return Result(OK if counts["released"] or counts["waived"] else SKIPPED, counts)


if __name__ == "__main__":
    main("replay", run)
