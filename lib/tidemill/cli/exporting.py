"""Leaving metrics for Prometheus: no run ends because they cannot be left, and people are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.monitoring import metrics

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def leave(context: Context, group: metrics.Group) -> None:
    """Leaves metrics where the configuration says; where they cannot be left, progress says so."""
    try:
        metrics.leave(context.root, context.config.metrics, group)
    except TidemillError as error:
        context.progress.say(f"{error.code} {error.what}; {error.next_step}")


def leave_job(context: Context, seconds: float, code: int) -> None:
    """Leaves how the run ended."""
    leave(context, metrics.job_metrics(context.use_case.name, context.job, datetime.now(UTC), seconds, code))
