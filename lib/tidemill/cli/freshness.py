"""Whether the sources are as fresh as their contracts ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import format_time

if TYPE_CHECKING:
    from tidemill.cli.context import Context


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
    for source in context.use_case.sources:
        contract = context.contract(source)
        mark = context.watermark([source], context.as_of)
        if contract.freshness is None or (mark is not None and context.as_of - mark <= contract.freshness):
            continue
        until = "has no row" if mark is None else f"is complete only until {format_time(mark)}"
        text = f"the source {source.name!r} {until}, {contract.freshness.total_seconds() / 3600:g} h may be missing"
        found.append(Late(source.name, text, contract.stale == "stop", mark is None))
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
