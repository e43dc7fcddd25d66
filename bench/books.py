"""The driver's bookkeeping at the size of ten terabytes: a million files, a hundred thousand batches, and not one row.

What a job asks before any row is read: the ledger of all batches, which batches of a table were known at a time, the
files of its snapshot by bucket, and which partitions are crowded. The rows of ten terabytes are not here, but their
books are: the log of a table that names a million files, and a ledger. Parts of it tell how it grows.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bench.harness import Contestant, Measured, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FILES: dict[Size, int] = {"small": 16_000, "full": 1_000_000}
BATCHES: dict[Size, int] = {"small": 1_600, "full": 100_000}
SCALES = (1, 4, 16)  # in sixteenths
BUCKETS, PERIODS = 64, 24
LABEL, NAME = "silver.events", "events"
CROWDED = 4
SCHEMA = [("account", "string"), ("event_time", "timestamp"), ("period", "string"), ("bucket", "integer")]


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Writes the books of three lakes: a ledger each, and the log of one table."""
    for scale in SCALES:
        root = folder / f"{scale}-sixteenths"
        _write_ledger(root / "lake" / "ops" / "ledger", BATCHES[size] * scale // SCALES[-1])
        _write_log(root / "lake" / "silver" / NAME / "_delta_log", FILES[size] * scale // SCALES[-1])


def _write_ledger(path: Path, batches: int) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    hour = 3_600_000_000
    inputs = [json.dumps({"files": {f"part-{n}.csv": f"{n:064x}"}}) for n in range(batches)]
    counts = [
        json.dumps({"accepted": 1000, "first_known": n * hour, "last_known": (n + 1) * hour}) for n in range(batches)
    ]
    write_deltalake(
        str(path),
        pa.table(
            {
                "table": pa.array([LABEL] * batches),
                "batch_id": pa.array([f"{n:032x}" for n in range(batches)]),
                "digest": pa.array([f"{n:064x}" for n in range(batches)]),
                "cause": pa.array(["new"] * batches),
                "version": pa.array([0] * batches, pa.int64()),
                "rows": pa.array([1000] * batches, pa.int64()),
                "run_id": pa.array(["bench"] * batches),
                "committed_at": pa.array([n * hour for n in range(batches)], pa.timestamp("us", "UTC")),
                "counts": pa.array(counts),
                "inputs": pa.array(inputs),
            }
        ),
    )


def _write_log(folder: Path, files: int) -> None:
    """The log's first commit, as Delta's protocol describes it; nobody opens the files that it names."""
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in SCHEMA]
    table = {
        "id": "00000000-0000-4000-8000-000000000000",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": ["period", "bucket"],
        "configuration": {"tidemill.buckets": str(BUCKETS), "tidemill.period": "month"},
        "createdTime": 0,
    }
    folder.mkdir(parents=True)
    with (folder / f"{0:020}.json").open("w", encoding="utf-8") as log:
        for action in ({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": table}):
            log.write(json.dumps(action) + "\n")
        for number in range(files):
            bucket, period = (
                number % BUCKETS,
                f"20{24 + number // BUCKETS % PERIODS // 12}-{number // BUCKETS % 12 + 1:02}",
            )
            add = {
                "path": f"period={period}/bucket={bucket}/part-{number:08}.snappy.parquet",
                "partitionValues": {"period": period, "bucket": str(bucket)},
                "size": 134_217_728,
                "modificationTime": 0,
                "dataChange": True,
                "stats": '{"numRecords":1000000}',
            }
            log.write(json.dumps({"add": add}) + "\n")


# ----------------------------------------------------------------------------------------------------- the contestants


def _books(scale: int) -> Callable[[Path, Path], None]:
    def run(data: Path, out: Path) -> None:
        from tidemill.core.time import from_micros
        from tidemill.data import ledger
        from tidemill.data.buckets import bucket_files
        from tidemill.data.slices import visible
        from tidemill.data.tables import Lake, Table
        from tidemill.data.upkeep import crowded_partitions

        root = data / f"{scale}-sixteenths"
        lake, table = Lake(root, "bench"), Table("silver", NAME, (), ("period", "bucket"), entity="account")
        entries = ledger.entries(root, LABEL)
        half = from_micros(len(entries) // 2 * 3_600_000_000)
        found = bucket_files(lake, table)
        answer = {
            "batches": len(entries) / scale,
            "known at half of the time": len(list(visible(entries, half))) / scale,
            "files": sum(len(bucket.paths) for bucket in found) / scale,
            "buckets": len(found),
            "rows": sum(bucket.rows for bucket in found) / scale,
            "crowded partitions": len(crowded_partitions(lake, table, CROWDED)),
        }
        (out / "answer").write_text(json.dumps(answer), "utf-8")

    return run


def _answer(out: Path) -> Any:
    found = json.loads((out / "answer").read_text("utf-8"))
    return {name: value for name, value in found.items() if name != "crowded partitions"}  # that grows by its own rule


def _name(scale: int) -> str:
    return f"books of {scale} sixteenths"


CONTESTANTS = [
    Contestant(_name(scale), "books", _books(scale), _answer, "reference" if scale == 1 else "ours") for scale in SCALES
]


def _growth(by: Mapping[str, Measured]) -> float:
    """The exponent of the size that CPU seconds grow with, from a quarter to the whole."""
    return math.log(by[_name(16)].cpu_s / by[_name(4)].cpu_s, 4)


TARGETS = [
    Target("exponent of the growth of CPU", _growth, 1.1),
    Target("GB of the driver's memory at the whole", lambda by: by[_name(16)].peak_mb / 1000, 4.0),
]

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS)
