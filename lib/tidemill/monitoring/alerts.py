"""What people are told: alerts with a severity, grouped into one message, and not twice for what lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from tidemill.core.config_monitor import Alerts
    from tidemill.monitoring.drift import Drift

Severity = Literal["warn", "alert"]
DRIFT, PERFORMANCE, CONCEPT, VOLUME = "drift", "performance", "concept_change", "volume"
NO_DATA, STALE, SILENT, FAILED = "no_data", "stale", "silent_job", "failed_job"
_ORDER = {"warn": 0, "alert": 1}


@dataclass(frozen=True)
class Alert:
    """One thing that somebody should know.

    Args:
        severity: `warn` or `alert`.
        kind: `drift`, `performance`, `concept_change`, `volume`, `no_data`, `stale`, `silent_job` or `failed_job`.
        subject: what it is about: `use case.column`, `use case`, `silver.source`, or `use case.job.error's code`.
        text: a sentence.
    """

    severity: Severity
    kind: str
    subject: str
    text: str

    @property
    def key(self) -> str:
        """What makes it the same alert on another day."""
        return f"{self.severity} {self.kind} {self.subject}"

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.severity}, {self.kind}, {self.subject}: {self.text}"


def drift_alerts(found: Iterable[Drift], of: str) -> list[Alert]:
    """An alert of each column that is reported.

    Args:
        found: the drift of columns.
        of: whose columns they are: a use case, or a source's table.
    """
    return [
        Alert("alert" if one.verdict == "alert" else "warn", one.kind, f"{of}.{one.bins.column}", one.reason)
        for one in found
        if one.verdict in _ORDER
    ]


@dataclass(frozen=True)
class Message:
    """One message of all alerts that are worth sending.

    Args:
        severity: the worst of them.
        subject: a line.
        text: the message, the subject first and a link last.
    """

    severity: Severity
    subject: str
    text: str


@dataclass(frozen=True)
class Raised:
    """An alert, and the as-of time at which it was found."""

    alert: Alert
    as_of: datetime


@dataclass(frozen=True)
class Try:
    """What a channel was given, and whether it took it."""

    raised: Raised
    sent: bool


def due(found: Sequence[Alert], tries: Sequence[Try], at: datetime, settings: Alerts) -> list[Raised]:
    """What one channel is told: what is worth sending now, and what it was given before and did not take.

    Args:
        found: at the as-of time.
        tries: with as-of times up to that, the oldest try first.
        at: the as-of time.
        settings: as of `worth_sending`.
    """
    by_time = sorted((one.raised for one in tries if one.sent), key=lambda raised: raised.as_of)
    sent = {raised.alert.key: raised.as_of.date() for raised in by_time}
    now = {alert.key for alert in found}
    newest = {one.raised.alert.key: one for one in tries}
    waiting = [one.raised for key, one in newest.items() if not one.sent and key not in now]
    news = [Raised(alert, at) for alert in worth_sending(found, sent, at.date(), settings)]
    return news + [raised for raised in waiting if worth_sending([raised.alert], {}, at.date(), settings)]


def dated(told: Sequence[Raised], at: datetime) -> list[Alert]:
    """Alerts for a message of an as-of time; those of another say of which."""
    return [
        one.alert if one.as_of == at else replace(one.alert, text=f"{one.alert.text} (as of {one.as_of.date()})")
        for one in told
    ]


def worth_sending(found: Sequence[Alert], sent: Mapping[str, date], today: date, settings: Alerts) -> list[Alert]:
    """The alerts that are sent: severe enough, not silenced, and not sent a short while ago.

    Args:
        found: today.
        sent: when each key was last sent.
        today: of the as-of time.
        settings: the least severity, silences, and days until an alert that lasts is sent again.
    """
    return [
        alert
        for alert in found
        if _ORDER[alert.severity] >= _ORDER[settings.least]
        and silenced(alert, today, settings) is None
        and not (alert.key in sent and 0 <= (today - sent[alert.key]).days < settings.repeat_days)
    ]


def silenced(alert: Alert, today: date, settings: Alerts) -> str | None:
    """Why an alert is kept from everybody, or None."""
    for silence in settings.silences:
        same = silence.kind in {"", alert.kind} and silence.subject in {"", alert.subject}
        if same and today < silence.until:
            return silence.because
    return None


def group(found: Sequence[Alert], use_case: str, as_of: str, link: str) -> Message | None:
    """One message of all alerts, worst first and by kind; None where there is none."""
    if not found:
        return None
    ordered = in_order(found)
    worst = ordered[0].severity
    counts = ", ".join(
        f"{sum(a.kind == kind for a in ordered)} {kind}" for kind in dict.fromkeys(a.kind for a in ordered)
    )
    subject = f"[tidemill {worst}] {use_case} as of {as_of}: {counts}"
    return Message(worst, subject, "\n".join([subject, *(f"- {alert.line}" for alert in ordered), link]))


def in_order(found: Sequence[Alert]) -> list[Alert]:
    """Alerts, the worst first."""
    return sorted(found, key=lambda a: (-_ORDER[a.severity], a.kind, a.subject))
