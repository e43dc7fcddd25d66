"""One source to bronze: what is new, and the two commits of each batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.cli.refining import REASON
from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.data import ledger
from tidemill.data.balance import check_balance
from tidemill.data.commit import commit
from tidemill.data.kinds import kind_of
from tidemill.data.kinds.kind import FetchedKind, FileKind, Landed, LandedFile, LogKind
from tidemill.data.landed_rows import accepted, good_rows, landed_columns, read_rows
from tidemill.data.landing import (
    GONE,
    digest_files,
    inspect_files,
    landed_batch,
    list_files,
    new_files,
    unsettled,
)
from tidemill.data.offsets import cut, new_ranges, unsettled_ranges
from tidemill.data.quarantine import INGEST, build_rejected, rejected_files
from tidemill.data.schema import delta_schema
from tidemill.data.tables import bronze_table, quarantine_table
from tidemill.data.worker_rows import FrameRows
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyspark.sql import DataFrame

    from tidemill.cli.context import Context
    from tidemill.data.sources import Source
    from tidemill.data.worker_rows import WorkerRows

_SHOWN = 3
_FILES = ("files_read", "files_known", "files_rejected", "files_ignored")


@dataclass(frozen=True)
class Ingested:
    """What became of one source.

    Args:
        batches: the balance of each batch.
        files: how many files were `files_read`, `files_known`, `files_rejected`, `files_ignored`.
        notes: what is worth knowing.
    """

    batches: tuple[Mapping[str, int], ...] = ()
    files: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(_FILES, 0))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of a batch, still unread.

    Args:
        all: the landed rows, of which workers keep the accepted ones; none where no file can be read.
        suspects: those among which the rejected ones are.
        more: columns to land beyond the contract's.
        rejected: rows of the quarantine that are known already: whole files.
    """

    all: WorkerRows | FrameRows | None
    suspects: Callable[[], DataFrame]
    more: tuple[str, ...] = ()
    rejected: tuple[dict[str, Any], ...] = ()


def ingest_source(context: Context, source: Source) -> Ingested:
    """Ingests what bronze does not hold yet of a source, of whatever kind."""
    contract = context.contract(source)
    kind = kind_of(contract.format)
    if isinstance(kind, LogKind):
        return _ingest_log(context, source, kind)
    place = context.place(source)
    if isinstance(kind, FetchedKind):
        context.progress.say(f"asking for {source.name}")
        kind.fetch(lambda: context.spark, contract, Path(place), context.now)
        return _ingest_files(context, source, kind.lands, place)
    return _ingest_files(context, source, kind, place)


def _ingest_files(context: Context, source: Source, kind: FileKind, place: str) -> Ingested:
    contract = context.contract(source)
    bronze, quarantine = bronze_table(source, contract), quarantine_table(source)
    context.progress.say(f"looking for files of {source.name}")
    listed = list_files(place, contract)
    files, unfinished = digest_files(listed)
    there = ledger.entries(context.root, bronze.label)
    # What a former run landed but did not settle comes first; then the new files, as one batch.
    batches = unsettled(there, ledger.entries(context.root, quarantine.label), files)
    fresh = new_files(files, there, source.name, replace=context.rebuild)
    if fresh:
        known = {name for entry in there for name in entry.inputs.get("files", {})}
        cause = "rebuild" if any(file.name in known for file in fresh) else "new"
        batches.append((landed_batch(source, contract, fresh, cause), fresh))
    done = [_land_files(context, source, kind, batch, part) for batch, part in batches]
    counts = {name: sum(d.files[name] for d in done) for name in _FILES} | {
        "files_known": len(files) - sum(len(part) for _, part in batches),
        "files_ignored": len(listed.ignored) + len(unfinished),
    }
    notes = [note for d in done for note in d.notes]
    if listed.ignored:
        notes.append(f"{source.name}: ignored {_some(listed.ignored)}, hidden or linked to elsewhere")
    if unfinished:
        notes.append(f"{source.name}: left {_some(unfinished)} for the next run, still being written")
    return Ingested(tuple(b for d in done for b in d.batches), counts, tuple(notes))


def _land_files(
    context: Context, source: Source, kind: FileKind, batch: Batch, files: Sequence[LandedFile]
) -> Ingested:
    contract, session = context.contract(source), context.spark
    context.progress.say(f"{source.name}: inspecting {len(files)} file(s)")
    found = inspect_files(session, kind, contract, files)
    _check_there(found, source)
    readable = [f for f in found if f.found.reason is None]
    context.progress.say(f"{source.name}: reading {len(readable)} file(s)")
    rejected = rejected_files(found, batch)
    rows = Rows(
        good_rows(session, kind, contract, readable, batch.batch_id) if readable else None,
        # A regular file has no row that could be malformed.
        lambda: read_rows(session, kind, contract, [f for f in readable if not f.found.regular]),
        landed_columns(contract, readable)[len(contract.landed) :],
        tuple(rejected),
    )
    facts = {"files_rejected": len(rejected), "files_read": len(readable)}
    counts = _land(context, source, batch, rows, facts)
    return Ingested((counts,), dict.fromkeys(_FILES, 0) | facts, _notes(source, found))


def _ingest_log(context: Context, source: Source, kind: LogKind) -> Ingested:
    contract = context.contract(source)
    bronze, quarantine = bronze_table(source, contract), quarantine_table(source)
    there = ledger.entries(context.root, bronze.label)
    batches = unsettled_ranges(there, ledger.entries(context.root, quarantine.label))
    context.progress.say(f"looking for records of {source.name}")
    ranges = new_ranges(kind.ends(context.spark, contract), there, source.name)
    for part in cut(ranges, context.config.stream.max_records):
        inputs = {"offsets": {place: list(ends) for place, ends in part.items()}, "contract": contract.digest}
        starts = {place: start for place, (start, _) in part.items()}
        batches.append((Batch(digest_of([source.name, starts])[:32], inputs), part))
    done = []
    for batch, part in batches:
        context.progress.say(f"{source.name}: {sum(stop - start for start, stop in part.values())} record(s)")
        frame = kind.read(context.spark, contract, part)
        landed = FrameRows(frame, {"batch_id": batch.batch_id}, accepted)
        done.append(_land(context, source, batch, Rows(landed, lambda frame=frame: frame), {}))  # type: ignore[misc]
    return Ingested(tuple(done))


def _land(context: Context, source: Source, batch: Batch, rows: Rows, facts: Mapping[str, int]) -> dict[str, int]:
    """Writes one batch in one scan: bronze, then what was rejected; only with the second is the batch settled."""
    contract, quarantine = context.contract(source), quarantine_table(source)
    bronze = bronze_table(source, contract, rows.more)
    read = malformed = 0
    if rows.all is not None:
        written = commit(context.lake, bronze, batch, rows.all)
        read = written.entry.counts["read"]
        malformed = read - written.entry.rows
    else:
        written = commit(context.lake, bronze, batch, pa.Table.from_pylist([], schema=delta_schema(bronze.columns)))
    failpoint("ingest.between_tables", source.name)
    counts = {"read": read, "accepted": written.entry.rows, "quarantined": malformed, "duplicates": 0}
    check_balance(counts, written.entry.rows, bronze.label)
    reasons: Counter[str] = Counter(row["reasons"][0] for row in rows.rejected)
    whole = pa.Table.from_pylist(list(rows.rejected), schema=delta_schema(quarantine.columns))
    if not malformed:
        _settle(context, source, batch, whole, {**counts, **facts}, reasons)
        return counts
    frame = build_rejected(rows.suspects(), INGEST, F.lit(batch.batch_id), batch.batch_id).persist()
    try:
        kinds = frame.select(F.explode("reasons").alias("reason")).groupBy("reason").count()
        reasons.update({row["reason"]: int(row["count"]) for row in kinds.toLocalIterator()})
        both = frame.unionByName(context.spark.createDataFrame(whole)) if rows.rejected else frame
        _settle(context, source, batch, both, {**counts, **facts}, reasons)
    finally:
        frame.unpersist()
    return counts


def _settle(
    context: Context,
    source: Source,
    batch: Batch,
    rejected: DataFrame | pa.Table,
    counts: Mapping[str, int],
    reasons: Mapping[str, int],
) -> None:
    named = {f"{REASON}{reason}": n for reason, n in sorted(reasons.items())}
    commit(context.lake, quarantine_table(source), batch, rejected, counts={**counts, **named})


def _check_there(found: Sequence[Landed], source: Source) -> None:
    """Refuses to go on without a file that has vanished between listing and reading."""
    for item in found:
        if item.found.reason == GONE:
            raise TidemillError(
                "E_FILE_GONE",
                f"the file {item.file.name!r} of source {source.name!r} vanished while it was read",
                where=str(item.file.path),
                next_step="run the same command again: it lists anew, and nothing was written",
                exit_code=Exit.TRY_AGAIN,
            )


def _notes(source: Source, found: Sequence[Landed]) -> tuple[str, ...]:
    notes = [
        f"{source.name}: {item.file.name} is rejected as a whole, {item.found.reason}: {item.found.detail}"
        for item in found
        if item.found.reason is not None
    ]
    if len(notes) > _SHOWN:
        more = len(notes) - _SHOWN
        notes = [*notes[:_SHOWN], f"{source.name}: and {more} more; tidemill quarantine list shows them"]
    for warning in sorted({w for item in found for w in item.found.warnings}):
        names = [item.file.name for item in found if warning in item.found.warnings]
        notes.append(f"{source.name}: {warning}: {_some(names)}")
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
