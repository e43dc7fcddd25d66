"""The commit primitive: the one way in which any table of the lake is written.

A batch is identified by what it was made from. Its identity and the digest of its inputs travel in the Delta commit
itself, the commit is read back before it counts, and a row in the ledger makes it visible. Whatever ends the process in
between, the next writer of the table finds either nothing, or a whole commit that carries all that its ledger row
needs: it is then ledgered as it stands. A lost answer is settled by reading the log, never by writing again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.lease import lease
from tidemill.data import ledger
from tidemill.data.places import is_delta, open_delta
from tidemill.data.write import COLUMNS_ADDED, METADATA, Batch, Slice, create, write_rows, write_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame

    from tidemill.data.tables import Lake, Table
    from tidemill.data.worker_rows import FrameRows, RowsApart, WorkerRows, WrittenFiles


def derived_batch(table: Table, inputs: dict[str, Any], cause: str = "new") -> Batch:
    """A batch made from other batches: its identity is the digest of the table, the slice and those batches."""
    return Batch(digest_of([table.label, table.declaration, inputs])[:32], inputs, cause)


@dataclass(frozen=True)
class Committed:
    """A batch that the table holds, and whether this call wrote it."""

    entry: ledger.Entry
    written: bool


def ledgered(lake: Lake, table: Table, batch: Batch) -> ledger.Entry | None:
    """The ledger's row of a batch, if the table holds it.

    Raises:
        TidemillError: E_BATCH_CHANGED (data) where the same identity was committed with other inputs.
    """
    for entry in ledger.entries(lake.root, table.label):
        if entry.batch_id == batch.batch_id:
            if entry.digest != batch.digest:
                raise TidemillError(
                    "E_BATCH_CHANGED",
                    f"batch {batch.batch_id} is already committed with other inputs",
                    where=f"{table.label} version {entry.version}",
                    next_step="give the changed input a name of its own, or run again with --rebuild",
                    exit_code=Exit.DATA,
                )
            return entry
    return None


def commit(
    lake: Lake,
    table: Table,
    batch: Batch,
    rows: DataFrame | FrameRows | WorkerRows | pa.Table,
    *,
    counts: Mapping[str, int] | None = None,
    replace: Slice | None = None,
) -> Committed:
    """Writes one batch, once.

    Args:
        lake: where, and who writes.
        table: the table; created here if it does not exist.
        batch: the identity and inputs of the rows.
        rows: a frame with the table's columns, the rows of a partition together in each of its parts; or rows of which
            workers leave some out, which are only appended; or an Arrow table, for small tables that are only appended
            to and need no JVM.
        counts: the step's counts, kept with the batch; those of rows of which some are left out gain `read`.
        replace: the rows that these take the place of; without it the rows are appended.

    Returns:
        The ledgered batch; `written` is False where it was there already.

    Raises:
        TidemillError: E_BATCH_CHANGED, E_DECLARATION (data), E_LEASE (try again), E_FOREIGN_WRITE (data),
            E_COMMIT_LOST (bug).
    """
    with lease(lake.root, f"table-{table.label}", owner=lake.run_id, timeout=lake.lease_timeout):
        there = create(lake, table)
        recover(lake, table, there)
        entry = ledgered(lake, table, batch)
        if entry is not None:
            return Committed(entry, written=False)
        failpoint("commit.before_write", table.label)
        return _write(lake, table, batch, rows, counts or {}, replace, there)


def commit_together(
    lake: Lake, table: Table, batches: Sequence[Batch], rows: DataFrame | RowsApart
) -> tuple[Committed, ...]:
    """Writes several batches whose rows come about in one pass, each once, one commit after the other.

    What is cut off in between has committed the first of them, whole; whoever asks for the others again has their rows
    made again.

    Args:
        lake: where, and who writes.
        table: as of `commit`; partitioned by `batch_id`.
        batches: the identities and inputs.
        rows: of all of them, with the table's columns; in each part of a frame the rows of a batch together.

    Returns:
        The ledgered batches, in their order.

    Raises:
        TidemillError: as `commit`.
        ValueError: a row belongs to none of the batches.
    """
    path = lake.path(table)
    with lease(lake.root, f"table-{table.label}", owner=lake.run_id, timeout=lake.lease_timeout):
        recover(lake, table, create(lake, table))
        known = [ledgered(lake, table, batch) for batch in batches]
        failpoint("commit.before_write", table.label)
        written = write_together(path, table, batches, rows) if None in known else {}
        return tuple(
            Committed(entry, written=False)
            if entry is not None
            else _write(lake, table, batch, written[batch.batch_id], {}, None, open_delta(path))
            for batch, entry in zip(batches, known, strict=True)
        )


def _write(
    lake: Lake,
    table: Table,
    batch: Batch,
    rows: DataFrame | FrameRows | WorkerRows | WrittenFiles | pa.Table,
    counts: Mapping[str, int],
    replace: Slice | None,
    there: DeltaTable,
) -> Committed:
    """Writes a batch that the ledger does not hold, and reads it back; under the table's lease."""
    path, before = lake.path(table), there.version()
    metadata = {
        "batch_id": batch.batch_id,
        "digest": batch.digest,
        "cause": batch.cause,
        "run_id": lake.run_id,
        "counts": dict(counts),
        "inputs": batch.inputs,
    }
    try:
        write_rows(path, table, batch, rows, metadata, replace)
    except Exception:
        # The write may have been made although its answer was lost: the log decides.
        if open_delta(path).version() == before:
            raise
    failpoint("commit.after_write", table.label)
    found = recover(lake, table, open_delta(path))
    if [e.batch_id for e in found] != [batch.batch_id]:
        raise TidemillError(
            "E_COMMIT_LOST",
            f"batch {batch.batch_id} was written but its commit is not in the table's log",
            where=f"{table.label} after version {before}",
            next_step="run the same command again and report this if it comes back",
            exit_code=Exit.BUG,
        )
    return Committed(found[0], written=True)


def settle(lake: Lake, table: Table) -> None:
    """Ledgers what an interrupted writer has committed, for a reader whose next step depends on it.

    Raises:
        TidemillError: E_LEASE (try again), E_FOREIGN_WRITE (data).
    """
    path = lake.path(table)
    if is_delta(path):
        with lease(lake.root, f"table-{table.label}", owner=lake.run_id, timeout=lake.lease_timeout):
            recover(lake, table, open_delta(path))


def recover(lake: Lake, table: Table, there: DeltaTable) -> list[ledger.Entry]:
    """Ledgers the commits that the table's log holds beyond its last ledgered version; returns them.

    Args:
        lake: the tables.
        table: the table.
        there: its newest version, opened by who holds its lease.

    Raises:
        TidemillError: E_FOREIGN_WRITE (data) where such a commit is not ours.
    """
    known = [entry.version for entry in ledger.entries(lake.root, table.label)]
    last = max(known, default=0)  # version 0 is the creation of the table
    added = []
    commits = _commits(there, last)
    # A RESTORE to the last ledgered version undoes all that stands before it: nothing of that is ledgered.
    undone = max((version for version, info in commits if _restored(info) == str(last)), default=last)
    for version, info in commits:
        if version <= undone or info.get(METADATA) == COLUMNS_ADDED:
            continue
        try:
            metadata = json.loads(info[METADATA])
            entry = ledger.Entry(
                table=table.label,
                version=version,
                committed_at=int(info["timestamp"]) * 1000,
                **{"rows": _rows(info), **metadata},
            )
        except (KeyError, TypeError, ValueError):
            raise TidemillError(
                "E_FOREIGN_WRITE",
                f"version {version} of the table was not written by this project",
                where=f"{table.label} at {lake.path(table)}",
                next_step=f"RESTORE the table to version {last}, or move the change into a source and ingest it",
                exit_code=Exit.DATA,
            ) from None
        failpoint("commit.before_ledger", table.label)
        ledger.append(lake, entry)
        failpoint("commit.after_ledger", table.label)
        added.append(entry)
    return added


def _commits(table: DeltaTable, after: int) -> list[tuple[int, dict[str, Any]]]:
    """The commits beyond a version, oldest first."""
    newest = table.version()
    if newest <= after:
        return []
    history = table.history(newest - after)
    return sorted(((int(info["version"]), info) for info in history if info["version"] > after), key=lambda c: c[0])


def _restored(info: dict[str, Any]) -> str | None:
    return str(info["operationParameters"].get("version")) if info["operation"] == "RESTORE" else None


def _rows(info: dict[str, Any]) -> int:
    """The rows of the batch; Spark counts among its output those of other batches that only moved to another file."""
    metrics = info.get("operationMetrics", {})
    written = int(metrics.get("numOutputRows", metrics.get("num_added_rows", 0)))
    return written - int(metrics.get("numCopiedRows", 0))
