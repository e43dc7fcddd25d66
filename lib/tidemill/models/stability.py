"""In how many halves of the training rows a column is important: stability selection. NumPy and XGBoost, no Spark.

A column is important in a half where its total gain in a few boosted trees is larger than that of every shadow, which
are copies of all columns with their rows shuffled (Kursa and Rudnicki 2010). Stable is what is so in most halves
(Meinshausen and Bühlmann 2010); halves are taken in pairs that have no entity in common (Shah and Samworth 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.models.xgb_native import total_gains

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS = 10
_SEED = 20100701


def stable_shares(
    values: NDArray[np.float64], label: NDArray[np.float64], halves: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The share of the halves in which each column is important; the same rows in the same order give the same.

    Args:
        values: shape (rows, columns); NaN is missing.
        label: of the rows; 0 and 1 count as numbers.
        halves: of the rows, equal for the rows of an entity; bit p says in which half of pair p a row is.
    """
    found = np.zeros(values.shape[1])
    for pair in range(PAIRS):
        side = halves >> pair & 1
        for half in (0, 1):
            found += _important(values[side == half], label[side == half], np.random.default_rng((_SEED, pair, half)))
    return found / (2 * PAIRS)


def _important(
    values: NDArray[np.float64], label: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.bool_]:
    columns = values.shape[1]
    if not len(values):  # a single entity is in one half of each pair
        return np.zeros(columns, dtype=bool)
    gains = total_gains(np.hstack([values, random.permuted(values, axis=0)]), label)
    return np.asarray(gains[:columns] > gains[columns:].max())
