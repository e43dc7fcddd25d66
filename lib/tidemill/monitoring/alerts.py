"""What people are told: alerts with a severity, grouped into one message, and not twice for what lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from tidemill.core.config_monitor import Alerts

Severity = Literal["warn", "alert"]
DRIFT, PERFORMANCE, VOLUME = "drift", "performance", "volume"
NO_DATA, STALE, SILENT = "no_data", "stale", "silent_job"
_ORDER = {"warn": 0, "alert": 1}


@dataclass(frozen=True)
class Alert:
    """One thing that somebody should know.

    Args:
        severity: `warn` or `alert`.
        kind: `drift`, `performance`, `volume`, `no_data`, `stale` or `silent_job`.
        subject: what it is about: `use case.column`, `use case`, or `silver.source`.
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
