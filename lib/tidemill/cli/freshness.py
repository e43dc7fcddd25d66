"""Whether the sources are as fresh as their contracts ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import format_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tidemill.cli.context import Context
    from tidemill.data.sources import Source


@dataclass(frozen=True)
class Reach:
    """How far a source reaches at T, and how far it may lag behind.

    Args:
        source: as declared.
        until: the time up to which it is complete; None where it holds no row.
        behind: from then to T.
        agreed: by its contract, or None.
    """

    source: Source
    until: datetime | None
    behind: timedelta | None
    agreed: timedelta | None

    @property
    def late(self) -> bool:
        """Whether it lags behind by more than was agreed."""
        return self.agreed is not None and (self.behind is None or self.behind > self.agreed)


def reaches(context: Context) -> list[Reach]:
    """How far each source reaches at T."""
    found = []
    for source in context.use_case.sources:
        mark = context.watermark([source], context.as_of)
        behind = None if mark is None else context.as_of - mark
        found.append(Reach(source, mark, behind, context.contract(source).freshness))
    return found


@dataclass(frozen=True)
class Late:
    """A source that lags behind T by more than its contract allows: its name, a sentence, whether it has any row."""

    source: str
    text: str
    stops: bool
    empty: bool


def late_sources(context: Context) -> list[Late]:
    """The sources that lag behind T by more than their contract allows."""
    found = []
    for reach in reaches(context):
        if reach.agreed is None or not reach.late:
            continue
        name, stops = reach.source.name, context.contract(reach.source).stale == "stop"
        until = "has no row" if reach.until is None else f"is complete only until {format_time(reach.until)}"
        text = f"the source {name!r} {until}, {reach.agreed.total_seconds() / 3600:g} h may be missing"
        found.append(Late(name, text, stops, reach.until is None))
    return found


def check_freshness(context: Context) -> tuple[str, ...]:
    """Sentences about the late sources.

    Raises:
        TidemillError: E_STALE (no input) where the contract of one says that scoring must stop.
    """
    late = late_sources(context)
    for source in late:
        if source.stops:
            raise TidemillError(
                "E_STALE",
                source.text,
                where=f"silver.{source.source} as of {format_time(context.as_of)}",
                next_step="deliver the missing rows, or choose an earlier as-of time",
                exit_code=Exit.NO_INPUT,
            )
    return tuple(source.text for source in late)
