"""Rejected rows sent the same way again, under the contract as it is now; or waived for good.

Rows that were rejected by `refine` still lie in bronze and are judged again. Rows and files that `ingest` could not
read are read again from their files, which must still be what they were. What passes leaves the quarantine's open rows;
what does not stays as it is. The same replay twice is one: its batch is known by the quarantine's batches and the
contract.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
from pyspark.sql import functions as F

from tidemill.cli.refining import judged_rows
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch
from tidemill.data.judgement import build_kinds, judge
from tidemill.data.kinds import kind_of
from tidemill.data.kinds.kind import FILE, LINE, POSITION, REASONS, FileKind
from tidemill.data.landed_rows import landed_columns, read_rows
from tidemill.data.landing import digest_files, inspect_files, list_files
from tidemill.data.layout import with_layout
from tidemill.data.quarantine import INGEST, OPEN, REFINE, REPLAYED, WAIVED, build_rejected
from tidemill.data.read import layout_of, read, read_arrow, version_of
from tidemill.data.slices import FIRST_KNOWN
from tidemill.data.tables import bronze_table, quarantine_table
from tidemill.data.versions import build_silver, keep_unknown, revised_rows
from tidemill.data.write import Batch, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.kinds.kind import LandedFile
    from tidemill.data.sources import Source
    from tidemill.data.tables import Table


@dataclass(frozen=True)
class Chosen:
    """The open rows of a source's quarantine that are to be replayed or waived.

    Args:
        batches: the quarantine's batches that hold them, by the step that rejected them.
        rows: how many they are, by the step.
        files: the files of those that `ingest` rejected.
    """

    batches: dict[str, tuple[str, ...]]
    rows: dict[str, int]
    files: tuple[str, ...]


def open_rows(context: Context, source: Source, batch: str | None) -> Chosen:
    """The open rows of a source, of one batch or of all."""
    table = quarantine_table(source)
    if version_of(context.lake, table) is None:
        return Chosen({}, {}, ())
    where = ds.field("state") == OPEN
    if batch is not None:
        where = where & (ds.field("batch_id") == batch)
    found = read_arrow(context.lake, table, ["step", "batch_id", FILE], where)
    batches: dict[str, set[str]] = {}
    for step, held in zip(found["step"].to_pylist(), found["batch_id"].to_pylist(), strict=True):
        batches.setdefault(step, set()).add(held)
    files = found.filter(pa.compute.equal(found["step"], INGEST))[FILE]
    return Chosen(
        {step: tuple(sorted(names)) for step, names in batches.items()},
        dict(Counter(found["step"].to_pylist())),
        tuple(sorted(set(files.to_pylist()))),
    )


def waive(context: Context, source: Source, chosen: Chosen, because: str) -> int:
    """Marks open rows as not wanted any more, with a reason that stays in the ledger; returns how many."""
    table = quarantine_table(source)
    batches = tuple(sorted({batch for names in chosen.batches.values() for batch in names}))
    inputs = {"waive": list(batches), "because": because, "rows": chosen.rows}
    marked = F.when(F.col("state") == OPEN, WAIVED).otherwise(F.col("state"))
    rows = _held(context, table, batches).withColumn("state", marked)
    commit(context.lake, table, derived_batch(table, inputs, "waive"), rows, replace=_batches(batches))
    return sum(chosen.rows.values())


def replay(context: Context, source: Source, chosen: Chosen) -> dict[str, int]:
    """Sends open rows the same way again; returns how many were released and how many rows came of them."""
    released = accepted = 0
    if chosen.rows.get(INGEST):
        one, two = _replay_landing(context, source, chosen.batches[INGEST], chosen.files)
        released, accepted = released + one, accepted + two
    if chosen.rows.get(REFINE):
        one, two = _replay_refining(context, source, chosen.batches[REFINE])
        released, accepted = released + one, accepted + two
    return {"released": released, "accepted_again": accepted}


def _replay_refining(context: Context, source: Source, batches: Sequence[str]) -> tuple[int, int]:
    lake, contract, silver = context.lake, context.contract(source), context.silver(source)
    quarantine = quarantine_table(source)
    held = _held(context, quarantine, batches)
    open_ = held.where((F.col("state") == OPEN) & (F.col("step") == REFINE))
    places = open_.select(F.col("bronze_batch_id").alias("batch_id"), FILE, POSITION)
    bronze = read(context.spark, lake, bronze_table(source, contract))
    landed = {str(row["batch_id"]) for row in places.select("batch_id").distinct().toLocalIterator()}
    rows = bronze.join(places, ["batch_id", FILE, POSITION], "left_semi")
    typed, known = judged_rows(context, source, rows, landed)
    judged = judge(row.asDict() for row in build_kinds(typed, source).toLocalIterator())
    good = judged.rows - judged.rejected
    if not good:
        return 0, 0
    valid = typed.where(F.size(REASONS) == 0)
    inputs = {"replay": list(batches), "contract": contract.digest}
    batch = derived_batch(silver, inputs, "new")
    # The balance of a row that leaves the quarantine: it was read before, and is not read again.
    facts = {"read": 0, "quarantined": -good, "revised": revised_rows(valid, source, contract, known)}
    fresh = build_silver(valid, source, contract).where("_rank = 1")
    fresh = keep_unknown(fresh, known) if known is not None else fresh
    placed = with_layout(fresh.withColumn("batch_id", F.lit(batch.batch_id)), silver, *layout_of(lake, silver))
    written = commit(lake, silver, batch, placed, counts={**facts, FIRST_KNOWN: judged.first_known})
    failpoint("replay.between_tables", source.name)
    passed = valid.select(F.col("batch_id").alias("bronze_batch_id"), FILE, POSITION, F.lit(REPLAYED).alias("_now"))
    ours = (F.col("state") == OPEN) & (F.col("step") == REFINE) & F.col("_now").isNotNull()
    marked = held.join(passed, ["bronze_batch_id", FILE, POSITION], "left")
    marked = marked.withColumn("state", F.when(ours, F.col("_now")).otherwise(F.col("state"))).select(*quarantine.names)
    done = derived_batch(quarantine, inputs, "replay")
    commit(lake, quarantine, done, marked, replace=_batches(batches))
    return good, written.entry.rows


def _replay_landing(context: Context, source: Source, batches: Sequence[str], names: Sequence[str]) -> tuple[int, int]:
    """Reads the files again of which `ingest` rejected rows or all."""
    lake, contract = context.lake, context.contract(source)
    kind, quarantine = kind_of(contract.format), quarantine_table(source)
    if not isinstance(kind, FileKind):
        raise TidemillError(
            "E_NO_REPLAY",
            f"the rejected records of {source.name!r} are no rows of files, and cannot be read again",
            where=f"{quarantine.label}, source of kind {contract.format!r}",
            next_step="deliver corrected records, or waive these",
            exit_code=Exit.DATA,
        )
    files = _same_files(context, source, names)
    found = inspect_files(context.spark, kind, contract, files)
    readable = [f for f in found if f.found.reason is None]
    if not readable:
        return 0, 0
    again_read = {f.name: f.digest for f in files}
    inputs = {"replay": list(batches), "contract": contract.digest, "again": again_read}
    bronze = bronze_table(source, contract, landed_columns(contract, readable)[len(contract.landed) :])
    batch = derived_batch(bronze, inputs, "new")
    held, names = _held(context, quarantine, batches), [f.file.name for f in readable]
    open_ = held.where((F.col("state") == OPEN) & (F.col("step") == INGEST) & F.col(FILE).isin(names))
    whole = open_.where(F.col(POSITION).isNull()).select(FILE).distinct().withColumn("_whole", F.lit(True))
    lines = open_.where(F.col(POSITION).isNotNull()).select(FILE, LINE).distinct().withColumn("_line", F.lit(True))
    rows = read_rows(context.spark, kind, contract, readable).join(F.broadcast(whole), FILE, "left")
    rows = rows.join(F.broadcast(lines), [FILE, LINE], "left")
    wanted = rows.where(F.col("_whole").isNotNull() | F.col("_line").isNotNull()).persist()
    try:
        good = wanted.where(F.col(REASONS).isNull())
        still = wanted.where(F.col(REASONS).isNotNull())
        stuck = still.select(FILE, LINE).distinct().withColumn("_stuck", F.lit(True))
        judged = held.join(stuck, [FILE, LINE], "left")
        again = (F.col("state") == OPEN) & (F.col("step") == INGEST) & F.col("_stuck").isNull()
        again = again & F.col(FILE).isin(names)
        released = judged.where(again).count()
        if not released:
            return 0, 0
        written = commit(lake, bronze, batch, good.withColumn("batch_id", F.lit(batch.batch_id)))
        failpoint("replay.landed", source.name)
        marked = judged.withColumn("state", F.when(again, REPLAYED).otherwise(F.col("state")))
        fresh = build_rejected(still.where("_whole"), INGEST, F.lit(batch.batch_id), batch.batch_id)
        # A file that was rejected as a whole was no row; its rows are read now. Other rows were read before.
        passed, rejected = judged.where(again & F.col(POSITION).isNotNull()).count(), fresh.count()
        accepted = written.entry.rows
        counts = {"read": accepted + rejected - passed, "accepted": accepted, "quarantined": rejected - passed}
        rows = marked.select(*quarantine.names).unionByName(fresh.select(*quarantine.names))
        done = Batch(batch.batch_id, inputs, "replay")
        places = _batches((*batches, batch.batch_id))
        commit(lake, quarantine, done, rows, counts={**counts, "duplicates": 0}, replace=places)
    finally:
        wanted.unpersist()
    return released, accepted


def _same_files(context: Context, source: Source, names: Sequence[str]) -> tuple[LandedFile, ...]:
    """The files as they were when they were rejected.

    Raises:
        TidemillError: E_FILE_CHANGED (data) where one is gone or was edited.
    """
    contract = context.contract(source)
    bronze = bronze_table(source, contract)
    digests: dict[str, str] = {}
    for entry in ledger.entries(context.root, bronze.label):
        digests |= entry.inputs.get("files", {})
    here = {file.name: file for file in digest_files(list_files(context.place(source), contract))[0]}
    found = []
    for name in names:
        file = here.get(name)
        if file is None or file.digest != digests.get(name):
            raise TidemillError(
                "E_FILE_CHANGED",
                f"the file {name!r} is not any more what it was when its rows were rejected",
                where=context.place(source),
                next_step="put it back as it was, or waive its rows",
                exit_code=Exit.DATA,
            )
        found.append(file)
    return tuple(found)


def _held(context: Context, quarantine: Table, batches: Sequence[str]) -> DataFrame:
    return read(context.spark, context.lake, quarantine).where(F.col("batch_id").isin(list(batches)))


def _batches(batches: Sequence[str]) -> Slice:
    return Slice("batch_id in ({})".format(", ".join(f"'{b}'" for b in batches)))
