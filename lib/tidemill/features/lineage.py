"""What a feature means, in a sentence, and from which columns it comes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.time import length_name
from tidemill.features.declarations import (
    Aggregate,
    Calendar,
    Declaration,
    Difference,
    Log1p,
    Ratio,
    Recency,
    Tenure,
    inputs_of,
)
from tidemill.features.specs import ActiveWithin, AnyEventIn, NoEventIn, ValueAt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.data.contract import Contract
    from tidemill.features.specs import FeatureView, Label, Outcome, Population

_AGGREGATES = {
    "count": "number of events",
    "count_distinct": "number of different values of {}",
    "first": "oldest value of {}",
    "last": "newest value of {}",
    "last_text": "newest value of {}",
    "max": "largest {}",
    "mean": "mean of {}",
    "min": "least {}",
    "stddev": "standard deviation of {}",
    "sum": "sum of {}",
}


@dataclass(frozen=True)
class Origin:
    """What a feature or label is.

    Args:
        meaning: a sentence without a full stop.
        columns: `source.column` as the landed files call it, ordered.
    """

    meaning: str
    columns: tuple[str, ...]


def origins(view: FeatureView, contract: Contract) -> dict[str, Origin]:
    """The origin of every feature of a view."""
    found: dict[str, Origin] = {}
    for item in view.features:
        made = set().union(*(found[name].columns for name in inputs_of(item)))
        if not isinstance(item, Calendar | Ratio | Difference | Log1p):
            column = (item.column,) if isinstance(item, Aggregate) and item.column else ()
            where = getattr(item, "where", None)
            made = _landed((*column, view.source.event_time, *words(where)), view.source.name, contract)
        for feature, meaning in zip(item.features(), _meanings(item), strict=True):
            found[feature.name] = Origin(meaning, tuple(sorted(made)))
    return found


def origin_of(label: Label, contracts: dict[str, Contract]) -> Origin:
    """The origin of a label."""
    population, outcome = label.population, label.outcome
    columns = set()
    for part in (population, outcome):
        own = (part.column,) if isinstance(part, ValueAt) else ()
        asked = (*own, part.source.event_time, *words(getattr(part, "where", None)))
        columns |= _landed(asked, part.source.name, contracts[part.source.name])
    meaning = f"{_outcome(outcome, length_name(label.horizon))}; for {_population(population)}"
    return Origin(meaning, tuple(sorted(columns)))


def words(condition: str | None) -> tuple[str, ...]:
    """The words of an SQL condition that may be columns: what stands in quotes is none."""
    return tuple(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", condition or "")))


def _landed(names: Iterable[str], source: str, contract: Contract) -> set[str]:
    """The landed columns behind columns of silver; a derived one stands for what its expression names."""
    known = {c.name: c for c in contract.columns}
    found: set[str] = set()
    for name in names:
        column = known.get(name)
        if column is None:
            continue
        if column.physical is None:
            found |= _landed((w for w in words(column.logic) if w != name), source, contract)
        else:
            found.add(f"{source}.{column.physical}")
    return found


def _meanings(item: Declaration) -> list[str]:
    match item:
        case Aggregate(function, column, windows, where):
            what = _AGGREGATES.get(function, f"{function} of {{}}").format(column)
            spans = [f" in the {length_name(w)} before" for w in windows] or [" of all that is known"]
            return [f"{what}{span}{_where(where)}" for span in spans]
        case Calendar(parts):
            return [f"{part} of the as-of time, UTC" for part in parts]
        case _:
            return [_meaning(item)]


def _meaning(item: Declaration) -> str:
    match item:
        case Recency(where):
            return f"days since the newest event{_where(where)}"
        case Tenure():
            return "days since the oldest event"
        case Ratio(over, under):
            return f"{over} divided by {under}"
        case Difference(left, right):
            return f"{left} minus {right}"
        case Log1p(of):
            return f"logarithm of 1 + {of}"
        case _:
            raise TypeError(f"{item} is no declaration of one feature")


def _where(condition: str | None) -> str:
    return f", where {condition}" if condition else ""


def _outcome(outcome: Outcome, horizon: str) -> str:
    match outcome:
        case NoEventIn(source, where):
            return f"1 where no event of {source.name}{_where(where)} falls in the {horizon} after"
        case AnyEventIn(source, where):
            return f"1 where an event of {source.name}{_where(where)} falls in the {horizon} after"
        case ValueAt(source, column, after):
            return f"{column} of {source.name}, {length_name(after) if after else '0s'} after"
    raise TypeError(f"{outcome} is no outcome")


def _population(population: Population) -> str:
    if isinstance(population, ActiveWithin):
        window = length_name(population.window)
        return f"those with an event of {population.source.name} in the {window} before{_where(population.where)}"
    return f"those whose newest event of {population.source.name} has {population.where}"
