"""XGBoost's boosters by themselves, without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xgboost import Booster, DMatrix, __version__, build_info, train

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GPU = ("cuda", "gpu")  # as xgboost.spark names the device
_LARGEST = np.finfo(np.float32).max
_FEW_TREES = {"tree_method": "hist", "max_depth": 4, "eta": 0.3, "nthread": 1}
_FEW = 20


def check_device(device: Any) -> None:
    """Refuses a GPU where the installed library was built for processors alone.

    Raises:
        TidemillError: E_DEVICE (configuration).
    """
    if device in GPU and not build_info().get("USE_CUDA"):
        raise TidemillError(
            "E_DEVICE",
            f"XGBoost is to fit on the device {device!r}, and the one that is installed here is built without CUDA",
            where=f"model 'xgboost', device={device!r}",
            next_step=f"where driver and workers run, put the build with CUDA in its place (pip uninstall xgboost-cpu, "
            f"then pip install xgboost=={__version__}), or leave device out",
            exit_code=Exit.CONFIGURATION,
        )


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
    matrix = _matrix(rows)
    return np.asarray(_booster(saved).predict(matrix, pred_contribs=True), dtype=np.float64)


def total_gains(rows: NDArray[np.float64], label: NDArray[np.float64]) -> NDArray[np.float64]:
    """The total gain in squared error of each column over 20 trees of depth 4; 0 of a column that no tree uses.

    Args:
        rows: shape (rows, columns), at least one row; NaN is missing.
        label: any numbers.
    """
    matrix = _matrix(rows)
    matrix.set_label(label)
    found: dict[str, float] = train(_FEW_TREES, matrix, _FEW).get_score(importance_type="total_gain")
    return np.array([found.get(f"f{column}", 0.0) for column in range(rows.shape[1])])


def _matrix(rows: NDArray[np.float64]) -> DMatrix:
    return DMatrix(np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32), missing=np.nan, nthread=1)


def _booster(saved: bytes) -> Booster:
    booster = Booster({"nthread": 1})
    booster.load_model(bytearray(saved))
    return booster
