"""What Weights & Biases' library has kept below a folder, read back from its own files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb.proto.wandb_internal_pb2 import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK, _HEAD, _START = 32_768, 7, 7
_FULL, _LAST = 1, 4


@dataclass(frozen=True)
class Kept:
    """A run as it was kept.

    Args:
        id: of the run.
        name: that people see.
        place: project, group and tags.
        config: parameters.
        summary: metrics.
    """

    id: str
    name: str
    place: tuple[str, str, tuple[str, ...]]
    config: dict[str, Any]
    summary: dict[str, Any]


def kept_runs(folder: Path) -> list[Kept]:
    """The runs by name, the files of each put together; what the library notes for itself is left out."""
    found: dict[str, Kept] = {}
    for path in sorted(folder.glob("wandb/*/*.wandb")):
        records = [Record.FromString(item) for item in _records(path.read_bytes())]
        run = next(record.run for record in records if record.HasField("run"))
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        summary = {
            item.key or ".".join(item.nested_key): json.loads(item.value_json)
            for record in records
            if record.HasField("summary")
            for item in record.summary.update
        }
        place = (run.project, run.run_group, tuple(run.tags))
        found[run.run_id] = Kept(run.run_id, run.display_name, place, _own(config), _own(summary))
    return sorted(found.values(), key=lambda run: run.name)


def _own(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.startswith("_")}


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format: blocks of fragments, each behind checksum, length and kind."""
    at, parts = _START, b""
    while at + _HEAD <= len(data):
        if _BLOCK - at % _BLOCK < _HEAD:  # too short for another fragment
            at += _BLOCK - at % _BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + _HEAD : at + _HEAD + length]
        at += _HEAD + length
        if kind in {_FULL, _LAST}:
            yield parts
            parts = b""
