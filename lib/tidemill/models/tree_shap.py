"""Exact Shapley values of trees, vectorised over rows.

What a set of features S is worth is what a tree is expected to say where only S is known: at a split on another feature
both branches count, by the shares of the training rows that took them (path-dependent Tree SHAP: Lundberg and others,
"Consistent individualized feature attribution for tree ensembles", 2018; "From local explanations to global
understanding with explainable AI for trees", 2020).

A tree is the sum of its leaves, and a leaf of value v whose path asks d different features is worth
v * prod(S: o_j) * prod(not S: z_j), where o_j is 1 if the row passes the path's tests of feature j, else 0, and z_j is
the share of the training rows that do, test by test. The weight |S|! (d - |S| - 1)! / d! of Shapley's formula is the
integral of t^|S| (1 - t)^(d - |S| - 1) from 0 to 1, so that the sum over all S becomes a product:

    phi_i = v * (o_i - z_i) * integral of prod(j != i: t o_j + (1 - t) z_j) dt

The integrand is a polynomial of degree d - 1, which Gauss-Legendre quadrature with d / 2 points integrates exactly; all
terms are positive, so nothing cancels. It depends on a row only by which tests it passes: of each pattern of tests it
is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tidemill.models.trees import LEAF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tidemill.models.trees import Tree

_ROWS = 16384  # at a time, so that memory stays flat


@dataclass(frozen=True)
class Path:
    """The way from the root to one leaf.

    Args:
        value: of the leaf.
        features: that are asked, each once.
        shares: of the training rows that pass the tests of each.
        tests: of each feature: nodes, and whether the first branch is the one to take.
    """

    value: float
    features: tuple[int, ...]
    shares: NDArray[np.float64]
    tests: tuple[tuple[tuple[int, bool], ...], ...]


def paths(tree: Tree) -> Iterator[Path]:
    """The ways to all leaves of a tree."""
    waiting: list[tuple[int, dict[int, float], dict[int, tuple[tuple[int, bool], ...]]]] = [(0, {}, {})]
    while waiting:
        node, shares, tests = waiting.pop()
        if tree.first[node] == LEAF:
            yield Path(float(tree.value[node]), tuple(shares), np.array(list(shares.values())), tuple(tests.values()))
            continue
        feature, cover = int(tree.feature[node]), float(tree.cover[node])
        for child, taken in ((int(tree.first[node]), True), (int(tree.second[node]), False)):
            share = float(tree.cover[child]) / cover if cover else 0.0
            passed = (*tests.get(feature, ()), (node, taken))
            waiting.append((child, {**shares, feature: shares.get(feature, 1.0) * share}, {**tests, feature: passed}))


def expected_value(trees: Sequence[Tree]) -> float:
    """What the sum of trees is expected to say where no feature is known."""
    return float(sum(path.value * path.shares.prod() for tree in trees for path in paths(tree)))


def tree_contributions(trees: Sequence[Tree], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Shapley values of the sum of trees, row by row and feature by feature.

    Args:
        trees: whose splits hold where the value is at most the threshold, or among the members.
        rows: shape (rows, features).

    Returns:
        The shape of `rows`; the values of a row and `expected_value` add up to what the trees say of it.
    """
    found = np.zeros(rows.shape[::-1])
    for tree in trees:
        ways = [path for path in paths(tree) if path.features]
        for at in range(0, len(rows), _ROWS):
            part = slice(at, at + _ROWS)
            taken = _first_branches(tree, rows[part])
            for path in ways:
                _add_path(path, taken, found[:, part])
    return found.T


def _first_branches(tree: Tree, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each row would take the first branch of each node; shape (nodes, rows)."""
    values = rows.T[tree.feature]
    taken = np.where(np.isnan(values), tree.missing_first[:, None], values <= tree.threshold[:, None])
    for node, members in tree.members.items():
        taken[node] = np.isin(values[node], members)
    return taken


def _add_path(path: Path, taken: NDArray[np.bool_], found: NDArray[np.float64]) -> None:
    """Adds to `found`, of shape (features, rows), what one leaf contributes."""
    count = len(path.features)
    patterns = np.zeros(taken.shape[1], dtype=np.int64)
    for place, tests in enumerate(path.tests):
        passed = np.logical_and.reduce([taken[node] == first for node, first in tests])
        patterns |= passed.astype(np.int64) << place
    if 1 << count <= len(patterns):
        different, which = np.arange(1 << count), patterns
    else:
        different, which = np.unique(patterns, return_inverse=True)
    passes = (different[:, None] >> np.arange(count) & 1).astype(np.float64)
    for feature, values in zip(path.features, path.value * shapley_values(passes, path.shares).T, strict=True):
        found[feature] += values[which]


def shapley_values(passes: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Shapley values of the product game of a leaf of value 1.

    Args:
        passes: o of the formula, 0 or 1; shape (patterns, features).
        shares: z of the formula, by feature.

    Returns:
        The shape of `passes`.
    """
    points, weights = _quadrature((len(shares) + 1) // 2)
    factors = passes[:, :, None] * points + shares[:, None] * (1 - points)
    others = np.ones_like(factors)  # of each feature the product of all the others
    others[:, 1:] = np.cumprod(factors[:, :-1], axis=1)
    others[:, :-1] *= np.cumprod(factors[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray((passes - shares) * (others @ weights))


@cache
def _quadrature(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights of Gauss-Legendre quadrature on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1) / 2, weights / 2
