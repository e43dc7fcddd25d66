"""Whether the sources are as fresh as their contracts ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.time import format_time

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def check_freshness(context: Context) -> tuple[str, ...]:
    """Sentences about the sources that lag behind T by more than their contract allows.

    Raises:
        TidemillError: E_STALE (no input) where the contract of a late source says that scoring must stop.
    """
    notes = []
    for source in context.use_case.sources:
        contract = context.contract(source)
        mark = context.watermark([source], context.as_of)
        if contract.freshness is None or (mark is not None and context.as_of - mark <= contract.freshness):
            continue
        until = "has no row" if mark is None else f"is complete only until {format_time(mark)}"
        text = f"the source {source.name!r} {until}, {contract.freshness.total_seconds() / 3600:g} h may be missing"
        if contract.stale == "stop":
            raise TidemillError(
                "E_STALE",
                text,
                where=f"silver.{source.name} as of {format_time(context.as_of)}",
                next_step="deliver the missing rows, or choose an earlier as-of time",
                exit_code=Exit.NO_INPUT,
            )
        notes.append(text)
    return tuple(notes)
