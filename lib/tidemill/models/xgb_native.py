"""XGBoost's boosters by themselves, without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from xgboost import Booster, DMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = np.finfo(np.float32).max


def native_booster(text: str) -> bytes:
    """A booster's JSON in XGBoost's own binary form (`ubj`)."""
    return bytes(_booster(text.encode("utf-8")).save_raw("ubj"))


def booster_contributions(saved: bytes, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Shapley values that XGBoost itself gives, in single precision.

    Args:
        saved: a booster of one output, in any of XGBoost's forms.
        rows: shape (rows, features); NaN is missing. An infinity, which XGBoost does not read, counts as the largest
            number, which is on the same side of every split.

    Returns:
        Shape (rows, features + 1): of each feature, and the expected margin, which add up to the row's margin.
    """
    matrix = DMatrix(np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32), missing=np.nan, nthread=1)
    return np.asarray(_booster(saved).predict(matrix, pred_contribs=True), dtype=np.float64)


def _booster(saved: bytes) -> Booster:
    booster = Booster({"nthread": 1})
    booster.load_model(bytearray(saved))
    return booster
