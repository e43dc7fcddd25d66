"""The ledger: one row for every batch that any table holds, in the order of their commits.

A row is what makes a batch exist for readers: tables are opened at their last ledgered version. The ledger is a small
Delta table of its own, written without a JVM. It lies below the root, wherever the other tables do: a run asks it
hundreds of times, each batch is a file of it, and what it says stands in the commits of the tables, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from tidemill.core.lease import lease
from tidemill.data.arrow_files import arrow_dataset
from tidemill.data.root_tables import LAKE
from tidemill.data.tables import OPS, Lake, Table

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = Table(
    OPS,
    "ledger",
    (
        ("table", "string"),
        ("batch_id", "string"),
        ("digest", "string"),
        ("cause", "string"),
        ("version", "bigint"),
        ("rows", "bigint"),
        ("run_id", "string"),
        ("committed_at", "timestamp"),
        ("counts", "string"),
        ("inputs", "string"),
    ),
)
_SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("batch_id", pa.string()),
        ("digest", pa.string()),
        ("cause", pa.string()),
        ("version", pa.int64()),
        ("rows", pa.int64()),
        ("run_id", pa.string()),
        ("committed_at", pa.timestamp("us", tz="UTC")),
        ("counts", pa.string()),
        ("inputs", pa.string()),
    ]
)
_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Entry:
    """One ledgered batch.

    Args:
        table: `layer.name`.
        batch_id: its identity.
        digest: of its inputs.
        cause: `new`, `late`, `rebuild`, `replay`, `waive` or `compact`.
        version: the table's Delta version that holds it.
        rows: rows written.
        run_id: the run that wrote it.
        committed_at: microseconds since the epoch, from the commit itself.
        counts: named counts of the step, such as `read` and `accepted`.
        inputs: what it was made from.
    """

    table: str
    batch_id: str
    digest: str
    cause: str
    version: int
    rows: int
    run_id: str
    committed_at: int
    counts: dict[str, int]
    inputs: dict[str, Any]


def entries(root: Path, label: str | None = None) -> list[Entry]:
    """The ledgered batches of one table, or of all, oldest first."""
    path = root / LAKE / OPS / LEDGER.name
    newest = max((path / "_delta_log").glob(f"{'[0-9]' * 20}.json"), default=None)
    if newest is None:
        return []
    # Opening a table reads its log, and a run asks hundreds of times: the newest entry of the log says whether to.
    known = newest.stat()
    found = _entries(path, int(newest.stem), (known.st_ino, known.st_mtime_ns, known.st_size))
    return [entry for entry in found if label is None or entry.table == label]


@lru_cache(maxsize=4)
def _entries(path: Path, version: int, newest: tuple[int, ...]) -> tuple[Entry, ...]:  # noqa: ARG001 - which log it was
    """All entries of one version: each is a file."""
    rows = arrow_dataset(DeltaTable(str(path), version=version), path).to_table()
    rows = rows.set_column(
        rows.schema.get_field_index("committed_at"), "committed_at", rows["committed_at"].cast(pa.int64())
    ).to_pylist()
    found = [Entry(**{**row, "counts": json.loads(row["counts"]), "inputs": json.loads(row["inputs"])}) for row in rows]
    return tuple(sorted(found, key=lambda e: (e.committed_at, e.table, e.version)))


def append(lake: Lake, entry: Entry) -> None:
    """Adds one row; writers in other processes wait for each other."""
    row = {
        **entry.__dict__,
        "counts": json.dumps(entry.counts, sort_keys=True),
        "inputs": json.dumps(entry.inputs, sort_keys=True),
    }
    with lease(lake.root, "ledger", owner=lake.run_id, timeout=_WAIT_SECONDS):
        write_deltalake(str(lake.folder(LEDGER)), pa.Table.from_pylist([row], schema=_SCHEMA), mode="append")
