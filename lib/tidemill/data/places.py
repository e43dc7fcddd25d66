"""Where tables lie: folders of this machine or an object store, and the few things that are done with what lies there.

A local place is a `Path` and goes its old way. Of stores only this module knows: Arrow's file systems open their files,
delta-rs their logs, Hadoop's clients serve Spark; all three take credentials, region and endpoint from the same
variables of the environment, or from the machine's role.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem, FileType, LocalFileSystem, S3FileSystem

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltalake import DeltaTable

# Schemes of stores that can create an object only where there is none, by which commits are atomic; and Hadoop's names.
_SCHEMES = {"s3": "s3a", "gs": "gs", "abfss": "abfss"}
_JARS = {"s3": "jars-s3.lock"}


@dataclass(frozen=True)
class StorePath:
    """A folder or an object in a store.

    Args:
        address: its URI, without a slash at the end.
    """

    address: str

    def __truediv__(self, name: str) -> StorePath:
        """What lies below it."""
        return StorePath(f"{self.address}/{name}")

    def __str__(self) -> str:
        return self.address


Place = Path | StorePath


def parse_store(address: str, where: str) -> StorePath:
    """An address that somebody wrote as a place for tables.

    Args:
        address: such as `s3://bucket/folder`.
        where: it was written, for the message.

    Raises:
        TidemillError: E_TABLES (configuration) where tables cannot lie there.
    """
    parts = urlsplit(address)
    what = None
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        what = f"tables lie below the root, or at an address that begins with one of {known}"
    elif parts.password is not None or (parts.scheme == "s3" and parts.username is not None):
        what = "the address of tables holds credentials, which belong in the environment"
    elif not parts.hostname:
        what = "the address of tables names no bucket"
    elif parts.query or parts.fragment or "%" in address or "//" in parts.path:
        what = "the address of tables is more than a bucket and a plain path"
    if what is None:
        return StorePath(address.rstrip("/"))
    raise TidemillError(
        "E_TABLES",
        what,
        where=where,
        next_step="write s3://BUCKET/FOLDER, or leave it empty: docs/clusters.md",
        exit_code=Exit.CONFIGURATION,
    )


def place_at(path: str) -> Place:
    """The place that `str` made this text of."""
    return StorePath(path) if "://" in path else Path(path)


def sizes_of(places: Sequence[Place]) -> list[int | None]:
    """The bytes of files, None of one that is not there; a store is asked for many at once."""
    if not places or isinstance(places[0], Path):
        return [_size(place) for place in places if isinstance(place, Path)]
    files, paths = arrow_paths(places)
    return [info.size if info.type is FileType.File else None for info in files.get_file_info(paths)]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def remove(place: Place) -> bool:
    """Deletes a file, with the checksum that Spark writes beside a local one; whether there was one."""
    if isinstance(place, Path):
        there = place.exists()
        place.unlink(missing_ok=True)
        place.with_name(f".{place.name}.crc").unlink(missing_ok=True)
        return there
    there = sizes_of([place]) != [None]
    if there:
        files, (path,) = arrow_paths([place])
        files.delete_file(path)
    return there


def new_file(place: Place) -> pa.NativeFile:
    """Opens a file to write it, in a folder that may not be there yet; in a store it appears when it is closed."""
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
        return pa.OSFile(str(place), "wb")
    files, (path,) = arrow_paths([place])
    return files.open_output_stream(path)


def open_parquet(path: str, **options: Any) -> pq.ParquetFile:
    """A Parquet file of a table, by its place as a text, as workers are given it."""
    place = place_at(path)
    if isinstance(place, Path):
        return pq.ParquetFile(path, **options)
    files, (inner,) = arrow_paths([place])
    # Each request takes as long as a megabyte: the pieces of a row group are fetched together, and ahead.
    return pq.ParquetFile(inner, filesystem=files, pre_buffer=True, **options)


def spark_address(place: Place) -> str:
    """A place as Spark takes it."""
    if isinstance(place, Path):
        return str(place)
    scheme, rest = place.address.split("://")
    return f"{_SCHEMES[scheme]}://{rest}"


def spark_place(address: str) -> Place | None:
    """The place that Spark, or Feast, knows by an address; None where that is none of ours."""
    scheme, _, rest = address.partition(":")
    if "/" in scheme or not rest:
        return Path(address).resolve()
    if scheme == "file":
        return Path(unquote(urlsplit(address).path)).resolve()
    ours = next((name for name, theirs in _SCHEMES.items() if theirs == scheme), None)
    return StorePath(f"{ours}:{rest.rstrip('/')}") if ours else None


def spark_jars(place: Place) -> str | None:
    """The file that names the JARs that Spark needs for a place beside its usual ones; None where we know of none."""
    return _JARS.get(str(place).partition("://")[0])


def storage_options(place: Place) -> dict[str, str] | None:
    """What delta-rs has to be told of a place beyond the environment: that an endpoint without TLS is meant."""
    return {"allow_http": "true"} if isinstance(place, StorePath) and _endpoint().startswith("http://") else None


def open_delta(place: Place, version: int | None = None) -> DeltaTable:
    """The Delta table in a folder, at a version or the newest."""
    from deltalake import DeltaTable  # here: workers that read files only import this module, too

    return DeltaTable(str(place), version=version, storage_options=storage_options(place))


def is_delta(place: Place) -> bool:
    """Whether a folder holds a Delta table."""
    from deltalake import DeltaTable

    return bool(DeltaTable.is_deltatable(str(place), storage_options(place)))


def require_store(place: StorePath) -> None:
    """One request that fails where the bucket is not there or the store does not let us in.

    Raises:
        OSError: in the words of Arrow.
    """
    parts = urlsplit(place.address)
    files, (bucket,) = arrow_paths([StorePath(f"{parts.scheme}://{parts.netloc}")])
    if files.get_file_info(bucket).type is not FileType.Directory:
        raise FileNotFoundError("NoSuchBucket")


def arrow_paths(places: Sequence[Place]) -> tuple[FileSystem, list[str]]:
    """Places of one table as Arrow takes them: their file system, and their names in it."""
    if not places or isinstance(places[0], Path):
        return LocalFileSystem(), [str(place) for place in places]
    scheme, _, rest = str(places[0]).partition("://")
    authority = rest.partition("/")[0]
    files, base = _file_system(scheme, authority, _endpoint())
    start = len(f"{scheme}://{authority}")
    return files, [f"{base}{str(place)[start:]}" for place in places]


@lru_cache(maxsize=4)
def _file_system(scheme: str, authority: str, endpoint: str) -> tuple[FileSystem, str]:
    """Once a process, which keeps its connections and looks up the region once; and the name of the bucket in it."""
    if scheme == "s3":
        region = os.environ.get("AWS_REGION")
        # A small file is one request in place of three.
        return S3FileSystem(endpoint_override=endpoint or None, region=region, allow_delayed_open=True), authority
    files, base = FileSystem.from_uri(f"{scheme}://{authority}")
    return files, base


def _endpoint() -> str:
    """The address of an S3 that is not Amazon's, as its clients read it; else nothing."""
    return os.environ.get("AWS_ENDPOINT_URL", "")
