"""The configuration of monitoring: when something is worth saying."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from tidemill.core.config_section import Positive, Section, Share


class Least(Section):
    """Movements of a column below these do not matter, however sure they are.

    Args:
        level: in standard deviations of the column's normal scores.
        spread: of their square, 1 being the reference's.
        share: of rows.
        shape: of the population stability index, above what it usually is.
        large: so many times the others alert at once.
    """

    level: Annotated[float, Field(gt=0)] = 0.05
    spread: Annotated[float, Field(gt=0)] = 0.1
    share: Annotated[float, Field(gt=0)] = 0.01
    shape: Annotated[float, Field(gt=0)] = 0.03
    large: Annotated[float, Field(ge=1)] = 10.0


class KnownEvent(Section):
    """Days, from `since` up to but not on `until`, on which columns may do as they like, and why; no column is all."""

    since: date
    until: date
    columns: tuple[str, ...] = ()
    because: str


class Monitor(Section):
    """When a column's drift is worth saying: by its own quiet period, or by stated limits where there is none."""

    bins: Annotated[int, Field(ge=2)]
    warn: Annotated[float, Field(gt=0)]
    alert: Annotated[float, Field(gt=0)]
    alert_share: Share
    minimum_rows: Positive
    quiet_days: Annotated[int, Field(ge=8)]
    season_days: Positive
    false_discoveries: Annotated[float, Field(gt=0, lt=1)]
    persistence: Positive
    least: Least
    events: tuple[KnownEvent, ...]
