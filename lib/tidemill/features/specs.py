"""Declarations of features and labels: values only, no Spark.

Feature names are derived from what is declared and never typed twice. A view is checked as a whole when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tidemill.core.digest import digest_of
from tidemill.core.errors import nearest
from tidemill.core.frozen import declared, freeze
from tidemill.features.declarations import Aggregate, Declaration, Feature, Recency, Tenure, inputs_of, invalid

if TYPE_CHECKING:
    from tidemill.data.sources import Entity, Source

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
            raise invalid("E_VIEW", "a view's entity is that of its source", where, "use the source's entity")
        known: list[str] = []
        for item in self.features:
            for name in inputs_of(item):
                if name not in known:
                    raise invalid(
                        "E_FEATURE", f"there is no feature {name!r} before its use", where, nearest(name, known)
                    )
            for feature in item.features():
                if feature.name in known:
                    raise invalid(
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
            raise invalid("E_LABEL", "the outcome lies outside [T, T + horizon)", where, "lengthen the horizon")
        if self.population.source.entity != self.outcome.source.entity:
            raise invalid("E_LABEL", "population and outcome speak of different entities", where, "use one entity")

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
