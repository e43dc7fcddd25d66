"""The index over time, from what each judgement left beside its page. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tidemill.models.specs import TASKS
from tidemill.monitoring import drift
from tidemill.monitoring.alerts import in_order
from tidemill.pages.overview import Judgement, Overview
from tidemill.pages.values import METRICS, Expected, PerformancePoint
from tidemill.pages.wording import VERDICT_WORDS, advice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.monitoring.alerts import Alert
    from tidemill.monitoring.retraining import Decision
    from tidemill.pages.track import TrackPoint
    from tidemill.stats.expected import Estimate

    Entry = Mapping[str, Any]

_NAMED = 5  # features or alerts that are named; the report has all


def entry_of(
    *,
    facts: Mapping[str, Any],
    found: Sequence[drift.Drift],
    verdict: drift.Verdict,
    decision: Decision,
    alerts: Sequence[Alert],
    points: Sequence[TrackPoint],
    expected: Estimate,
) -> dict[str, Any]:
    """What a judgement leaves for the index, as JSON can hold it.

    Args:
        facts: `use_case`, `as_of`, `run_id`, `generated`, `page`, `task`, `version` as texts.
        found: the drift of each feature.
        verdict: over all of them.
        decision: about retraining.
        alerts: what was raised.
        points: the scores of each as-of time; those whose labels have matured are told of.
        expected: of the scores, before their labels.
    """
    value = expected.value
    return {
        **facts,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "features": len(found),
        "moved": {
            d.bins.column: {"reason": d.reason, "tail": d.tail} for d in found if d.verdict in {drift.WARN, drift.ALERT}
        },
        "decision": {"action": decision.action, "reasons": list(decision.reasons)},
        "alerts": [alert.line for alert in in_order(alerts)],
        "expected": {
            "metric": None if value is None else value.estimate,
            "low": None if value is None else value.low,
            "high": None if value is None else value.high,
            "reason": expected.reason,
        },
        "points": [
            {
                "as_of": p.as_of,
                "rows": p.rows,
                "metric": p.realised,
                "baseline": p.baseline,
                "low": p.low,
                "high": p.high,
            }
            for p in points
            if p.rows is not None
        ],
    }


def overview(entries: Sequence[Entry], generated: str) -> Overview:
    """The index of some judgements of one use case, at least one; of an as-of time that was judged again the newest."""
    by_run = sorted(entries, key=lambda entry: entry["run_id"])
    newest = {entry["as_of"]: entry for entry in by_run}
    ordered = [newest[at] for at in sorted(newest)]
    points = {point["as_of"]: point for entry in by_run for point in entry["points"]}
    return Overview(
        use_case=ordered[-1]["use_case"],
        generated=generated,
        metric=METRICS[TASKS[ordered[-1]["task"]]],
        judgements=tuple(_judgement(before, now) for before, now in itertools.pairwise([None, *ordered]) if now),
        realised=tuple(PerformancePoint(**points[at]) for at in sorted(points)),
    )


def _judgement(before: Entry | None, now: Entry) -> Judgement:
    return Judgement(
        as_of=now["as_of"],
        page=now["page"],
        verdict=now["verdict"],
        changes=_changes(before, now),
        sure=_sure(now),
        todo=_todo(now),
        expected=Expected(**now["expected"]),
    )


def _changes(before: Entry | None, now: Entry) -> tuple[str, ...]:
    """What differs from the judgement before; of the first, what moved."""
    found = [] if before is not None else ["This is the first report."]
    if before is not None and before["verdict"] != now["verdict"]:
        verdicts = (VERDICT_WORDS[entry["verdict"]] for entry in (before, now))
        found.append("Verdict: {} → {}.".format(*verdicts))
    if before is not None and before["version"] != now["version"]:
        found.append(f"Scored by version {now['version']}, before by {before['version']}.")
    earlier = {} if before is None else before["moved"]
    told = {name: f"{name}: {moved['reason']}." for name, moved in now["moved"].items() if name not in earlier}
    found += list(told.values())[:_NAMED]
    if len(told) > _NAMED:
        found.append(f"{len(told) - _NAMED} more features moved.")
    back = [name for name in earlier if name not in now["moved"]]
    if back:
        found.append(f"As usual again: {_some(back)}.")
    if before is not None and before["decision"]["action"] != now["decision"]["action"]:
        found.append("Retraining: {}.".format(" → ".join(e["decision"]["action"] for e in (before, now))))
    return tuple(found)


def _sure(now: Entry) -> str:
    reason = f"{now['reason'][:1].upper()}{now['reason'][1:]}."
    tails = [moved["tail"] for moved in now["moved"].values()]
    known = [tail for tail in tails if tail is not None]
    if known:
        return f"{reason} The surest of them: {_odds(min(known))}"
    if tails:
        return f"{reason} By stated limits: without quiet days nothing is known of chance."
    return reason


def _odds(tail: float) -> str:
    """How seldom chance does it."""
    if tail < 1e-9:
        return "on quiet days chance practically never does that."
    return f"chance does that on one quiet day in {round(1 / tail):,}."


def _todo(now: Entry) -> tuple[str, ...]:
    decision = now["decision"]
    found = [advice(now["verdict"], "in the report")]
    if decision["action"] != "none":
        found.append(f"Retraining is advised: {'; '.join(decision['reasons'])}.")
    found += [f"Told: {line}" for line in now["alerts"][:_NAMED]]
    if len(now["alerts"]) > _NAMED:
        found.append(f"{len(now['alerts']) - _NAMED} more alerts are in the report.")
    return tuple(found)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
