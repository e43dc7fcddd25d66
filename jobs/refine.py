"""Bronze becomes silver: typed and valid rows as versions; the others go to quarantine with every reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.data import ledger
from tidemill.data.balance import add_balances, check_balance, end_to_end
from tidemill.data.commit import commit, derived_batch
from tidemill.data.landing import settled
from tidemill.data.layout import with_layout
from tidemill.data.read import layout_of, read, version_of
from tidemill.data.refine import (
    REASONS,
    build_reason_counts,
    build_rejected,
    build_silver,
    count_reasons,
    enforce_null_shares,
    first_known,
    keep_unknown,
    revised_rows,
    with_types,
)
from tidemill.data.slices import FIRST_KNOWN
from tidemill.data.tables import bronze_table, quarantine_table
from tidemill.data.write import Slice

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.data.sources import Source


def run(context: Context) -> Result:
    """Refines the bronze batches that silver does not hold yet, of every source of the use case."""
    done = [_refine(context, source) for source in context.use_case.sources]
    balances = [
        end_to_end(
            ledger.entries(context.root, quarantine_table(source).label),
            ledger.entries(context.root, context.silver(source).label),
        )
        for source in context.use_case.sources
    ]
    return Result(OK if any(done) else SKIPPED, add_balances(balances))


def _refine(context: Context, source: Source) -> bool:
    lake, contract = context.lake, context.contract(source)
    bronze, silver, quarantine = bronze_table(source, contract), context.silver(source), quarantine_table(source)
    landed = settled(ledger.entries(lake.root, bronze.label), ledger.entries(lake.root, quarantine.label))
    refined = {b for e in ledger.entries(lake.root, silver.label) for b in e.inputs.get("bronze", ())}
    todo = landed if context.rebuild else [b for b in landed if b not in refined]
    if not todo:
        return False
    # What a former run rejected but did not bring to silver is finished first, as the same batch.
    begun = [e.inputs["bronze"] for e in ledger.entries(lake.root, quarantine.label) if "bronze" in e.inputs]
    parts = [] if context.rebuild else [p for p in begun if set(p) <= set(todo)]
    rest = [b for b in todo if not any(b in p for p in parts)]
    for part in (*parts, rest):
        if part:
            _refine_batches(context, source, part)
    return True


def _refine_batches(context: Context, source: Source, todo: list[str]) -> None:
    lake, contract = context.lake, context.contract(source)
    bronze, silver, quarantine = bronze_table(source, contract), context.silver(source), quarantine_table(source)
    context.progress.say(f"{source.name}: checking {len(todo)} batch(es)")
    inputs = {"bronze": todo, "contract": contract.digest, **context.again}
    rows = read(context.spark, lake, bronze).where(F.col("batch_id").isin(todo))
    typed = with_types(rows, contract, context.now + timedelta(days=1))
    valid = typed.where(F.size(REASONS) == 0)
    kinds = [(tuple(row["reasons"]), int(row["count"])) for row in build_reason_counts(typed).toLocalIterator()]
    total, bad, reasons = count_reasons(kinds)
    enforce_null_shares(contract, total, reasons, silver.label)
    if bad:
        batch = derived_batch(quarantine, inputs, context.cause)
        frame = build_rejected(typed, "refine").withColumn("batch_id", F.lit(batch.batch_id))
        old = Slice("step = 'refine'") if context.rebuild else None
        commit(lake, quarantine, batch, frame, counts={f"reason:{r}": n for r, n in reasons.items()}, replace=old)
    failpoint("refine.between_tables", source.name)
    context.progress.say(f"{source.name}: {total - bad} valid rows")
    known = None
    if version_of(lake, silver) is not None and not context.rebuild:
        known = read(context.spark, lake, silver)
    facts = {
        "read": total,
        "quarantined": bad,
        "revised": revised_rows(valid, source, known),
        FIRST_KNOWN: first_known(valid, source),
    }
    seen, batch = Observation(), derived_batch(silver, inputs, context.cause)
    fresh = build_silver(valid.observe(seen, F.count(F.lit(1)).alias("valid")), source).where("_rank = 1")
    fresh = keep_unknown(fresh, known) if known is not None else fresh
    placed = with_layout(fresh.withColumn("batch_id", F.lit(batch.batch_id)), silver, *layout_of(lake, silver))
    everything = Slice("true") if context.rebuild else None
    written = commit(lake, silver, batch, placed, counts=facts, replace=everything)
    if written.written:
        kept = written.entry.rows
        balance = {"read": total, "accepted": kept, "quarantined": bad, "duplicates": int(seen.get["valid"]) - kept}
        check_balance(balance, kept, silver.label)


if __name__ == "__main__":
    main("refine", run)
