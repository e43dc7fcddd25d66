"""A registered graph against its own sample: rows with the scores that Spark gave them, and what was predicted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.models.onnx_scoring import SAMPLE, load_scorer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tidemill.models.onnx_scoring import Scorer

PREDICTIONS = "predictions"
_WRONG = "the model does not give the scores of its own sample"


def load_checked(folder: Path) -> Scorer:
    """The scorer of a folder, after it has said of the sample's rows what was said of them when it was registered.

    Raises:
        ValueError: the graph was changed, or says something else.
    """
    scorer = load_scorer(folder)
    sample = json.loads((folder / SAMPLE).read_text("utf-8"))
    rows = sample["rows"]
    if not rows:
        raise ValueError(f"{_WRONG}: it holds no row")
    # Graphs that were registered before they predicted give scores alone.
    found = np.column_stack(scorer.told(rows)) if PREDICTIONS in sample else scorer.outputs_of_rows(rows)
    wrong = ~(sample_gaps(found, sample) <= scorer.description["tolerance"])  # so that NaN is wrong, too
    if wrong.any():
        at = int(np.argmax(wrong))
        wanted = [sample[name][at] for name in ("scores", PREDICTIONS) if name in sample]
        raise ValueError(f"{_WRONG}: row {at} scores {found[at].tolist()} instead of {wanted}")
    return scorer


def sample_gaps(found: NDArray[np.float64], sample: Mapping[str, Any]) -> NDArray[np.float64]:
    """The largest gap of each row of a sample; NaN where a score is none, infinite where numbers are too many or few.

    Args:
        found: of each row the score or the probabilities, and last the prediction, where the sample has some.
        sample: with `scores`, and with `predictions`, null where the score is too near to the threshold to tell.
    """
    count = len(sample["scores"])
    scores = np.array(sample["scores"], np.float64).reshape(count, -1)
    wanted = np.column_stack([scores, *([np.array(sample[PREDICTIONS], np.float64)] if PREDICTIONS in sample else [])])
    if found.shape != wanted.shape:
        return np.full(count, np.inf)
    gaps = gaps_between(found, wanted)
    untold = np.isnan(wanted)
    untold[:, : scores.shape[1]] = False
    return np.where(untold, 0.0, gaps).max(axis=1)


def gaps_between(found: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far scores are from those expected, relative to these where they are larger than 1; NaN where one is none."""
    return np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
