"""What is new of every source becomes bronze, as it is; rows and files that cannot be read go to quarantine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidemill.cli.exporting import leave
from tidemill.cli.ingesting import ingest_source
from tidemill.cli.job import main
from tidemill.cli.refining import refine_source
from tidemill.cli.refreshing import Refresher
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.parallel import side_by_side
from tidemill.data import ledger
from tidemill.data.balance import add_balances
from tidemill.data.slices import FIRST_KNOWN
from tidemill.monitoring.metrics import stream_metrics

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Ingests what is new of every source of the use case; with --stream goes on, refining it, until it is stopped."""
    if context.stream:
        _follow(context)
    found = side_by_side(lambda s: ingest_source(context, s), context.use_case.sources, context.config.parallel_tables)
    done = [counts for outcome in found for counts in outcome.batches]
    files = {name: sum(outcome.files[name] for outcome in found) for name in found[0].files}
    notes = tuple(note for outcome in found for note in outcome.notes)
    return Result(OK if done else SKIPPED, {**add_balances(done), **files}, notes=notes)


def _follow(context: Context) -> None:
    """Takes what arrives to silver until a signal ends the process: the next start goes on where this one stopped."""
    refresher = Refresher(context) if context.refresh else None
    while True:
        context.now = datetime.now(UTC)
        moved = 0
        for source in context.use_case.sources:
            counts = add_balances(ingest_source(context, source).batches)
            moved += counts["read"]
            refine_source(context, source)
            newest = ledger.entries(context.root, context.silver(source).label)[-1:]
            delay = [entry.committed_at - entry.counts[FIRST_KNOWN] for entry in newest if entry.rows]
            if counts["read"]:
                leave(context, stream_metrics(source.name, counts, delay[0] / 1e6 if delay else None))
                context.progress.say(f"{source.name}: {counts['read']} record(s)")
        for done in refresher.refresh() if refresher is not None else ():
            context.progress.say(f"{done.view}: {done.entities} entities, {done.written} written online")
        if not moved:
            time.sleep(context.config.stream.pause)


if __name__ == "__main__":
    main("ingest", run)
