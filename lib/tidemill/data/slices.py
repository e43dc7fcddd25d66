"""As-of slices: which batches each as-of time of a derived table was made from, and which are missing or outdated.

A derived table is committed for many as-of times at once. Its ledger row lists them as runs, with the upstream batches
that each of them could see; an as-of time is built again only where a batch that it can see came after it was built.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidemill.core.time import Run, decode_times, encode_times, format_time, from_micros, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from tidemill.data.ledger import Entry

FIRST_KNOWN = "first_known"


@dataclass(frozen=True)
class Built:
    """What an as-of time of a derived table was last made from.

    Args:
        batch_id: the batch of the derived table that holds its rows.
        upstream: the upstream batches that it could see.
    """

    batch_id: str
    upstream: tuple[str, ...]


def visible(silver: Iterable[Entry], before: datetime) -> tuple[str, ...]:
    """The silver batches that hold any row known before a moment, ordered.

    Batches that a rebuild or a compaction has taken the place of are told apart by the ledger's causes: a rebuild
    replaces all that came before it, a compaction changes nothing.
    """
    found: list[str] = []
    for entry in silver:
        if entry.cause == "compact":
            continue
        if entry.cause == "rebuild":
            found = []
        if entry.rows and entry.counts[FIRST_KNOWN] < to_micros(before):
            found.append(entry.batch_id)
    return tuple(sorted(found))


def built(entries: Iterable[Entry]) -> dict[datetime, Built]:
    """What each as-of time of a derived table was last made from; `entries` oldest first."""
    found: dict[datetime, Built] = {}
    for entry in entries:
        for part in entry.inputs.get("slices", ()):
            runs = [Run(**run) for run in part["times"]]
            for time in decode_times(runs):
                found[time] = Built(entry.batch_id, tuple(part["upstream"]))
    return found


def wanted(
    times: Iterable[datetime], silver: Sequence[Sequence[Entry]], after: timedelta
) -> dict[datetime, tuple[str, ...]]:
    """The upstream batches that each as-of time can see, `after` its own moment.

    Args:
        times: as-of times.
        silver: the ledger of each upstream silver table.
        after: zero for features; a label sees as far as its maturity.
    """
    return {t: tuple(b for entries in silver for b in visible(entries, t + after)) for t in times}


def missing(asked: Mapping[datetime, tuple[str, ...]], there: Mapping[datetime, Built]) -> list[datetime]:
    """The as-of times that were never made, or from other batches; oldest first."""
    return sorted(t for t, upstream in asked.items() if t not in there or there[t].upstream != upstream)


def slice_inputs(asked: Mapping[datetime, tuple[str, ...]], times: Iterable[datetime]) -> dict[str, Any]:
    """The inputs of a batch that makes these as-of times: equal upstream batches are written once."""
    groups: dict[tuple[str, ...], list[datetime]] = {}
    for time in times:
        groups.setdefault(asked[time], []).append(time)
    parts = [
        {"times": [asdict(run) for run in encode_times(group)], "upstream": list(upstream)}
        for upstream, group in sorted(groups.items())
    ]
    return {"slices": parts}


def times_predicate(column: str, times: Iterable[datetime]) -> str:
    """An SQL condition that holds for exactly these instants."""
    parts = []
    for run in encode_times(times):
        first = f"timestamp'{format_time(from_micros(run.start))}'"
        if run.count == 1:
            parts.append(f"{column} = {first}")
            continue
        last = f"timestamp'{format_time(from_micros(run.start + run.step * (run.count - 1)))}'"
        member = f"pmod(unix_micros({column}) - {run.start}, {run.step}) = 0"
        parts.append(f"({column} >= {first} and {column} <= {last} and {member})")
    return " or ".join(parts)
