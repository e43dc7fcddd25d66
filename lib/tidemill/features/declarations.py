"""Declarations of single features: values only, no Spark. Their names are derived from what is declared."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import declared
from tidemill.core.time import length_name
from tidemill.features import aggregates

if TYPE_CHECKING:
    from datetime import timedelta

    from tidemill.features.aggregates.kind import AggregateKind

CALENDAR_PARTS = ("hour", "weekday", "month")


def aggregate_kind(name: str) -> AggregateKind:
    """The aggregate of that name: the value `KIND` of its module.

    Raises:
        TidemillError: E_AGGREGATE (configuration) where there is none.
    """
    known = [m.name for m in pkgutil.iter_modules(aggregates.__path__) if m.name != "kind"]
    if name not in known:
        raise invalid(
            "E_AGGREGATE", f"there is no aggregate {name!r}", f"Aggregate({name!r}, ...)", nearest(name, known)
        )
    kind: AggregateKind = importlib.import_module(f"{aggregates.__name__}.{name}").KIND
    return kind


@dataclass(frozen=True)
class Feature:
    """One derived feature column.

    Args:
        name: derived.
        type: its Spark SQL type in gold.
        missing: what stands in training, batch and online where a row has no value, or None for null.
        unit: of its values, for people.
    """

    name: str
    type: str
    missing: float | None = None
    unit: str = ""


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
    """

    function: str
    column: str | None = None
    windows: tuple[timedelta, ...] = ()
    where: str | None = None
    name: str | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        kind = aggregate_kind(self.function)
        if kind.needs_column and self.column is None:
            raise invalid(
                "E_AGGREGATE",
                f"{self.function!r} needs a column",
                f"Aggregate({self.function!r}, ...)",
                "name the column",
            )
        if self.where is not None and self.name is None:
            raise invalid(
                "E_AGGREGATE",
                "an aggregate with a condition needs a name of its own",
                f"Aggregate({self.function!r}, {self.column!r}, where={self.where!r})",
                "add name='...', which begins the names of its features",
            )

    def features(self) -> tuple[Feature, ...]:
        """Its features, one a window."""
        kind = aggregate_kind(self.function)
        stem = f"{self.name or self.column or 'events'}_{self.function}"
        names = [f"{stem}_{length_name(w)}" for w in self.windows] or [stem]
        return tuple(Feature(name, kind.type, kind.missing, self.unit) for name in names)


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


@declared
@dataclass(frozen=True)
class Ratio:
    """One feature of the view divided by another; null where the other is null or zero."""

    over: str
    under: str
    name: str | None = None

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name or f"{self.over}_per_{self.under}", "double"),)


@declared
@dataclass(frozen=True)
class Difference:
    """One feature of the view minus another; null where either is null."""

    left: str
    right: str
    name: str | None = None

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name or f"{self.left}_minus_{self.right}", "double"),)


@declared
@dataclass(frozen=True)
class Log1p:
    """The natural logarithm of one plus a feature's size, with the feature's sign: `sign(x) * ln(1 + |x|)`."""

    of: str

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(f"{self.of}_log", "double"),)


@declared
@dataclass(frozen=True)
class Calendar:
    """Parts of the as-of time itself, in UTC: `hour` 0 to 23, `weekday` 0 (Monday) to 6, `month` 1 to 12."""

    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in CALENDAR_PARTS:
                raise invalid(
                    "E_FEATURE", f"there is no calendar part {part!r}", "Calendar", nearest(part, CALENDAR_PARTS)
                )

    def features(self) -> tuple[Feature, ...]:
        """One feature a part."""
        return tuple(Feature(f"as_of_{part}", "double") for part in self.parts)


Declaration = Aggregate | Recency | Tenure | Ratio | Difference | Log1p | Calendar


def inputs_of(item: Declaration) -> tuple[str, ...]:
    """The features that a derived feature is made from."""
    match item:
        case Ratio(over, under):
            return (over, under)
        case Difference(left, right):
            return (left, right)
        case Log1p(of):
            return (of,)
        case _:
            return ()


def invalid(code: str, what: str, where: str, next_step: str) -> TidemillError:
    """The error of a declaration that is not valid."""
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=Exit.CONFIGURATION)
