"""Landed files: which there are, what they hold by digest, and how Spark reads them without judging them."""

from __future__ import annotations

import csv
import functools
import glob
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyspark.sql import functions as F

from tidemill.core.digest import digest_of, digest_of_file
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from tidemill.data.contract import Contract
    from tidemill.data.ledger import Entry
    from tidemill.data.sources import Source

MALFORMED = "_malformed"
_WHOLE_FILE = str(1 << 40)
_GLOB = "*?["


@dataclass(frozen=True)
class LandedFile:
    """A file that a source delivered.

    Args:
        name: relative to the folder that the source's place names; what the ledger knows it by.
        path: where it is now.
        digest: SHA-256 of its bytes.
    """

    name: str
    path: Path
    digest: str


def landed_files(place: str, contract: Contract) -> tuple[LandedFile, ...]:
    """The files at a place: a file, a folder with all that is below it, or a glob; ordered by name.

    Raises:
        TidemillError: E_NO_FILES (no input) where there is none.
    """
    base = Path(place)
    if any(sign in place for sign in _GLOB):
        while any(sign in str(base) for sign in _GLOB):
            base = base.parent
        paths = [Path(p) for p in glob.glob(place, recursive=True)]  # noqa: PTH207 - absolute patterns too
    elif base.is_dir():
        paths = list(base.rglob("*"))
    else:
        paths, base = [base], base.parent
    found = sorted(
        (str(p.relative_to(base)), p)
        for p in paths
        if p.is_file() and not any(part.startswith((".", "_")) for part in p.relative_to(base).parts)
    )
    if not found:
        raise TidemillError(
            "E_NO_FILES",
            f"the source {contract.name!r} has no file to read",
            where=place,
            next_step=f"put its files there, or name their place with --set sources.{contract.name}.path=...",
            exit_code=Exit.NO_INPUT,
        )
    return tuple(LandedFile(name, path.resolve(), digest_of_file(path)) for name, path in found)


def new_files(files: Iterable[LandedFile], entries: Iterable[Entry], source: str) -> tuple[LandedFile, ...]:
    """The files that no ledgered batch of bronze holds.

    Raises:
        TidemillError: E_FILE_CHANGED (data) where a file was edited under its old name.
    """
    known = {name: digest for entry in entries for name, digest in entry.inputs["files"].items()}
    for file in files:
        if known.get(file.name, file.digest) != file.digest:
            raise TidemillError(
                "E_FILE_CHANGED",
                f"the file {file.name!r} of source {source!r} was edited after it had been ingested",
                where=str(file.path),
                next_step="restore the file and deliver the correction under a new name",
                exit_code=Exit.DATA,
            )
    return tuple(file for file in files if file.name not in known)


def settled(bronze: Iterable[Entry], quarantine: Iterable[Entry]) -> list[str]:
    """The bronze batches whose malformed rows are in quarantine, too, as far as there were any; in their order."""
    done = {entry.batch_id for entry in quarantine}
    return [entry.batch_id for entry in bronze if entry.batch_id in done]


def unsettled(
    bronze: Iterable[Entry], quarantine: Iterable[Entry], files: Iterable[LandedFile]
) -> list[tuple[LandedFile, ...]]:
    """The files of the bronze batches that an interrupted run did not settle, batch by batch.

    Raises:
        TidemillError: E_NO_FILES (no input) where such a file is gone.
    """
    done, here = {entry.batch_id for entry in quarantine}, {file.name: file for file in files}
    found = []
    for entry in bronze:
        if entry.batch_id in done:
            continue
        gone = [name for name in entry.inputs["files"] if name not in here]
        if gone:
            raise TidemillError(
                "E_NO_FILES",
                f"an interrupted run has to be finished, but its file {gone[0]!r} is gone",
                where=f"{entry.table} batch {entry.batch_id}",
                next_step="put the file back and run the same command again",
                exit_code=Exit.NO_INPUT,
            )
        found.append(tuple(here[name] for name in sorted(entry.inputs["files"])))
    return found


def count_lines() -> list[Column]:
    """The aggregates `read` and `malformed` over landed rows."""
    return [F.count(F.lit(1)).alias("read"), F.count(MALFORMED).alias("malformed")]


def landed_batch(source: Source, contract: Contract, files: Sequence[LandedFile]) -> Batch:
    """The batch of files that are ingested together: identified by their names, checked by their bytes."""
    inputs = {"files": {file.name: file.digest for file in files}, "contract": contract.digest}
    return Batch(digest_of([source.name, sorted(inputs["files"])])[:32], inputs)


def read_landed(spark: SparkSession, contract: Contract, files: Sequence[LandedFile]) -> DataFrame:
    """Every landed row as strings, with `source_file`, `position` (from 1 within the file) and `_malformed`.

    `_malformed` holds the line where it does not split into the file's columns, and is null otherwise. Files whose
    columns stand in another order are read by their own header.

    Raises:
        TidemillError: E_HEADER (data) where a file lacks a column of the contract or has one that is not in it.
    """
    session = spark.newSession()
    # One file a task and no file in two, so that the row number within the task is the place within the file.
    session.conf.set("spark.sql.files.maxPartitionBytes", _WHOLE_FILE)
    session.conf.set("spark.sql.files.openCostInBytes", _WHOLE_FILE)
    groups: dict[tuple[str, ...], list[LandedFile]] = {}
    for file in files:
        groups.setdefault(_columns(contract, file), []).append(file)
    read = _read_csv if contract.format == "csv" else _read_parquet
    frames = [read(session, contract, header, group) for header, group in groups.items()]
    return functools.reduce(lambda one, other: one.unionByName(other), frames)


def _columns(contract: Contract, file: LandedFile) -> tuple[str, ...]:
    if contract.format == "parquet":
        header: tuple[str, ...] = tuple(pq.read_schema(file.path).names)
    else:
        opener = gzip.open if file.path.suffix == ".gz" else open
        with opener(file.path, "rt", encoding="utf-8", newline="") as text:
            header = tuple(next(csv.reader(text, delimiter=contract.delimiter), ()))
    for name in header:
        if name not in contract.landed:
            raise _header(file, f"the column {name!r} is not in the contract {contract.name!r}", name, contract.landed)
    for name in contract.landed:
        if name not in header:
            raise _header(file, f"the column {name!r} of the contract {contract.name!r} is missing", name, header)
    return header


def _header(file: LandedFile, what: str, name: str, known: Iterable[str]) -> TidemillError:
    return TidemillError(
        "E_HEADER",
        what,
        where=f"{file.path}, first line",
        next_step=f"correct the file or the contract; {nearest(name, known)}",
        exit_code=Exit.DATA,
    )


def _read_csv(
    session: SparkSession, contract: Contract, header: tuple[str, ...], files: Sequence[LandedFile]
) -> DataFrame:
    schema = ", ".join(f"`{name}` STRING" for name in (*header, MALFORMED))
    frame = (
        session.read.schema(schema)
        .option("header", "true")
        .option("sep", contract.delimiter)
        .option("escape", '"')
        .option("mode", "PERMISSIVE")
        .option("columnPruning", "false")  # a line that is read in part is never found to be malformed
        .option("columnNameOfCorruptRecord", MALFORMED)
        .csv([str(file.path) for file in files])
    )
    in_task = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << 33) - 1)) + 1
    # Spark refuses to read nothing but this column, so it is tied to another one, in a way that is not optimised away.
    other = F.length(F.coalesce(*_quoted(contract.landed[:1]), F.lit(""))) >= 0
    malformed = F.when(other, F.col(MALFORMED)).alias(MALFORMED)
    return frame.select(*_quoted(contract.landed), malformed, _name(files), in_task.alias("position"))


def _read_parquet(
    session: SparkSession, contract: Contract, _: tuple[str, ...], files: Sequence[LandedFile]
) -> DataFrame:
    frame = session.read.parquet(*[str(file.path) for file in files])
    return frame.select(
        *[F.col(f"`{name}`").cast("string").alias(name) for name in contract.landed],
        F.lit(None).cast("string").alias(MALFORMED),
        _name(files),
        (F.col("_metadata.row_index") + 1).alias("position"),
    )


def _quoted(names: Iterable[str]) -> list[Column]:
    return [F.col(f"`{name}`") for name in names]


def _name(files: Sequence[LandedFile]) -> Column:
    """The ledger's name of the file that a row comes from, cut out of Spark's URL of it."""
    base = str(files[0].path)[: -len(files[0].name)]
    path = F.url_decode(F.regexp_replace(F.col("_metadata.file_path"), r"\+", "%2B"))
    return F.substring_index(path, base, -1).alias("source_file")


def build_malformed(landed: DataFrame, batch: Batch) -> DataFrame:
    """The lines that do not split into the file's columns, in the form of the quarantine table."""
    return landed.where(F.col(MALFORMED).isNotNull()).select(
        F.array(F.lit("STRUCTURE")).alias("reasons"),
        F.col(MALFORMED).alias("raw"),
        F.md5(MALFORMED).alias("digest"),
        "source_file",
        "position",
        F.lit("ingest").alias("step"),
        F.lit(batch.batch_id).alias("bronze_batch_id"),
        F.lit(batch.batch_id).alias("batch_id"),
    )
