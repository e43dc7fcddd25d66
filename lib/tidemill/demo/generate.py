"""The demo world as landing files: Spark distributes blocks of accounts, workers write the files themselves.

No row passes through the JVM or the driver: a worker simulates a block, writes its share of every table and hands back
counts. What the driver gathers is bounded by the number of periods, whatever the number of accounts.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.runs import write_json
from tidemill.core.time import format_time
from tidemill.demo.behaviour import PERIOD
from tidemill.demo.tables import ACTIVITY, TABLES, landed_tables
from tidemill.demo.truth import COUNTS, build_ranking, period_name, probability_counts
from tidemill.demo.world import START, World, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyspark.sql import SparkSession


WORLDS = ("churn",)
MANIFEST = "_manifest.json"
GENERATOR = 1  # raised when the same settings begin to make another world
_FILES = 256  # of a table, at most


def require_known(name: str) -> None:
    """Refuses the name of a world that nothing here makes.

    Raises:
        TidemillError: E_WORLD (configuration).
    """
    if name not in WORLDS:
        raise TidemillError(
            "E_WORLD",
            f"there is no demo world {name!r}",
            where=f"UseCase(world={name!r})",
            next_step=nearest(name, WORLDS),
            exit_code=Exit.CONFIGURATION,
        )


def require_past(world: World, now: datetime) -> None:
    """Refuses a world that lasts beyond the present: its events would be rejected as lying in the future.

    Raises:
        TidemillError: E_FUTURE (usage).
    """
    if _moment(world.months) > now:
        raise TidemillError(
            "E_FUTURE",
            f"a world of {world.months} months ends at {format_time(_moment(world.months))}, which is still to come",
            where=f"--set generate.months={world.months}",
            next_step=f"take at most {(now - START) // timedelta(seconds=PERIOD)} months",
            exit_code=Exit.USAGE,
        )


def find_manifest(folder: Path, world: World) -> dict[str, Any] | None:
    """The manifest of the same world, or None where nothing has been generated yet.

    Raises:
        TidemillError: E_OTHER_WORLD (data) where the folder holds another world, or files of another origin.
    """
    path = folder / MANIFEST
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if all(found.get(name) == value for name, value in _settings(world).items()):
            return found
        held = ", ".join(f"{name} {found.get(name)}" for name in _settings(world))
        asked = ", ".join(f"{name} {value}" for name, value in _settings(world).items())
        what = f"this root holds another demo world ({held}) than is asked for ({asked})"
    elif folder.is_dir() and any(folder.iterdir()):
        what = "the folder of the demo world holds files that were not generated"
    else:
        return None
    raise TidemillError(
        "E_OTHER_WORLD",
        what,
        where=str(path if path.exists() else folder),
        next_step="make the new world under another --root",
        exit_code=Exit.DATA,
    )


def generate(spark: SparkSession, world: World, folder: Path) -> dict[str, Any]:
    """Writes the world's files, all or none: they appear under their name when the last one is written.

    Args:
        spark: distributes the blocks.
        world: what is made; the same world makes the same rows in the same files.
        folder: of the world, one folder a table below it; must not exist or be empty.

    Returns:
        The manifest, which is also written beside the tables: settings, rows of each table, and for the start of every
        period the population, the share of it that churned and the ROC AUC of the true probabilities.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for table in TABLES:
        (unfinished / table).mkdir(parents=True)
    per_file = -(-world.blocks // _FILES)
    files = -(-world.blocks // per_file)
    write = functools.partial(_write_files, world=world, per_file=per_file, folder=str(unfinished))
    counts = spark.range(0, files, 1, files).mapInArrow(write, COUNTS)
    found = {row["name"]: row for row in build_ranking(counts).toLocalIterator()}
    manifest = {
        **_settings(world),
        "start": format_time(START),
        "until": format_time(_moment(world.months)),
        "rows": {table: int(found[table]["rows"]) for table in TABLES},
        "as_of": [_at(k, found[period_name(k)]) for k in range(world.months) if period_name(k) in found],
    }
    write_json(unfinished / MANIFEST, manifest)
    unfinished.replace(folder)
    return manifest


def _write_files(
    batches: Iterable[pa.RecordBatch], *, world: World, per_file: int, folder: str
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column(0).to_pylist():
            blocks = range(number * per_file, min((number + 1) * per_file, world.blocks))
            counts = write_file(world, number, blocks, Path(folder))
            columns = [pa.array(values) for values in zip(*counts, strict=True)]
            columns[1] = columns[1].cast(pa.int32())
            yield pa.RecordBatch.from_arrays(columns, ["name", "bin", "rows", "churned"])


def write_file(world: World, number: int, blocks: Iterable[int], folder: Path) -> list[tuple[str, int, int, int]]:
    """Writes one file of every table, block by block.

    Args:
        world: what is simulated.
        number: of the files.
        blocks: that they hold.
        folder: holds one folder a table.

    Returns:
        Counts: the rows of each table under its name, and `probability_counts` of every block.
    """
    counts: list[tuple[str, int, int, int]] = []
    places = {t: folder / t / f"part-{number:05d}{'.parquet' if t == ACTIVITY else '.csv.gz'}" for t in TABLES}
    # Spark may run a task twice, at the same time even: each writes a file of its own and gives it the name at the end.
    unfinished = {t: place.with_name(f".{place.name}.{os.getpid()}") for t, place in places.items()}
    with ExitStack() as stack:
        writers: dict[str, _Writer] = {}
        for block in blocks:
            simulated = simulate(world, block)
            for name, table in landed_tables(world, block, simulated).items():
                if name not in writers:
                    writers[name] = _writer(stack, unfinished[name], table.schema, is_parquet=name == ACTIVITY)
                writers[name].write_table(table)
                counts.append((name, 0, len(table), 0))
            counts += probability_counts(simulated)
    for name, place in places.items():
        unfinished[name].replace(place)
    return counts


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...


def _writer(stack: ExitStack, path: Path, schema: pa.Schema, *, is_parquet: bool) -> _Writer:
    if is_parquet:
        table: _Writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        return table
    raw = stack.enter_context(path.open("wb"))
    # Neither name nor time in the header: equal rows make equal bytes.
    packed = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0))
    options = pyarrow.csv.WriteOptions(quoting_style="none", quoting_header="none")
    rows: _Writer = stack.enter_context(pyarrow.csv.CSVWriter(packed, schema, write_options=options))
    return rows


def _settings(world: World) -> dict[str, int]:
    return {"generator": GENERATOR, "accounts": world.accounts, "months": world.months, "seed": world.seed}


def _moment(k: int) -> datetime:
    return START + timedelta(seconds=k * PERIOD)


def _at(k: int, row: Any) -> dict[str, Any]:
    rows, churned = int(row["rows"]), int(row["churned"])
    pairs = churned * (rows - churned)
    return {
        "as_of": format_time(_moment(k)),
        "population": rows,
        "churn_rate": churned / rows,
        "true_auc": int(row["won"]) / (2 * pairs) if pairs else None,
    }
