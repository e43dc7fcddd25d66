"""Which columns of its sources a declaration reads: checked against the contracts before anything runs."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import nearest
from tidemill.features.declarations import Aggregate, Recency, invalid
from tidemill.features.derived import Joined, Request
from tidemill.features.histories import Attribute, Gaps, Streak
from tidemill.features.specs import ClassIn, ValueAt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tidemill.core.errors import TidemillError
    from tidemill.data.sources import Source
    from tidemill.features.derived import Declaration
    from tidemill.features.specs import FeatureView, Label

# Words of SQL conditions that are no columns; names of functions are told by their bracket, types by CAST's AS.
_SQL = (
    "all and any array asc between binary both by case collate contains current_date current_timestamp date day days"
    " desc div distinct else end escape exists false following for from hour hours ilike in interval is like map"
    " microsecond microseconds millisecond milliseconds minute minutes month months not null or over preceding regexp"
    " rlike second seconds similar some struct then timestamp timestamp_ltz timestamp_ntz to trailing leading true"
    " unknown week weeks when where year years"
)
_WORDS = frozenset(_SQL.split())
_TOKENS = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")"""
    r"|(?P<quoted>`(?:[^`]|``)+`)"
    r"|(?P<skipped>--[^\n]*|/\*.*?\*/|\d[\w.]*|\bas\s+\w+)"
    r"|(?P<name>[^\W\d]\w*)(?P<after>\s*\()?|(?P<path>\.\s*\w+)|(?P<arrow>->)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Reading:
    """A column that a declaration reads.

    Args:
        source: of which source.
        column: its name in silver.
        place: who reads it, for people.
    """

    source: Source
    column: str
    place: str


def check_source_columns(
    views: Sequence[FeatureView], label: Label, columns: Callable[[Source], Sequence[str]]
) -> None:
    """Refuses declarations that read a column which its source's contract does not have.

    Args:
        views: of a use case.
        label: of the use case.
        columns: the silver columns of a source.

    Raises:
        TidemillError: E_COLUMN (configuration) naming every such column, with the nearest one that there is.
    """
    faults: dict[tuple[str, str, str], TidemillError] = {}
    for reading in (*(r for view in views for r in _of_view(view)), *_of_label(label)):
        known = columns(reading.source)
        if reading.column.casefold() not in {name.casefold() for name in known}:
            what = f"the source {reading.source.name!r} has no column {reading.column!r}"
            key = (reading.place, reading.source.name, reading.column)
            faults[key] = invalid("E_COLUMN", what, reading.place, nearest(reading.column, known))
    found = list(faults.values())
    if len(found) == 1:
        raise found[0]
    if found:
        raise invalid(
            "E_COLUMN",
            f"{len(found)} columns are not there: " + "; ".join(f"{fault.where}: {fault.what}" for fault in found),
            found[0].where,
            "; ".join(dict.fromkeys(fault.next_step for fault in found)),
        )


def columns_in(condition: str) -> tuple[str, ...]:
    """The columns that an SQL condition reads: its names that are no function, no keyword and no type."""
    found: list[str] = []
    tokens = list(_TOKENS.finditer(condition))
    bound = {t["name"] for t, after in itertools.pairwise(tokens) if t["name"] and after["arrow"]}
    for token in tokens:
        if token["quoted"]:
            found.append(token["quoted"][1:-1].replace("``", "`"))
        elif token["name"] and not token["after"] and token["name"].lower() not in _WORDS | bound:
            found.append(token["name"])
    return tuple(dict.fromkeys(found))


def _of_view(view: FeatureView) -> Iterator[Reading]:
    for item in view.features:
        if isinstance(item, Joined):
            yield from _of_view(item.view)
            continue
        for column in columns_of(item):
            yield Reading(view.source, column, f"feature view {view.name!r}, {_shown(item)}")


def columns_of(item: Declaration) -> tuple[str, ...]:
    """The columns of its own source that a declaration reads, beside the time of its events."""
    match item:
        case Request(history=Aggregate() as stand_in):
            return columns_of(stand_in)
        case Aggregate(column=column, where=where, by=by):
            return tuple(name for name in (column, by) if name is not None) + columns_in(where or "")
        case Recency(where=where) | Gaps(where=where) | Streak(where=where):
            return columns_in(where or "")
        case Attribute(column=column):
            return (column,)
        case _:
            return ()


def _of_label(label: Label) -> Iterator[Reading]:
    place = f"label {label.name!r}"
    population, outcome = label.population, label.outcome
    conditions: Iterable[tuple[Source, str | None]] = [(population.source, population.where)]
    if isinstance(outcome, ValueAt | ClassIn):
        yield Reading(outcome.source, outcome.column, place)
    if not isinstance(outcome, ValueAt):
        conditions = [*conditions, (outcome.source, outcome.where)]
    for source, where in conditions:
        for column in columns_in(where or ""):
            yield Reading(source, column, f"{place}, {'population' if where == population.where else 'outcome'}")


def _shown(item: Declaration) -> str:
    names = [f.name for f in item.features()]
    return repr(names[0]) if len(names) == 1 else f"{names[0]!r} and {len(names) - 1} more"
