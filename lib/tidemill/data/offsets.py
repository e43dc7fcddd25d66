"""How far a log was read: ranges of offsets, by what the ledger's batches hold. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidemill.data.ledger import Entry

    Ranges = dict[str, tuple[int, int]]


def new_ranges(ends: Mapping[str, tuple[int, int]], bronze: Iterable[Entry], source: str) -> Ranges:
    """The offsets of every partition that no batch holds; partitions without any are left out.

    Args:
        ends: the first offset that is still there and the next one to come, by partition.
        bronze: the ledger of the source's bronze table.
        source: its name, for the message.

    Raises:
        TidemillError: E_OFFSETS_LOST (data) where records were deleted, or the log was made anew, before they were
            read.
    """
    read: dict[str, int] = {}
    for entry in bronze:
        for place, (_, stop) in entry.inputs.get("offsets", {}).items():
            read[place] = max(stop, read.get(place, 0))
    found: Ranges = {}
    for place, (first, following) in sorted(ends.items()):
        start = read.get(place, first)
        if start < first or start > following:
            raise TidemillError(
                "E_OFFSETS_LOST",
                f"the source {source!r} was read up to offset {start}, but holds {first} to {following} now",
                where=place,
                next_step="find out what was deleted; to go on with what is there, give the source another name",
                exit_code=Exit.DATA,
            )
        if start < following:
            found[place] = (start, following)
    return found


def cut(ranges: Ranges, most: int) -> Iterator[Ranges]:
    """Ranges in parts of at most so many records, each part a fair share of every partition."""
    left = dict(ranges)
    while left:
        share = max(1, most // len(left))
        part = {place: (start, min(stop, start + share)) for place, (start, stop) in left.items()}
        yield part
        left = {place: (part[place][1], stop) for place, (_, stop) in left.items() if part[place][1] < stop}


def unsettled_ranges(bronze: Iterable[Entry], quarantine: Iterable[Entry]) -> list[tuple[Batch, Ranges]]:
    """The batches of offsets whose rejected records are not in quarantine yet."""
    done = {entry.batch_id for entry in quarantine}
    return [
        (
            Batch(entry.batch_id, entry.inputs, entry.cause),
            {place: (start, stop) for place, (start, stop) in entry.inputs["offsets"].items()},
        )
        for entry in bronze
        if entry.batch_id not in done and "offsets" in entry.inputs
    ]
