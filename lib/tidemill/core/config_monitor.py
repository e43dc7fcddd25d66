"""The configuration of monitoring: when something is worth saying."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from tidemill.core.config_section import Address, Positive, Section, Share


class Least(Section):
    """Movements of a column below these do not matter, however sure they are.

    Args:
        level: in standard deviations of the column's normal scores.
        spread: of their square, 1 being the reference's.
        share: of rows.
        shape: of the population stability index, above what it usually is.
        joint: of the ROC AUC of telling scored rows from training rows, above what is usual.
        performance: of the primary metric, as a share of what was promised (of a ROC AUC, of what is above 0.5).
        large: so many times the others alert at once.
    """

    level: Annotated[float, Field(gt=0)] = 0.05
    spread: Annotated[float, Field(gt=0)] = 0.1
    share: Annotated[float, Field(gt=0)] = 0.01
    shape: Annotated[float, Field(gt=0)] = 0.03
    joint: Annotated[float, Field(gt=0)] = 0.1
    performance: Annotated[float, Field(gt=0)] = 0.1
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
    joint_rows: Annotated[int, Field(ge=0)] = 1_000
    least: Least
    events: tuple[KnownEvent, ...]
    every_days: Positive | None = None


class Silence(Section):
    """Alerts that are kept but sent to nobody up to, but not on, a day: of a kind, of a subject, or of both."""

    kind: str = ""
    subject: str = ""
    until: date
    because: str


class Mail(Section):
    """Where mail goes, by a server that needs no password: a relay of the house."""

    host: str
    port: Annotated[int, Field(gt=0, lt=65536)] = 25
    sender: str
    to: tuple[str, ...]


class Alerts(Section):
    """Who is told of what monitoring finds."""

    least: Literal["warn", "alert"]
    repeat_days: Positive
    webhook: Address
    mail: Mail | None
    file: str
    allow_hosts: tuple[str, ...]
    timeout: Annotated[float, Field(gt=0)]
    page: str
    silent_days: Positive
    silences: tuple[Silence, ...]


class Metrics(Section):
    """Where jobs leave their metrics: a Pushgateway's address, or nothing for text files; seconds to wait for it."""

    pushgateway: Address
    timeout: Annotated[float, Field(gt=0)]


class Retraining(Section):
    """When a model is trained again; a trigger that is None is none."""

    mode: Literal["advise", "act"]
    every_days: Positive | None
    drift_of: Positive
    drift_in: Positive
    least_importance: Share
    worse_than_promised: Annotated[float, Field(gt=0)] | None
    new_times: Positive | None
    least_new_times: Annotated[int, Field(ge=0)] = 1
    cool_down_days: Annotated[int, Field(ge=0)]
    budget_days: Positive
    budget: Positive
    promote: bool
