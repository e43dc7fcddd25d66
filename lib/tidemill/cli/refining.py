"""One source from bronze to silver: what is to be done, and the two commits of each batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pyspark import StorageLevel
from pyspark.sql import functions as F

from tidemill.core.failpoints import failpoint
from tidemill.core.parallel import side_by_side
from tidemill.core.time import from_micros
from tidemill.data import ledger
from tidemill.data.balance import check_balance
from tidemill.data.commit import commit, derived_batch
from tidemill.data.judgement import (
    batch_fault,
    build_kinds,
    enforce_null_shares,
    enforce_run,
    judge,
    volume_warning,
)
from tidemill.data.kinds.kind import RAW, REASONS
from tidemill.data.landing import settled
from tidemill.data.layout import with_layout
from tidemill.data.quarantine import REFINE, build_rejected
from tidemill.data.read import layout_of, read, version_of
from tidemill.data.refine import with_types
from tidemill.data.relations import with_relations
from tidemill.data.slices import FIRST_KNOWN
from tidemill.data.tables import bronze_table, quarantine_table
from tidemill.data.versions import DIGEST, build_silver, keep_unknown, revised_rows
from tidemill.data.write import Slice

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.judgement import Judgement
    from tidemill.data.sources import Source

REASON, WARNING = "reason:", "warning:"


@dataclass(frozen=True)
class Refined:
    """What became of the batches of one source.

    Args:
        batches: how many were refined.
        refused: why batches were rejected as a whole.
        notes: what is worth knowing.
    """

    batches: int = 0
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def refine_sources(context: Context) -> list[Refined]:
    """Refines all sources of the use case: first those that refer to no other, which the others may refer to."""
    sources, threads = context.use_case.sources, context.config.parallel_tables
    refers = {s: any(c.references is not None for c in context.contract(s).columns) for s in sources}
    done = side_by_side(lambda s: refine_source(context, s), [s for s in sources if not refers[s]], threads)
    return [*done, *(refine_source(context, s) for s in sources if refers[s])]


def refine_source(context: Context, source: Source) -> Refined:
    """Refines the bronze batches of a source that silver does not hold yet; all of them for a rebuild."""
    lake, contract = context.lake, context.contract(source)
    bronze, silver, quarantine = bronze_table(source, contract), context.silver(source), quarantine_table(source)
    landed = settled(ledger.entries(lake.root, bronze.label), ledger.entries(lake.root, quarantine.label))
    refined = {b for e in ledger.entries(lake.root, silver.label) for b in e.inputs.get("bronze", ())}
    todo = landed if context.rebuild else [b for b in landed if b not in refined]
    # What a former run rejected but did not bring to silver is finished first, as the same batch.
    begun = [e.inputs["bronze"] for e in ledger.entries(lake.root, quarantine.label) if "bronze" in e.inputs]
    parts = [] if context.rebuild else [p for p in begun if set(p) <= set(todo)]
    rest = [b for b in todo if not any(b in p for p in parts)]
    done = [_refine_batches(context, source, part) for part in (*parts, rest) if part]
    return Refined(len(done), tuple(r for d in done for r in d.refused), tuple(n for d in done for n in d.notes))


def judged_rows(
    context: Context, source: Source, rows: DataFrame, batches: Collection[str]
) -> tuple[DataFrame, DataFrame | None]:
    """Bronze rows typed and judged, and the silver that they were judged against, if there is any.

    What lies in the future is told by when the batches landed, plus a day: whoever finishes a batch later, after a
    crash, judges it as it was begun.
    """
    lake, contract, silver = context.lake, context.contract(source), context.silver(source)
    known = None
    if version_of(lake, silver) is not None and not context.rebuild:
        known = read(context.spark, lake, silver)
    wanted = {c.references.partition(".")[0] for c in contract.columns if c.references is not None}
    others = {
        s.name: read(context.spark, lake, context.silver(s)) for s in context.use_case.sources if s.name in wanted
    }
    entries = ledger.entries(lake.root, bronze_table(source, contract).label)
    landed = max(entry.committed_at for entry in entries if entry.batch_id in batches)
    typed = with_types(rows, contract, from_micros(landed) + timedelta(days=1), source)
    return with_relations(typed, contract, source, known, others), known


def _refine_batches(context: Context, source: Source, todo: list[str]) -> Refined:
    lake, contract = context.lake, context.contract(source)
    bronze = bronze_table(source, contract)
    context.progress.say(f"{source.name}: checking {len(todo)} batch(es)")
    inputs = {"bronze": todo, "contract": contract.digest, **context.again}
    landed = read(context.spark, lake, bronze).where(F.col("batch_id").isin(todo))
    typed, known = judged_rows(context, source, landed, todo)
    # Rows are typed once for the three questions that follow; their bytes are wanted of the rejected ones alone.
    slim = typed.drop(RAW, *((DIGEST,) if source.key else ())).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        return _commit_judged(context, source, inputs, typed, slim, known)
    finally:
        slim.unpersist()


def _commit_judged(
    context: Context,
    source: Source,
    inputs: dict[str, Any],
    typed: DataFrame,
    slim: DataFrame,
    known: DataFrame | None,
) -> Refined:
    """Writes what was rejected, then the versions that are left.

    Args:
        context: the run.
        source: whose rows these are.
        inputs: of the two batches.
        typed: the judged rows with their bytes.
        slim: the same rows without them, kept at hand.
        known: silver as it is, if there is any.
    """
    lake, contract, silver = context.lake, context.contract(source), context.silver(source)
    judged = judge(row.asDict() for row in build_kinds(slim, source).toLocalIterator())
    enforce_null_shares(contract, judged.rows, judged.reasons, silver.label)
    enforce_run(contract, judged, silver.label)
    fault = batch_fault(contract, judged)
    if fault is not None:  # nothing of it is accepted; what was wrong with single rows stays among the reasons
        refused = {REASONS: F.array_append(REASONS, F.lit("BATCH_REFUSED"))}
        typed, slim = typed.withColumns(refused), slim.withColumns(refused)
        judged = judge(row.asDict() for row in build_kinds(slim, source).toLocalIterator())
    if judged.rejected or judged.warnings:
        _commit_rejected(context, source, typed, inputs, judged)
    failpoint("refine.between_tables", source.name)
    context.progress.say(f"{source.name}: {judged.rows - judged.rejected} valid rows")
    valid = slim.where(F.size(REASONS) == 0)
    facts = {
        "read": judged.rows,
        "quarantined": judged.rejected,
        "revised": revised_rows(valid, source, contract, known),
        FIRST_KNOWN: judged.first_known,
    }
    batch = derived_batch(silver, inputs, context.cause)
    fresh = build_silver(valid, source, contract).where("_rank = 1")
    fresh = keep_unknown(fresh, known) if known is not None else fresh
    placed = with_layout(fresh.withColumn("batch_id", F.lit(batch.batch_id)), silver, *layout_of(lake, silver))
    everything = Slice("true") if context.rebuild else None
    written = commit(lake, silver, batch, placed, counts=facts, replace=everything)
    kept = written.entry.rows
    parts = {"accepted": kept, "quarantined": judged.rejected, "duplicates": judged.rows - judged.rejected - kept}
    check_balance({"read": judged.rows, **parts}, kept, silver.label)
    notes = [f"{source.name}: {n} row(s) with {reason}" for reason, n in judged.warnings.items()]
    notes += [f"{source.name}: {text}" for text in [volume_warning(contract, judged)] if text is not None]
    return Refined(1, () if fault is None else (f"{source.name}: {fault}",), tuple(notes))


def _commit_rejected(
    context: Context, source: Source, typed: DataFrame, inputs: dict[str, Any], judged: Judgement
) -> None:
    quarantine = quarantine_table(source)
    batch = derived_batch(quarantine, inputs, context.cause)
    frame = build_rejected(typed, REFINE, F.col("batch_id"), batch.batch_id)
    counts = {f"{REASON}{r}": n for r, n in judged.reasons.items()}
    counts |= {f"{WARNING}{r}": n for r, n in judged.warnings.items()}
    old = Slice(f"step = '{REFINE}'") if context.rebuild else None
    commit(context.lake, quarantine, batch, frame, counts=counts, replace=old)
