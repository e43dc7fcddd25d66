"""What the monitor job leaves for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidemill.cli.exporting import leave
from tidemill.monitoring import drift
from tidemill.monitoring.metrics import MonitorGauges, monitor_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.performance import Known
    from tidemill.stats.expected import Estimate

_NUMBER: Final[dict[drift.VerdictName, int]] = {drift.OK: 0, drift.WARN: 1, drift.ALERT: 2, drift.INSUFFICIENT: -1}


def write_gauges(
    context: Context,
    scored: Scored,
    found: Sequence[drift.Drift],
    verdict: drift.Verdict,
    raised: Sequence[Alert],
    known: Known | None,
    expected: Estimate,
) -> None:
    """Writes the gauges of the run."""
    metric = context.use_case.metric
    performance = {"promised": scored.card["gate_value"]}
    if known is not None:
        performance |= {"realised": known.value, "baseline": known.baseline}
    if expected.value is not None:
        performance["expected"] = expected.value.estimate
    marks = {s.name: context.watermark([s], context.as_of) for s in context.use_case.sources}
    gauges = MonitorGauges(
        as_of=context.as_of,
        verdict=_NUMBER[verdict.verdict],
        rows=scored.population,
        features={d.bins.column: (_NUMBER[d.verdict], d.psi) for d in found},
        metric=metric,
        performance={kind: value for kind, value in performance.items() if value is not None},
        alerts={severity: sum(a.severity == severity for a in raised) for severity in ("warn", "alert")},
        sources={name: at for name, at in marks.items() if at is not None},
    )
    leave(context, monitor_metrics(context.use_case.name, gauges))
