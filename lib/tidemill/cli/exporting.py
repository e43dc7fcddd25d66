"""Leaving metrics for Prometheus: no run ends because they cannot be left, and people are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.monitoring import metrics
from tidemill.orchestration.dag import longest_gap

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.features.specs import FeatureView


def leave(context: Context, group: metrics.Group) -> None:
    """Leaves metrics where the configuration says; where they cannot be left, progress says so."""
    try:
        metrics.leave(context.root, context.config.metrics, group)
    except TidemillError as error:
        context.progress.say(f"{error.code} {error.what}; {error.next_step}")


def leave_success(context: Context) -> None:
    """Leaves that the monitor job ended well, and by when it should again."""
    days = context.config.monitor.every_days
    every = longest_gap("monitor") if days is None else timedelta(days=days)
    leave(context, metrics.success_metrics(context.use_case.name, context.now, every))


def leave_online(context: Context, view: FeatureView, stamp: datetime) -> None:
    """Leaves what the online values of a view speak for, and how old they may be where nothing is wrong.

    That is as long as lies between two runs, as its sources may lag behind, and as the view's own delay takes.
    """
    agreed = [context.contract(source).freshness or timedelta(0) for source in view.sources]
    allowed = longest_gap("materialize") + max(agreed) + view.delay
    leave(context, metrics.online_metrics(context.use_case.name, view.table_name, stamp, allowed))


def leave_job(context: Context, seconds: float, code: int) -> None:
    """Leaves how the run ended."""
    leave(context, metrics.job_metrics(context.use_case.name, context.job, datetime.now(UTC), seconds, code))
