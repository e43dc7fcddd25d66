"""What the monitor job leaves for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidemill.cli.exporting import leave
from tidemill.cli.freshness import reaches
from tidemill.monitoring import drift
from tidemill.monitoring.metrics import MonitorGauges, monitor_metrics
from tidemill.monitoring.shortfall import judged_against

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.performance import Known
    from tidemill.monitoring.shortfall import Shortfall, Turned
    from tidemill.stats.expected import Estimate

_NUMBER: Final[dict[drift.VerdictName, int]] = {drift.OK: 0, drift.WARN: 1, drift.ALERT: 2, drift.INSUFFICIENT: -1}
_SEVERITY: Final = {"warn": 1, "alert": 2}


def write_gauges(
    context: Context,
    scored: Scored,
    found: Sequence[drift.Drift],
    verdict: drift.Verdict,
    raised: Sequence[Alert],
    known: Known | None,
    expected: Estimate,
    turned: Sequence[Turned],
    fallen: Sequence[Shortfall],
) -> None:
    """Writes the gauges of the run."""
    metric = context.use_case.metric
    performance = {"promised": scored.card["gate_value"]}
    if known is not None:
        performance |= {"realised": known.value, "baseline": known.baseline}
    if expected.value is not None:
        performance["expected"] = expected.value.estimate
    severities: dict[str, int] = {one.against: _SEVERITY[one.severity] for one in fallen}
    reached = reaches(context)
    gauges = MonitorGauges(
        as_of=context.as_of,
        verdict=_NUMBER[verdict.verdict],
        rows=scored.population,
        features={d.bins.column: (_NUMBER[d.verdict], d.psi) for d in found},
        metric=metric,
        performance={kind: value for kind, value in performance.items() if value is not None},
        alerts={severity: sum(a.severity == severity for a in raised) for severity in ("warn", "alert")},
        sources={one.source.name: one.until for one in reached if one.until is not None},
        freshness={one.source.name: one.agreed for one in reached if one.agreed is not None},
        fallen={name: severities.get(name, 0) for name in judged_against(turned, context.config.monitor)},
    )
    leave(context, monitor_metrics(context.use_case.name, gauges))
