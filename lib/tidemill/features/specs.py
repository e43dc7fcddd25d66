"""Declarations of features and labels: values only, no Spark.

Feature names are derived from what is declared and never typed twice. A view is checked as a whole when it is made.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tidemill.core.digest import digest_of
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.frozen import declared, freeze
from tidemill.core.time import length_name
from tidemill.features import aggregates

if TYPE_CHECKING:
    from tidemill.data.sources import Entity, Source
    from tidemill.features.aggregates.kind import AggregateKind

CALENDAR_PARTS = ("hour", "weekday", "month")
_ZERO = timedelta(0)


def aggregate_kind(name: str) -> AggregateKind:
    """The aggregate of that name: the value `KIND` of its module.

    Raises:
        TidemillError: E_AGGREGATE (configuration) where there is none.
    """
    known = [m.name for m in pkgutil.iter_modules(aggregates.__path__) if m.name != "kind"]
    if name not in known:
        raise _invalid(
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
            raise _invalid(
                "E_AGGREGATE",
                f"{self.function!r} needs a column",
                f"Aggregate({self.function!r}, ...)",
                "name the column",
            )
        if self.where is not None and self.name is None:
            raise _invalid(
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
                raise _invalid(
                    "E_FEATURE", f"there is no calendar part {part!r}", "Calendar", nearest(part, CALENDAR_PARTS)
                )

    def features(self) -> tuple[Feature, ...]:
        """One feature a part."""
        return tuple(Feature(f"as_of_{part}", "double") for part in self.parts)


Declaration = Aggregate | Recency | Tenure | Ratio | Difference | Log1p | Calendar


@declared
@dataclass(frozen=True)
class FeatureView:
    """Features of one entity from one source, at a cadence.

    Args:
        name: of the view; its gold table is `<name>_v<version>`.
        version: a change of meaning is a new version.
        entity: whose features these are.
        source: the events they are computed from.
        features: what is computed; ratios and the like name features that stand before them.
        cadence: how often the view is meant to be built online.
        ttl: how old a gold row may be to be used.
        delay: how long after its stamp a gold row may first be used.
        description: for the catalogue and Feast.
    """

    name: str
    version: int
    entity: Entity
    source: Source
    features: tuple[Declaration, ...]
    cadence: timedelta
    ttl: timedelta
    delay: timedelta = _ZERO
    description: str = ""

    def __post_init__(self) -> None:
        where = f"feature view {self.name!r}"
        if self.source.entity != self.entity:
            raise _invalid("E_VIEW", "a view's entity is that of its source", where, "use the source's entity")
        known: list[str] = []
        for item in self.features:
            for name in _inputs(item):
                if name not in known:
                    raise _invalid(
                        "E_FEATURE", f"there is no feature {name!r} before its use", where, nearest(name, known)
                    )
            for feature in item.features():
                if feature.name in known:
                    raise _invalid(
                        "E_FEATURE", f"the feature {feature.name!r} is declared twice", where, "give one of them a name"
                    )
                known.append(feature.name)

    @property
    def table_name(self) -> str:
        """The name of its gold table, its Feast view and its versioned self."""
        return f"{self.name}_v{self.version}"

    @cached_property
    def columns(self) -> tuple[Feature, ...]:
        """All features, in the order of their declaration."""
        return tuple(feature for item in self.features for feature in item.features())

    @cached_property
    def digest(self) -> str:
        """What makes its rows what they are; words for people do not count."""
        form = freeze(self)
        return digest_of({key: form[key] for key in ("name", "version", "entity", "source", "features", "delay")})

    @property
    def lookback(self) -> timedelta | None:
        """The longest window, or None where a feature looks at everything known."""
        windows: list[timedelta] = []
        for item in self.features:
            if isinstance(item, Aggregate):
                if not item.windows:
                    return None
                windows += item.windows
            elif isinstance(item, Recency | Tenure):
                return None
        return max(windows, default=timedelta(seconds=1))


@declared
@dataclass(frozen=True)
class ActiveWithin:
    """The population: entities with a known event in `[T - window, T)` that meets the condition."""

    source: Source
    window: timedelta
    where: str | None = None


@declared
@dataclass(frozen=True)
class StateIs:
    """The population: entities whose newest known event before T meets the condition."""

    source: Source
    where: str


@declared
@dataclass(frozen=True)
class NoEventIn:
    """The outcome 1.0 where no event that meets the condition falls in `[T, T + horizon)`, else 0.0."""

    source: Source
    where: str | None = None


@declared
@dataclass(frozen=True)
class AnyEventIn:
    """The outcome 1.0 where an event that meets the condition falls in `[T, T + horizon)`, else 0.0."""

    source: Source
    where: str | None = None


@declared
@dataclass(frozen=True)
class ValueAt:
    """The outcome: the column's value in the event at exactly `T + after`; no label where there is none."""

    source: Source
    column: str
    after: timedelta


Population = ActiveWithin | StateIs
Outcome = NoEventIn | AnyEventIn | ValueAt


@declared
@dataclass(frozen=True)
class Label:
    """What is predicted: for whom, about which span of time after T.

    Args:
        name: of the label.
        horizon: the label at t looks at `[t, t + horizon)`.
        population: who has a label at T, and who is scored at T.
        outcome: the label's value.
        delay: how much later it is complete; by default the largest delay of its sources.

    Raises:
        TidemillError: E_LABEL where the outcome lies outside the horizon or the entities differ.
    """

    name: str
    horizon: timedelta
    population: Population
    outcome: Outcome
    delay: timedelta | None = None

    def __post_init__(self) -> None:
        where = f"label {self.name!r}"
        if isinstance(self.outcome, ValueAt) and not _ZERO <= self.outcome.after < self.horizon:
            raise _invalid("E_LABEL", "the outcome lies outside [T, T + horizon)", where, "lengthen the horizon")
        if self.population.source.entity != self.outcome.source.entity:
            raise _invalid("E_LABEL", "population and outcome speak of different entities", where, "use one entity")

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that the label reads, each once."""
        return tuple(dict.fromkeys((self.population.source, self.outcome.source)))

    @property
    def matures_after(self) -> timedelta:
        """How long after t the label at t is complete: horizon and delay."""
        delay = max(s.delay for s in self.sources) if self.delay is None else self.delay
        return self.horizon + delay

    @property
    def digest(self) -> str:
        """What makes its values what they are."""
        return digest_of(freeze(self))


def _inputs(item: Declaration) -> tuple[str, ...]:
    match item:
        case Ratio(over, under):
            return (over, under)
        case Difference(left, right):
            return (left, right)
        case Log1p(of):
            return (of,)
        case _:
            return ()


def _invalid(code: str, what: str, where: str, next_step: str) -> TidemillError:
    return TidemillError(code, what, where=where, next_step=next_step, exit_code=Exit.CONFIGURATION)
