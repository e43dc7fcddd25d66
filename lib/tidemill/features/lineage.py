"""What a feature means, in a sentence, and from which columns it comes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.time import length_name
from tidemill.features.declarations import Aggregate, Recency, Tenure
from tidemill.features.derived import (
    Calendar,
    Difference,
    Expression,
    Joined,
    Log1p,
    OverEvents,
    Ratio,
    Request,
    inputs_of,
)
from tidemill.features.histories import Attribute, Gaps, Streak
from tidemill.features.source_columns import columns_in, columns_of
from tidemill.features.specs import ActiveWithin, AnyEventIn, ClassIn, NoEventIn, ValueAt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from tidemill.data.contract import Contract
    from tidemill.features.derived import Declaration
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
    "quantile": "quantile of {}",
    "share": "share of one value among those of {}",
    "slope": "change of {} a day",
    "stddev": "standard deviation of {}",
    "sum": "sum of {}",
    "top": "most frequent value of {}",
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


def origins(view: FeatureView, contracts: Mapping[str, Contract]) -> dict[str, Origin]:
    """The origin of every feature of a view; contracts by the names of the sources that it reads."""
    found: dict[str, Origin] = {}
    for item in view.features:
        made = set().union(*(found[name].columns for name in inputs_of(item)))
        if isinstance(item, Joined):
            there = origins(item.view, contracts)
            made = made.union(*(there[name].columns for name in item.take))
        if isinstance(item, OverEvents | Request):
            read = (view.source.event_time, *columns_of(item))
            made |= _landed(read, view.source.name, contracts[view.source.name])
        for feature, meaning in zip(item.features(), _meanings(item), strict=True):
            found[feature.name] = Origin(feature.description or meaning, tuple(sorted(made)))
    return found


def origin_of(label: Label, contracts: dict[str, Contract]) -> Origin:
    """The origin of a label."""
    population, outcome = label.population, label.outcome
    columns = set()
    for part in (population, outcome):
        own = (part.column,) if isinstance(part, ValueAt | ClassIn) else ()
        asked = (*own, part.source.event_time, *columns_in(getattr(part, "where", None) or ""))
        columns |= _landed(asked, part.source.name, contracts[part.source.name])
    meaning = f"{_outcome(outcome, length_name(label.horizon))}; for {_population(population)}"
    return Origin(meaning, tuple(sorted(columns)))


def _landed(names: Iterable[str], source: str, contract: Contract) -> set[str]:
    """The landed columns behind columns of silver; a derived one stands for what its expression names."""
    known = {c.name: c for c in contract.columns}
    found: set[str] = set()
    for name in names:
        column = known.get(name)
        if column is None:
            continue
        if column.physical is None:
            found |= _landed((w for w in columns_in(column.logic or "") if w != name), source, contract)
        else:
            found.add(f"{source}.{column.physical}")
    return found


def _meanings(item: Declaration) -> list[str]:
    match item:
        case Aggregate():
            what = _AGGREGATES.get(item.function, f"{item.function} of {{}}").format(item.column)
            return [
                f"{what}{_span(c.window)}{_where(item.where)}{f', where {item.by} is {c.value}' if item.by else ''}"
                for c in item.cells()
            ]
        case Gaps(statistics, windows, where=where):
            spans = [_span(w) for w in windows or (None,)]
            return [f"{s} of the days between events{span}{_where(where)}" for span in spans for s in statistics]
        case Streak(period, window, which, where):
            periods = f"consecutive periods of {length_name(period)} with an event{_span(window)}{_where(where)}"
            return [f"number of {periods}: {name}" for name in which]
        case Calendar(parts):
            return [f"{part} of the as-of time, UTC" for part in parts]
        case Joined(view, via, take):
            return [f"{name} of the {view.entity.key} that {via} names" for name in take]
        case _:
            return [_meaning(item)]


def _meaning(item: Declaration) -> str:
    match item:
        case Recency(where):
            said = f"days since the newest event{_where(where)}"
        case Tenure():
            said = "days since the oldest event"
        case Attribute(column):
            said = f"{column} in the newest event"
        case Ratio(over, under):
            said = f"{over} divided by {under}"
        case Difference(left, right):
            said = f"{left} minus {right}"
        case Log1p(of):
            said = f"logarithm of 1 + {of}"
        case Expression(text):
            said = text
        case Request():
            said = "what the caller of the service says; in training and in batch a stand-in from the history"
        case _:
            raise TypeError(f"{item} is no declaration of one feature")
    return said


def _span(window: timedelta | None) -> str:
    return " of all that is known" if window is None else f" in the {length_name(window)} before"


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
        case ClassIn(source, column, classes, where):
            numbered = ", ".join(f"{number} = {name}" for number, name in enumerate(classes))
            return f"the commonest {column} of {source.name}{_where(where)} in the {horizon} after ({numbered})"
    raise TypeError(f"{outcome} is no outcome")


def _population(population: Population) -> str:
    if isinstance(population, ActiveWithin):
        window = length_name(population.window)
        return f"those with an event of {population.source.name} in the {window} before{_where(population.where)}"
    return f"those whose newest event of {population.source.name} has {population.where}"
