"""What workers are told about a feature view: values that travel to them, free of Feast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.time import to_micros

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Column:
    """A join key or a feature.

    Args:
        name: its name online.
        source: its name in the source.
        kind: Feast's value type in small letters, such as `double`.
    """

    name: str
    source: str
    kind: str


@dataclass(frozen=True)
class OnlineView:
    """A feature view as an online store knows it.

    Args:
        project: Feast's project.
        name: of the view, with its version where Feast is set up so.
        keys: the join keys, ordered by name as Feast orders them.
        features: in the order of the view.
        event: the source's column with the time that a row speaks for.
        created: the source's column with the time when a row was made, which settles ties; or None.
    """

    project: str
    name: str
    keys: tuple[Column, ...]
    features: tuple[Column, ...]
    event: str
    created: str | None

    @property
    def table(self) -> str:
        """The table of an SQL store."""
        return f"{self.project}_{self.name}"

    @property
    def columns(self) -> list[str]:
        """The columns of the source that are read, each once."""
        made = [] if self.created is None else [self.created]
        return list(dict.fromkeys([c.source for c in (*self.keys, *self.features)] + [self.event, *made]))


@dataclass(frozen=True)
class Window:
    """The event times that are loaded: `[since, until]`."""

    since: datetime
    until: datetime

    @property
    def micros(self) -> tuple[int, int]:
        """Both ends in microseconds since the epoch."""
        return to_micros(self.since), to_micros(self.until)
