"""The model card: what a registered version was made from and how it did, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidemill.core.time import Run, decode_times, encode_times, format_time
from tidemill.models.candidates import leaderboard
from tidemill.models.metric_values import as_values, scalars, with_intervals
from tidemill.models.specs import BINARY, REGRESSION
from tidemill.stats.expected import rmse_interval
from tidemill.stats.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidemill.models.candidates import Candidate
    from tidemill.models.gate_intervals import Gate
    from tidemill.models.judge import Slice
    from tidemill.models.search import Search
    from tidemill.models.splits import Plan
    from tidemill.models.use_case import UseCase

CARD, DECLARATION = "card.json", "use_case.json"


def build_card(
    use_case: UseCase,
    found: Search,
    gate: Gate,
    plan: Plan,
    training_set: str,
    as_of: datetime,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """The card of the winner of a search.

    Times are ISO 8601 in UTC; metrics are in the task's unit. Scores are calibrated as `calibration` says; `threshold`
    is that of a binary task, chosen as `decision` says; where nothing is declared both are null, and it is 0.5. The
    names of the `classes` of a multiclass task stand in the order of their numbers.

    Args:
        use_case: what was trained for.
        found: by the search.
        gate: the metrics of the scores that are kept of the winner's gate fit, and how sure they are.
        plan: the times of both fits.
        training_set: its identity.
        as_of: of the training.
        settings: of the fits.
    """
    winner, train = found.finalists[0], scalars(found.train_metrics)
    places = {c.name: place for place, c in enumerate(leaderboard(found.candidates, use_case.metric), start=1)}
    return {
        "use_case": use_case.name,
        "declaration": use_case.digest,
        "task": use_case.task,
        "metric": use_case.metric,
        **({"classes": list(use_case.classes)} if use_case.classes else {}),
        "family": winner.candidate.family,
        "parameters": winner.candidate.parameters,
        "without": list(winner.candidate.without),
        "threshold": found.decided.threshold if use_case.task == BINARY else None,
        **found.decided.description,
        "as_of": format_time(as_of),
        "training_set_id": training_set,
        "trained_until": format_time(plan.final[-1] + use_case.label.matures_after),
        "split": plan.said,
        "times": {
            "final": [asdict(run) for run in encode_times(plan.final)],
            "gate": [asdict(run) for run in encode_times(plan.gate)],
            "gate_train": [asdict(run) for run in encode_times(plan.gate_train)],
        },
        "fit": settings,
        "gate_rows": found.gate_rows,
        "gate_positive_rate": found.gate_positive_rate,
        "gate_value": winner.gate_value,
        "gate_metrics": with_intervals(as_values(gate.metrics), gate.intervals),
        "gate_intervals": {
            **gate.intervals,
            "metrics": {name: one["method"] for name, one in gate.intervals["metrics"].items()},
        },
        "train_value": train[use_case.metric],
        "train_metrics": train,
        "slices": [_slice(item) for item in found.slices],
        "baseline": {
            **asdict(found.baseline),
            "gate_value": found.baseline_gate,
            "folds": list(found.baseline_folds),
            "trivial_gate_value": found.trivial_gate,
        },
        "search": found.said,
        "candidates": [_row(c, found, places[c.name]) for c in found.candidates],
    }


def times_of(card: Mapping[str, Any], fit: str) -> tuple[datetime, ...]:
    """The as-of times of a card's `final`, `gate` or `gate_train` rows, oldest first."""
    return decode_times([Run(**run) for run in card["times"][fit]])


def gate_interval(card: Mapping[str, Any]) -> Interval | None:
    """The primary metric of the gate fit on the gate rows with its 95 % interval; None where a card has none of it."""
    value, metric = card["gate_value"], card["metric"]
    ends = [card["gate_metrics"].get(f"{metric}{end}") for end in ("_low", "_high")]
    if None not in ends:
        return Interval(value, *ends)
    return rmse_interval(value, card["gate_rows"]) if card["task"] == REGRESSION else None


def tells_of(card: Mapping[str, Any], use_case: UseCase) -> bool:
    """Whether a model predicts what the use case asks for now: its labels are of the same task and classes."""
    return (card["task"], card.get("classes", [])) == (use_case.task, list(use_case.classes))


def _slice(found: Slice) -> dict[str, Any]:
    values = {"rows": found.rows} if found.metrics is None else scalars(found.metrics)
    return {"column": found.column, "value": found.value, **values}


def _row(candidate: Candidate, found: Search, place: int) -> dict[str, Any]:
    gate = {f.candidate.name: f.gate_value for f in found.finalists}
    return {
        "name": candidate.name,
        "family": candidate.family,
        "parameters": candidate.parameters,
        "without": list(candidate.without),
        "place": place,
        "stopped": candidate.stopped,
        "folds": list(candidate.folds),
        "fold_mean": None if candidate.stopped else candidate.mean,
        "gate_value": gate.get(candidate.name),
        "chosen": candidate.name == found.finalists[0].candidate.name,
    }
