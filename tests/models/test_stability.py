"""Stability selection against a twin made of XGBoost's own estimator, and on data whose useful columns are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tidemill.core.errors import TidemillError
from tidemill.core.frozen import freeze
from tidemill.declare import Preparation
from tidemill.models.stability import _SEED, PAIRS, stable_shares
from xgboost import XGBRegressor

if TYPE_CHECKING:
    from numpy.typing import NDArray


def made(rows: int = 3_000) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """A strong column, one whose size tells, a copy of the strong one, and five of noise; entities of three rows."""
    random = np.random.default_rng(1)
    values = random.standard_normal((rows, 8))
    values[:, 2] = values[:, 0]
    values[random.random(rows) < 0.1, 1] = np.nan
    signal = 1.5 * values[:, 0] + np.nan_to_num(values[:, 1]) ** 2 - 1
    label = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(np.float64)
    return values, label, np.repeat(random.integers(-(1 << 63), (1 << 63) - 1, rows // 3), 3)


def naive(values: NDArray[np.float64], label: NDArray[np.float64], halves: NDArray[np.int64]) -> list[float]:
    hits = [0] * values.shape[1]
    for pair in range(PAIRS):
        for half in (0, 1):
            rows = [at for at, bits in enumerate(halves.tolist()) if (bits // 2**pair) % 2 == half]
            shadows = np.random.default_rng((_SEED, pair, half)).permuted(values[rows], axis=0)
            model = XGBRegressor(n_estimators=20, max_depth=4, learning_rate=0.3, tree_method="hist", n_jobs=1)
            model.fit(np.column_stack([values[rows], shadows]), label[rows])
            gains = model.get_booster().get_score(importance_type="total_gain")
            limit = max(float(gains.get(f"f{values.shape[1] + at}", 0)) for at in range(values.shape[1]))
            for at in range(values.shape[1]):
                hits[at] += float(gains.get(f"f{at}", 0)) > limit
    return [hit / (2 * PAIRS) for hit in hits]


def test_shares_are_those_of_the_twin_and_noise_is_not_stable() -> None:
    found = stable_shares(*made())
    assert found.tolist() == naive(*made())
    assert found[[0, 1]].tolist() == [1, 1]
    assert found[2] == 0  # the copy says nothing more
    assert (found[3:] <= 0.5).all()
    assert found.tolist() == stable_shares(*made()).tolist()


def test_a_label_of_chance_has_no_stable_column_and_one_entity_has_none() -> None:
    values, label, halves = made()
    shuffled = np.random.default_rng(2).permutation(label)
    assert (stable_shares(values, shuffled, halves) <= 0.5).all()
    assert stable_shares(values, label * 0, halves).tolist() == [0] * 8
    alone = stable_shares(values, label, np.zeros_like(halves))
    assert alone[:3].tolist() == [0.5, 0.5, 0]  # one half of each pair is empty


@pytest.mark.parametrize("share", [0.5, 0.0, 1.1, 80])
def test_a_share_that_is_no_majority_is_refused(share: float) -> None:
    with pytest.raises(TidemillError, match="no share above one half") as refused:
        Preparation(stable=share)
    assert refused.value.code == "E_PREPARATION"


def test_a_preparation_without_it_keeps_its_form() -> None:
    assert "stable" not in freeze(Preparation())
    assert freeze(Preparation(stable=0.7))["stable"] == 0.7
