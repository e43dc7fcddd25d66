"""Bronze becomes silver: typed and valid rows as versions; the others go to quarantine with every reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.job import main
from tidemill.cli.refining import refine_sources
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.errors import Exit, TidemillError
from tidemill.data import ledger
from tidemill.data.balance import add_balances, end_to_end
from tidemill.data.tables import quarantine_table

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Refines the bronze batches that silver does not hold yet, of every source of the use case."""
    done = refine_sources(context)
    refused = [fault for outcome in done for fault in outcome.refused]
    if refused:
        raise TidemillError(
            "E_BATCH_REFUSED",
            f"{len(refused)} batch(es) went to quarantine as a whole: {refused[0]}",
            where=f"use case {context.use_case.name!r}",
            next_step="ask for a correct delivery; ./tidemill quarantine list shows the rows",
            exit_code=Exit.DATA,
        )
    balances = [
        end_to_end(
            ledger.entries(context.root, quarantine_table(source).label),
            ledger.entries(context.root, context.silver(source).label),
        )
        for source in context.use_case.sources
    ]
    notes = tuple(note for outcome in done for note in outcome.notes)
    return Result(OK if any(outcome.batches for outcome in done) else SKIPPED, add_balances(balances), notes=notes)


if __name__ == "__main__":
    main("refine", run)
