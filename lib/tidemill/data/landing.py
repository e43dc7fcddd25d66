"""Landed files: which there are, which are new, what each is, and the rows of those that can be read."""

from __future__ import annotations

import glob
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.core.digest import digest_of, digest_of_file
from tidemill.core.errors import Exit, TidemillError
from tidemill.data.file_tasks import answers, map_files
from tidemill.data.kinds.kind import FileKind, Inspection, Landed, LandedFile
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import SparkSession

    from tidemill.data.contract import Contract
    from tidemill.data.ledger import Entry
    from tidemill.data.sources import Source

_GLOB = "*?["
_THREADS = 8
GONE = "GONE"
_INSPECTED = (
    "number int, columns array<string>, reason string, detail string, regular boolean, warnings array<string>,"
    " schema string"
)


@dataclass(frozen=True)
class Listing:
    """What lies at a source's place.

    Args:
        files: names and paths of the files, ordered by name.
        ignored: names that are left out: hidden, or links to elsewhere.
    """

    files: tuple[tuple[str, Path], ...]
    ignored: tuple[str, ...]


def list_files(place: str, contract: Contract) -> Listing:
    """The files at a place: a file, a folder with all that is below it, or a glob.

    Raises:
        TidemillError: E_NO_FILES (no input) where there is none.
    """
    base = Path(place)
    if any(sign in place for sign in _GLOB) and not base.exists():
        while any(sign in str(base) for sign in _GLOB):
            base = base.parent
        paths: Iterable[Path] = [Path(p) for p in glob.glob(place, recursive=True)]  # noqa: PTH207 - absolute ones too
    elif base.is_dir():
        paths = (Path(folder) / name for folder, _, names in os.walk(base) for name in names)
    else:
        paths, base = [base], base.parent
    here = base.resolve()
    found: list[tuple[str, Path]] = []
    ignored: list[tuple[str, Path]] = []
    for path in paths:
        if not path.is_file():
            continue
        name = path.relative_to(base).as_posix()
        hidden = any(part.startswith((".", "_")) for part in Path(name).parts)
        elsewhere = path.is_symlink() and not path.resolve().is_relative_to(here)
        (ignored if hidden or elsewhere else found).append((name, here / name))
    if not found:
        raise TidemillError(
            "E_NO_FILES",
            f"the source {contract.name!r} has no file to read",
            where=place,
            next_step=f"put its files there, or name their place with --set sources.{contract.name}.path=...",
            exit_code=Exit.NO_INPUT,
        )
    return Listing(tuple(sorted(found)), tuple(sorted(name for name, _ in ignored)))


def digest_files(listed: Listing) -> tuple[tuple[LandedFile, ...], tuple[str, ...]]:
    """The files with their digests, and the names of those that are still being written."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(_digested, listed.files))
    files = tuple(file for file in found if isinstance(file, LandedFile))
    return files, tuple(name for name in found if isinstance(name, str))


def _digested(item: tuple[str, Path]) -> LandedFile | str:
    name, path = item
    try:
        before = _state(path)
        file = LandedFile(name, path, digest_of_file(path), before[0])
        return file if _state(path) == before else name
    except FileNotFoundError:  # listed, and gone since
        return name


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def new_files(
    files: Iterable[LandedFile], entries: Iterable[Entry], source: str, *, replace: bool = False
) -> tuple[LandedFile, ...]:
    """The files that no ledgered batch of bronze holds.

    Args:
        files: what is there now.
        entries: the ledger of bronze.
        source: its name, for the message.
        replace: whether an edited file is taken as a new one, beside what it held before.

    Raises:
        TidemillError: E_FILE_CHANGED (data) where a file was edited under its old name.
    """
    known: dict[str, set[str]] = {}
    for entry in entries:
        for name, digest in entry.inputs.get("files", {}).items():
            known.setdefault(name, set()).add(digest)
    fresh = []
    for file in files:
        if file.digest in known.get(file.name, ()):
            continue
        if file.name in known and not replace:
            raise TidemillError(
                "E_FILE_CHANGED",
                f"the file {file.name!r} of source {source!r} was edited after it had been ingested",
                where=str(file.path),
                next_step="restore it and deliver the correction under a new name, or take it as one with --rebuild",
                exit_code=Exit.DATA,
            )
        fresh.append(file)
    return tuple(fresh)


def settled(bronze: Iterable[Entry], quarantine: Iterable[Entry]) -> list[str]:
    """The bronze batches whose malformed rows are in quarantine, too, as far as there were any; in their order."""
    done = {entry.batch_id for entry in quarantine}
    return [entry.batch_id for entry in bronze if entry.batch_id in done]


def unsettled(
    bronze: Iterable[Entry], quarantine: Iterable[Entry], files: Iterable[LandedFile]
) -> list[tuple[Batch, tuple[LandedFile, ...]]]:
    """The bronze batches that an interrupted run did not settle, with their files.

    Raises:
        TidemillError: E_NO_FILES (no input) where such a file is gone.
    """
    done, here = {entry.batch_id for entry in quarantine}, {file.name: file for file in files}
    found = []
    for entry in bronze:
        if entry.batch_id in done or "files" not in entry.inputs:
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
        batch = Batch(entry.batch_id, entry.inputs, entry.cause)
        found.append((batch, tuple(here[name] for name in sorted(entry.inputs["files"]))))
    return found


def landed_batch(source: Source, contract: Contract, files: Sequence[LandedFile], cause: str = "new") -> Batch:
    """The batch of files that are ingested together: identified by their names, checked by their bytes."""
    digests = {file.name: file.digest for file in files}
    # Edited files are told from what they were by their bytes.
    identity = [source.name, sorted(digests)] if cause == "new" else [source.name, sorted(digests.items())]
    return Batch(digest_of(identity)[:32], {"files": digests, "contract": contract.digest}, cause)


def inspect_files(
    session: SparkSession, kind: FileKind, contract: Contract, files: Sequence[LandedFile]
) -> tuple[Landed, ...]:
    """Judges every file, in workers."""
    items = [((number, file.path), file.size) for number, file in enumerate(files)]
    frame = map_files(session, items, partial(_inspected, kind, contract), _INSPECTED)
    found: dict[int, Inspection] = {}
    for row in answers(frame):
        texts = (tuple(row["columns"]), row["reason"], row["detail"])
        found[row["number"]] = Inspection(*texts, row["regular"], tuple(row["warnings"]), row["schema"])
    return tuple(Landed(file, found[number]) for number, file in enumerate(files))


def _inspected(kind: FileKind, contract: Contract, item: tuple[int, Path]) -> Iterator[pa.RecordBatch]:
    number, path = item
    try:
        found = kind.inspect(path, contract)
    except FileNotFoundError:
        found = Inspection(reason=GONE)
    row = {"number": number, **found.__dict__, "columns": list(found.columns), "warnings": list(found.warnings)}
    yield pa.RecordBatch.from_pylist(
        [row],
        schema=pa.schema(
            [
                ("number", pa.int32()),
                ("columns", pa.list_(pa.string())),
                ("reason", pa.string()),
                ("detail", pa.string()),
                ("regular", pa.bool_()),
                ("warnings", pa.list_(pa.string())),
                ("schema", pa.string()),
            ]
        ),
    )
