"""Declarations of features over an entity's events: values only, no Spark. Names are derived from what is declared."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import LATER, WORDS, declared
from tidemill.core.time import length_name
from tidemill.features import aggregates
from tidemill.features.names import name_part

if TYPE_CHECKING:
    from datetime import timedelta

    from tidemill.features.aggregates.kind import AggregateKind

PARAMETERS = ("value", "q")


@cache
def aggregate_kind(name: str) -> AggregateKind:
    """The aggregate of that name: the value `KIND` of its module.

    Raises:
        TidemillError: E_AGGREGATE (configuration) where there is none.
    """
    known = aggregate_names()
    if name not in known:
        raise invalid(
            "E_AGGREGATE", f"there is no aggregate {name!r}", f"Aggregate({name!r}, ...)", nearest(name, known)
        )
    kind: AggregateKind = importlib.import_module(f"{aggregates.__name__}.{name}").KIND
    return kind


@cache
def aggregate_names() -> tuple[str, ...]:
    """The aggregates that there are; the service asks with every request, and the folder is looked through once."""
    return tuple(m.name for m in pkgutil.iter_modules(aggregates.__path__) if m.name != "kind")


@dataclass(frozen=True)
class Feature:
    """One derived feature column.

    Args:
        name: derived.
        type: its Spark SQL type in gold.
        missing: what stands in training, batch and online where a row has no value, or None for null.
        unit: of its values, for people.
        description: what it says, for people.
    """

    name: str
    type: str
    missing: float | None = None
    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class Cell:
    """One feature of an aggregate, and which events it looks at.

    Args:
        feature: the column.
        value: the pivot's value, or None without a pivot.
        window: how far back it looks, or None for everything known.
    """

    feature: Feature
    value: str | None
    window: timedelta | None


@declared
@dataclass(frozen=True)
class Aggregate:
    """An aggregate of one column over windows `[T - w, T)`, or over all that is known before T.

    Args:
        function: the name of a module in `features/aggregates`.
        column: what is aggregated; none for `count`.
        windows: their lengths; none means everything known before T.
        where: an SQL condition over silver columns that an event must meet.
        name: the first part of the derived names; by default the column, or `events`. Needed beside `where`.
        unit: of the values.
        by: a column; the aggregate is computed once for each of `values`, over the events that have it there.
        values: of the column `by`, compared as texts.
        value: the parameter of `share`: the value whose share is meant, as a text.
        q: the parameter of `quantile`, from 0 to 1.
        description: for people.

    Raises:
        TidemillError: E_AGGREGATE (configuration) where these do not fit each other.
    """

    function: str
    column: str | None = None
    windows: tuple[timedelta, ...] = ()
    where: str | None = None
    name: str | None = None
    unit: str = ""
    by: str | None = field(default=None, metadata=LATER)
    values: tuple[str, ...] = field(default=(), metadata=LATER)
    value: str | None = field(default=None, metadata=LATER)
    q: float | None = field(default=None, metadata=LATER)
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        place = f"Aggregate({', '.join(repr(part) for part in (self.function, self.column) if part is not None)}, ...)"
        kind = aggregate_kind(self.function)
        if kind.needs_column and self.column is None:
            raise invalid("E_AGGREGATE", f"{self.function!r} needs a column", place, "name the column")
        if self.where is not None and self.name is None:
            raise invalid(
                "E_AGGREGATE",
                "an aggregate with a condition needs a name of its own",
                f"Aggregate({self.function!r}, {self.column!r}, where={self.where!r})",
                "add name='...', which begins the names of its features",
            )
        check_windows("E_AGGREGATE", self.windows, place)
        self._check_pivot(place)
        self._check_parameters(kind, place)

    def _check_pivot(self, place: str) -> None:
        if not isinstance(self.values, tuple) or not all(isinstance(value, str) for value in self.values):
            raise invalid(
                "E_AGGREGATE",
                f"values={self.values!r} are no texts",
                place,
                "write a tuple of texts: values=('a', 'b')",
            )
        if (self.by is None) != (not self.values):
            raise invalid(
                "E_AGGREGATE", "a pivot has a column and its values", place, "give both: by='column', values=('a', 'b')"
            )
        for value in self.values:
            check_name_part(value, place)

    def _check_parameters(self, kind: AggregateKind, place: str) -> None:
        for name in PARAMETERS:
            given = getattr(self, name)
            if name == kind.parameter and given is None:
                example = {"value": "value='...'", "q": "q=0.5"}[name]
                raise invalid("E_AGGREGATE", f"{self.function!r} needs {name}", place, f"add {example}")
            if name != kind.parameter and given is not None:
                takers = [n for n in aggregate_names() if aggregate_kind(n).parameter == name]
                raise invalid(
                    "E_AGGREGATE",
                    f"{self.function!r} takes no {name}",
                    place,
                    f"leave it out; it is a parameter of {', '.join(takers)}",
                )
        if self.value is not None:
            check_name_part(self.value, place)
        if self.q is not None and not 0 <= self.q <= 1:
            hint = f"did you mean q={self.q / 100:g}? " if 1 < self.q <= 100 else ""
            raise invalid("E_AGGREGATE", f"q={self.q} is no quantile", place, f"{hint}q lies between 0 and 1")

    @property
    def parameters(self) -> tuple[str | float, ...]:
        """What the aggregate takes beside the values: none or one."""
        return tuple(given for given in (self.value, self.q) if given is not None)

    def cells(self) -> tuple[Cell, ...]:
        """Its features with the events that each looks at: by value, then by window."""
        kind = aggregate_kind(self.function)
        stem = self.name or self.column or "events"
        label = kind.label(*self.parameters) if kind.label else self.function
        found = []
        for value in self.values or (None,):
            for window in self.windows or (None,):
                parts = (
                    stem,
                    None if value is None else name_part(value),
                    label,
                    None if window is None else length_name(window),
                )
                name = "_".join(part for part in parts if part is not None)
                found.append(Cell(Feature(name, kind.type, kind.missing, self.unit, self.description), value, window))
        return tuple(found)

    def features(self) -> tuple[Feature, ...]:
        """Its features, one a window, and one a value of a pivot and window."""
        return tuple(cell.feature for cell in self.cells())


@declared
@dataclass(frozen=True)
class Recency:
    """Days between T and the newest known event before it that meets the condition.

    Args:
        where: an SQL condition over silver columns.
        name: the first part of the derived name `<name>_recency_days`; needed beside `where`.
    """

    where: str | None = None
    name: str | None = None

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        stem = f"{self.name}_recency_days" if self.name else "recency_days"
        return (Feature(stem, "double", unit="days"),)


@declared
@dataclass(frozen=True)
class Tenure:
    """Days between the oldest known event and T."""

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature("tenure_days", "double", unit="days"),)


def check_windows(code: str, windows: tuple[timedelta, ...], place: str) -> None:
    """Refuses windows that are no tuple of positive whole seconds, or that are named twice."""
    if not isinstance(windows, tuple):
        raise invalid(code, f"windows={windows!r} is no tuple", place, "write windows=(days(7), days(30))")
    for window in windows:
        try:
            length_name(window)
        except ValueError as error:
            raise invalid(code, f"a window is no length: {error}", place, "write days(7) or hours(6)") from None


def check_name_part(value: str, place: str) -> None:
    """Refuses a value that leaves nothing to name a feature by."""
    if not name_part(value):
        raise invalid(
            "E_AGGREGATE",
            f"the value {value!r} has no letter or digit that a feature could be named by",
            place,
            "use where= and name= instead",
        )


def invalid(code: str, what: str, where: str, next_step: str) -> TidemillError:
    """The error of a declaration that is not valid."""
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=Exit.CONFIGURATION)
