"""Declarations of features and labels: values only, no Spark.

Feature names are derived from what is declared and never typed twice. A view is checked as a whole when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tidemill.core.digest import digest_of
from tidemill.core.frozen import declared, freeze
from tidemill.features.declarations import Aggregate, Feature, Recency, Tenure, invalid
from tidemill.features.derived import Joined, Request
from tidemill.features.histories import Attribute, Gaps, Streak
from tidemill.features.view_checks import check_view

if TYPE_CHECKING:
    from tidemill.data.sources import Entity, Source
    from tidemill.features.derived import Declaration

_ZERO = timedelta(0)


@declared
@dataclass(frozen=True)
class FeatureView:
    """Features of one entity from one source, at a cadence.

    Args:
        name: of the view; its gold table is `<name>_v<version>`.
        version: a change of meaning is a new version.
        entity: whose features these are.
        source: the events they are computed from.
        features: what is computed; what is made from other features stands after them.
        cadence: how often the view is meant to be built online.
        ttl: how old a gold row may be to be used.
        delay: how long after its stamp a gold row may first be used.
        description: for the catalogue and Feast.

    Raises:
        TidemillError: E_VIEW, E_FEATURE or E_EXPRESSION (configuration), with everything that is wrong.
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
        check_view(self)

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
        form = freeze(self, words=False)
        form["features"] = [_meaning(item) for item in self.features]
        return digest_of({key: form[key] for key in ("name", "version", "entity", "source", "features", "delay")})

    @property
    def sources(self) -> tuple[Source, ...]:
        """Its own source, then those of the views that it joins, each once."""
        joined = (item.view for item in self.features if isinstance(item, Joined))
        return tuple(dict.fromkeys((self.source, *(source for view in joined for source in view.sources))))

    @property
    def lookback(self) -> timedelta | None:
        """The longest window, or None where a feature looks at everything known."""
        windows: list[timedelta] = []
        for item in self.features:
            reach = _windows_of(item)
            if reach is None:
                return None
            windows += reach
        return max(windows, default=timedelta(seconds=1))


def _windows_of(item: Declaration) -> tuple[timedelta, ...] | None:
    """The windows that a feature looks at, none where it looks at no event; None where it looks at all of them."""
    match item:
        case Request(history=Aggregate() as stand_in):
            return _windows_of(stand_in)
        case Aggregate(windows=windows) | Gaps(windows=windows):
            return windows or None
        case Streak(window=window):
            return (window,)
        case Recency() | Tenure() | Attribute():
            return None
        case _:
            return ()


def _meaning(item: Declaration) -> dict[str, Any]:
    """The JSON form of a feature without what is said of it; another view stands there by its digest."""
    form: dict[str, Any] = freeze(item, words=False)
    return form | {"view": item.view.digest} if isinstance(item, Joined) else form


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


@declared
@dataclass(frozen=True)
class ClassIn:
    """The outcome: the class that most events in `[T, T + horizon)` are of; no label where none is of any.

    The label is the number of the class in declared order, from 0. Where equally many events are of several classes it
    is the first declared one of them. Events whose value is none of the classes are left out, as those that do not meet
    the condition.

    Args:
        source: of the events.
        column: whose value is the class; compared as text.
        classes: two or more values, of which the first has number 0.
        where: which events count.

    Raises:
        TidemillError: E_LABEL (configuration) where there are fewer than two classes, or two are the same.
    """

    source: Source
    column: str
    classes: tuple[str, ...]
    where: str | None = None

    def __post_init__(self) -> None:
        where = f"ClassIn({self.source.name}, {self.column!r})"
        texts = isinstance(self.classes, tuple) and all(isinstance(name, str) and name for name in self.classes)
        if not texts or len(self.classes) < 2:
            raise invalid("E_LABEL", "it needs two classes or more, each a text", where, 'give classes=("a", "b", "c")')
        if len(set(self.classes)) < len(self.classes):
            raise invalid("E_LABEL", "two of its classes are the same", where, "name each class once")


Population = ActiveWithin | StateIs
Outcome = NoEventIn | AnyEventIn | ValueAt | ClassIn


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
            raise invalid("E_LABEL", "the outcome lies outside [T, T + horizon)", where, "lengthen the horizon")
        if self.population.source.entity != self.outcome.source.entity:
            raise invalid("E_LABEL", "population and outcome speak of different entities", where, "use one entity")

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that the label reads, each once."""
        return tuple(dict.fromkeys((self.population.source, self.outcome.source)))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its values 0, 1, 2 and so on, where the outcome is a class; else none."""
        return self.outcome.classes if isinstance(self.outcome, ClassIn) else ()

    @property
    def matures_after(self) -> timedelta:
        """How long after t the label at t is complete: horizon and delay."""
        delay = max(s.delay for s in self.sources) if self.delay is None else self.delay
        return self.horizon + delay

    @property
    def digest(self) -> str:
        """What makes its values what they are."""
        return digest_of(freeze(self))
