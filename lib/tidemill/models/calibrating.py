"""A calibration and a threshold, chosen on validation scores: pure, from counted rows to what a card keeps.

The rows come in parts that share no entity. What a calibration is worth is measured on the part that it was not fitted
on; the one that is kept is fitted on all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.core.errors import Exit, TidemillError
from tidemill.models.decisions import BEST, ISOTONIC, PLATT, THRESHOLD
from tidemill.stats.calibration import Isotonic, Platt, fit_isotonic, fit_platt, grouped
from tidemill.stats.counted import pooled, recounted
from tidemill.stats.probabilities import probabilities, probability_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.models.decisions import Decision
    from tidemill.stats.counted import Counted

    Calibration = Platt | Isotonic

NONE = "none"
_GROUPS = 200  # of scores that an isotonic regression tells apart: it has a knot or two for each, and so has the graph
_NOBODY = float(np.nextafter(1.0, 2.0))  # the threshold that no probability reaches, and that JSON can hold


@dataclass(frozen=True)
class Decided:
    """How scores become probabilities and decisions.

    Args:
        calibration: that follows the model, or None.
        threshold: of calibrated scores: from which on a row is decided positive.
        description: what the card says of both, as JSON values: `calibration` and `decision`, each None where none is
            declared.
    """

    calibration: Calibration | None
    threshold: float
    description: Mapping[str, Any]


UNDECIDED = Decided(None, THRESHOLD, {"calibration": None, "decision": None})


def choose(parts: Sequence[Counted], asked: str | None, decision: Decision | None) -> Decided:
    """Fits the calibration that is asked for, and chooses the threshold of the scores that it makes.

    `best` takes the lowest Brier score on rows that the calibration was not fitted on; of equal ones the simpler. The
    log loss would be decided by the few rows to which an isotonic regression gives 0 or 1.

    Args:
        parts: validation rows that share no entity; some may be empty.
        asked: `platt`, `isotonic`, `best`, or None.
        decision: how the threshold is chosen, or None for 0.5.

    Raises:
        TidemillError: E_NO_ROWS (no input) where fewer than two parts have rows.
    """
    parts = [part for part in parts if len(part.scores)]
    if len(parts) < 2:
        raise TidemillError(
            "E_NO_ROWS",
            "the folds have too few entities to calibrate scores or to choose a threshold on",
            where="scores of the folds",
            next_step="train with more rows, or declare neither calibration nor decision",
            exit_code=Exit.NO_INPUT,
        )
    names = [name for name in (PLATT, ISOTONIC) if asked in {name, BEST}]
    held_out = {NONE: pooled(parts), **{name: _held_out(parts, _FITS[name]) for name in names}}
    figures = {name: _figures(counted) for name, counted in held_out.items()}
    name = min(figures, key=lambda n: figures[n]["brier"]) if asked == BEST else asked or NONE
    calibration = None if name == NONE else _FITS[name](held_out[NONE])
    rows = held_out[NONE].totals.rows
    said: dict[str, Any] = {"calibration": None, "decision": None}
    if asked is not None:
        said["calibration"] = {"asked": asked, **form_of(calibration), "rows": rows, "validation": figures}
    threshold = THRESHOLD
    if decision is not None:
        found = decision.threshold(_calibrated(held_out[NONE], calibration))
        threshold = min(found.value, _NOBODY)
        how = {"by": type(decision).__name__, **asdict(decision), "reached": found.reached}
        said["decision"] = {**how, "rows": rows, "confusion": asdict(found.confusion)}
    return Decided(calibration, threshold, said)


def form_of(calibration: Calibration | None) -> dict[str, Any]:
    """A calibration as JSON values."""
    if calibration is None:
        return {"kind": NONE}
    parameters = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(calibration).items()}
    return {"kind": PLATT if isinstance(calibration, Platt) else ISOTONIC, **parameters}


def calibration_of(form: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration of a form, beside whatever else a card says of it; None where there is none."""
    if form is None or form["kind"] == NONE:
        return None
    if form["kind"] == PLATT:
        return Platt(form["slope"], form["offset"])
    return Isotonic(tuple(form["scores"]), tuple(form["values"]))


def _isotonic(counted: Counted) -> Isotonic:
    return fit_isotonic(grouped(counted, _GROUPS))


_FITS: dict[str, Callable[[Counted], Calibration]] = {PLATT: fit_platt, ISOTONIC: _isotonic}


def _held_out(parts: Sequence[Counted], fit: Callable[[Counted], Calibration]) -> Counted:
    """The rows of each part, calibrated by what was fitted on the others."""
    others = [pooled([*parts[:place], *parts[place + 1 :]]) for place in range(len(parts))]
    return pooled([_calibrated(part, fit(rest)) for part, rest in zip(parts, others, strict=True)])


def _calibrated(counted: Counted, calibration: Calibration | None) -> Counted:
    if calibration is None:
        return counted
    return recounted(calibration.apply(counted.scores), counted.positives, counted.negatives)


def _figures(counted: Counted) -> dict[str, float]:
    found = probabilities(probability_sums(counted), counted.totals)
    if found is None:
        raise ValueError("a calibration needs rows whose scores are probabilities")
    return {name: getattr(found, name) for name in ("brier", "log_loss", "expected_calibration_error")}
