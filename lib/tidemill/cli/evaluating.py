"""The page of a training, from the card of its best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.models.metric_values import ENDS
from tidemill.pages.evaluation import (
    ClassRow,
    Decisions,
    Evaluation,
    Figure,
    Share,
    SliceRow,
    TopRows,
    render_evaluation,
)
from tidemill.pages.values import CalibrationBin

if TYPE_CHECKING:
    from collections.abc import Mapping

EVALUATION = "evaluation.html"
_EXACT = {"delong": "DeLong", "wilson": "Wilson"}


def evaluation_page(card: Mapping[str, Any]) -> str:
    """The page, as one HTML text."""
    gate, importance = card["gate_metrics"], card.get("importance") or {"features": [], "unit": ""}
    return render_evaluation(
        Evaluation(
            use_case=card["use_case"],
            as_of=card["as_of"],
            metric=card["metric"],
            recipe=f"{card['family']}: {card['parameters']}",
            figures=tuple(
                Figure(name, value, *(gate.get(f"{name}{end}") for end in ENDS))
                for name, value in gate.items()
                if isinstance(value, int | float) and not name.endswith(ENDS)
            ),
            drawn=_drawn(card.get("gate_intervals")),
            top=_top(gate),
            decisions=Decisions(gate["threshold"], **gate["confusion"]) if "confusion" in gate else None,
            classes=_classes(card),
            calibration=tuple(
                CalibrationBin(one["mean_score"], one["positive_rate"], one["rows"])
                for one in gate.get("calibration", ())
                if one["rows"]
            ),
            importance=tuple((one["name"], one["mean"]) for one in importance["features"]),
            unit=importance["unit"],
            slices=tuple(
                SliceRow(one["column"], "no value" if one["value"] is None else one["value"], one["rows"], found)
                for one in card["slices"]
                for found in [one.get(card["metric"])]
            ),
            learning=tuple(Share(**one) for one in card.get("learning_curve", ())),
        )
    )


def _drawn(told: Mapping[str, Any] | None) -> str:
    """How the intervals of the figures were made."""
    if told is None or not told["metrics"]:
        return ""
    of = {"bootstrap": "entities with all their rows", "block_bootstrap": "blocks of time with all their rows"}
    ways: dict[str, list[str]] = {}
    for name, method in told["metrics"].items():
        ways.setdefault(method, []).append(name)
    exact = [f"{', '.join(ways[m])} after {said}" for m, said in _EXACT.items() if m in ways]
    drawn = f"those of {told['units']:,} {of[told['drawn']]} that were drawn anew {told['draws']} times"
    parts = exact + ([("others are " if exact else "they are ") + drawn] if told["drawn"] in ways else [])
    return f"Intervals are of {told['confidence']:.0%}: {'; '.join(parts)}."


def _classes(card: Mapping[str, Any]) -> tuple[ClassRow, ...]:
    """Of several classes each, with what was decided of its rows."""
    gate = card["gate_metrics"]
    each = zip(card.get("classes", ()), gate.get("classes", ()), gate.get("confusion_matrix", ()), strict=True)
    return tuple(
        ClassRow(
            name=name,
            rows=found["rows"],
            decided=tuple(decided),
            precision=found["precision"],
            recall=found["recall"],
            f1=found["f1"],
            roc_auc=found["roc_auc"],
        )
        for name, found, decided in each
    )


def _top(gate: Mapping[str, Any]) -> tuple[TopRows, ...]:
    """The table of lift and gain, with the false positive rates that follow; nothing where a class is absent."""
    table = gate.get("lift", ())
    if not table or table[-1]["recall"] is None or table[-1]["positives"] == table[-1]["rows"]:
        return ()
    rows, negatives = table[-1]["rows"], table[-1]["rows"] - table[-1]["positives"]
    return tuple(
        TopRows(
            share=one["rows"] / rows,
            false_positive_rate=(one["rows"] - one["positives"]) / negatives,
            recall=one["recall"],
            precision=one["precision"],
            lift=one["lift"],
        )
        for one in table
    )
