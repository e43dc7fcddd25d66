"""Landed files become bronze, as they are; rows that do not split into columns go to quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.data import ledger
from tidemill.data.balance import add_balances, check_balance
from tidemill.data.commit import commit
from tidemill.data.landing import MALFORMED, build_malformed, landed_batch, landed_files, new_files, read_landed
from tidemill.data.tables import bronze_table, quarantine_table

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.data.sources import Source


def run(context: Context) -> Result:
    """Ingests the new files of every source of the use case."""
    done = [_ingest(context, source) for source in context.use_case.sources]
    return Result(OK if any(d["read"] for d in done) else SKIPPED, add_balances(done))


def _ingest(context: Context, source: Source) -> dict[str, int]:
    contract = context.contract(source)
    bronze, quarantine = bronze_table(source, contract), quarantine_table(source)
    context.progress.say(f"looking for files of {source.name}")
    files = landed_files(context.place(source), contract)
    files = new_files(files, ledger.entries(context.root, bronze.label), source.name)
    if not files:
        return add_balances([])
    batch = landed_batch(source, contract, files)
    context.progress.say(f"{source.name}: reading {len(files)} file(s)")
    landed = read_landed(context.spark, contract, files).persist(StorageLevel.DISK_ONLY)
    try:
        read = landed.count()
        malformed = landed.where(F.col(MALFORMED).isNotNull()).count()
        counts = {"read": read, "accepted": read - malformed, "quarantined": malformed, "duplicates": 0}
        if malformed:
            commit(context.lake, quarantine, batch, build_malformed(landed, batch), counts=counts)
        failpoint("ingest.between_tables", source.name)
        rows = landed.where(F.col(MALFORMED).isNull()).withColumn("batch_id", F.lit(batch.batch_id))
        written = commit(context.lake, bronze, batch, rows, counts=counts)
        check_balance(counts, written.entry.rows, bronze.label)
    finally:
        landed.unpersist()
    return counts


if __name__ == "__main__":
    main("ingest", run)
