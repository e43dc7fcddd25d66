"""A decision tree as arrays: what graphs are made of, and what contributions are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One tree; arrays by node, the root first.

    Args:
        first: the node that follows where the condition holds, or `LEAF`.
        second: the node that follows elsewhere.
        feature: the feature that is looked at.
        threshold: what it is compared with.
        members: for a node that looks at categories those that take the first branch, by node.
        value: of a leaf.
        missing_first: whether a missing value takes the first branch.
        cover: the weight of the training rows that came by.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    members: dict[int, list[float]]
    value: NDArray[np.float64]
    missing_first: NDArray[np.bool_]
    cover: NDArray[np.float64]
