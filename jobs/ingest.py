"""Landed files become bronze, as they are; rows that do not split into columns go to quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.data import ledger
from tidemill.data.balance import add_balances, check_balance
from tidemill.data.commit import commit
from tidemill.data.landing import (
    MALFORMED,
    build_malformed,
    count_lines,
    landed_batch,
    landed_files,
    new_files,
    read_landed,
    unsettled,
)
from tidemill.data.schema import delta_schema
from tidemill.data.tables import bronze_table, quarantine_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.data.contract import Contract
    from tidemill.data.landing import LandedFile
    from tidemill.data.sources import Source


def run(context: Context) -> Result:
    """Ingests the new files of every source of the use case."""
    done = [counts for source in context.use_case.sources for counts in _ingest(context, source)]
    return Result(OK if done else SKIPPED, add_balances(done))


def _ingest(context: Context, source: Source) -> list[dict[str, int]]:
    contract = context.contract(source)
    bronze, quarantine = bronze_table(source, contract), quarantine_table(source)
    context.progress.say(f"looking for files of {source.name}")
    files = landed_files(context.place(source), contract)
    there = ledger.entries(context.root, bronze.label)
    # What a former run landed but did not settle comes first; then the new files, as one batch.
    batches = unsettled(there, ledger.entries(context.root, quarantine.label), files)
    new = new_files(files, there, source.name)
    return [_land(context, source, contract, part) for part in (*batches, new) if part]


def _land(context: Context, source: Source, contract: Contract, files: Sequence[LandedFile]) -> dict[str, int]:
    """Writes one batch in one scan: bronze, then what was malformed; only with the second is the batch settled."""
    bronze, quarantine = bronze_table(source, contract), quarantine_table(source)
    batch = landed_batch(source, contract, files)
    context.progress.say(f"{source.name}: reading {len(files)} file(s)")
    landed, seen = read_landed(context.spark, contract, files), Observation()
    rows = landed.observe(seen, *count_lines()).where(F.col(MALFORMED).isNull())
    written = commit(context.lake, bronze, batch, rows.withColumn("batch_id", F.lit(batch.batch_id)))
    found = seen.get if written.written else landed.agg(*count_lines()).toLocalIterator().__next__().asDict()
    failpoint("ingest.between_tables", source.name)
    read, bad = int(found["read"]), int(found["malformed"])
    counts = {"read": read, "accepted": written.entry.rows, "quarantined": bad, "duplicates": 0}
    check_balance(counts, written.entry.rows, bronze.label)
    none = pa.Table.from_pylist([], schema=delta_schema(quarantine.columns))
    commit(context.lake, quarantine, batch, build_malformed(landed, batch) if bad else none, counts=counts)
    return counts


if __name__ == "__main__":
    main("ingest", run)
