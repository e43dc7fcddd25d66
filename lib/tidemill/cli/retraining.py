"""The retraining decision of the monitor job: what it looks at, and where every decision is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.cli.plan import training_times
from tidemill.core.time import format_time, parse_time
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.models.card import CARD, times_of
from tidemill.monitoring import drift
from tidemill.monitoring.retraining import NONE, RETRAIN, Decision, Signals, decide
from tidemill.monitoring.tables import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from tidemill.cli.context import Context
    from tidemill.cli.judging import Scored
    from tidemill.models.registry import Registry, Version
    from tidemill.monitoring.performance import Known
    from tidemill.stats.expected import Estimate

_ACT = "act"


def decide_retraining(
    context: Context,
    registry: Registry,
    scored: Scored,
    found: Sequence[drift.Drift],
    verdict: drift.Verdict,
    known: Known | None,
    expected: Estimate,
) -> Decision:
    """Whether to retrain, by what is known at T; kept with its reasons."""
    card, metric = scored.card, context.use_case.metric
    matured, versions = training_times(context), _trained(context, registry)
    newest = card
    if versions and versions[-1].version != scored.version.version:
        newest = registry.document(versions[-1], CARD)
    earlier = [row["drift"] for row in _decisions(context)]
    decision = decide(
        Signals(
            drift=(*earlier, verdict.verdict),
            drifted=drift.share_in_alert(found, importance(card)),
            metric=metric,
            realised=None if known is None else known.value,
            expected=None if expected.value is None else expected.value.estimate,
            baseline=None if known is None else known.baseline,
            promised=card["gate_value"],
            promised_then=None if known is None else known.promised,
            new_times=_unlearnt(matured, card),
            age=_days(context, card["as_of"]),
            trained=tuple(_days(context, v.tags["as_of"]) for v in versions),
            unlearnt=_unlearnt(matured, newest) if versions else None,
        ),
        context.config.retraining,
    )
    row = {
        "use_case": context.use_case.name,
        "as_of": context.as_of,
        "model_version": scored.version.version,
        "mode": context.config.retraining.mode,
        "action": decision.action,
        "reasons": list(decision.reasons),
        "drift": verdict.verdict,
        "decided_at": context.now,
    }
    inputs = {"drift": scored.drift_batch.batch_id, "performance": scored.performance_batch.batch_id}
    inputs["realised"] = "" if known is None else known.judged_rows
    batch = derived_batch(DECISIONS, {"use_case": context.use_case.name, **inputs})
    commit(context.lake, DECISIONS, batch, pa.Table.from_pylist([row], schema=delta_schema(DECISIONS.columns)))
    return decision


def importance(card: Mapping[str, Any]) -> Mapping[str, float] | None:
    """How much a model relies on each feature, where its card says so."""
    found = card.get("importance")
    return None if found is None else {item["name"]: item["mean"] for item in found["features"]}


def why_not_to_train(context: Context) -> str | None:
    """Why the newest decision before T holds a training back; None where there is none, or decisions only advise."""
    earlier = _decisions(context)
    if context.config.retraining.mode != _ACT or not earlier or earlier[-1]["action"] != NONE:
        return None
    newest = earlier[-1]
    return f"the decision at {format_time(newest['as_of'])} was not to retrain: {'; '.join(newest['reasons'])}"


def why_not_to_promote(context: Context) -> str | None:
    """Why the newest decision before T leaves a promotion to people; None where it does not, or only advises."""
    earlier = _decisions(context)
    if context.config.retraining.mode != _ACT or not earlier or earlier[-1]["action"] != RETRAIN:
        return None
    return f"the decision at {format_time(earlier[-1]['as_of'])} was to retrain and not to promote"


def _decisions(context: Context) -> list[dict[str, Any]]:
    """The decisions at as-of times before T, oldest first; of a time decided twice, the newest."""
    if version_of(context.lake, DECISIONS) is None:
        return []
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") < context.as_of)
    rows = sorted(read_arrow(context.lake, DECISIONS, where=where).to_pylist(), key=lambda row: row["decided_at"])
    return sorted({row["as_of"]: row for row in rows}.values(), key=lambda row: row["as_of"])


def _trained(context: Context, registry: Registry) -> list[Version]:
    """The versions that were trained at T or before, the newest training last."""
    found = [v for v in registry.versions(context.use_case.name) if parse_time(v.tags["as_of"]) <= context.as_of]
    return sorted(found, key=lambda v: (parse_time(v.tags["as_of"]), int(v.version)))


def _unlearnt(matured: Sequence[datetime], card: Mapping[str, Any]) -> int:
    """How many of the times with matured labels a training has not learnt from."""
    seen = set(times_of(card, "final"))
    return sum(1 for t in matured if t not in seen)


def _days(context: Context, text: str) -> float:
    return (context.as_of - parse_time(text)).total_seconds() / 86_400
