"""Ensembles of random trees against a walk from root to leaf."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemill.models.onnx_graph import NUMBER, Graph
from tidemill.models.onnx_trees import LESS, LESS_OR_EQUAL, add_ensemble
from tidemill.models.trees import LEAF, Tree

WIDTH = 3
VALUES = [0.0, -0.0, 1.0, 2.0, 3.0, 0.1, -7.5, 1e300, 5e-324, math.inf, -math.inf, math.nan, math.nextafter(0.1, 1)]


def grown(dice: random.Random, categories: bool) -> Tree:
    """A tree of up to 15 nodes in the order of a walk, as Spark numbers them."""
    nodes: list[dict[str, Any]] = []

    def grow(depth: int) -> int:
        place = len(nodes)
        node: dict[str, Any] = {"first": LEAF, "second": LEAF, "value": dice.uniform(-5, 5)}
        nodes.append(node)
        if depth < 3 and dice.random() < 0.75:
            node["first"], node["second"] = grow(depth + 1), grow(depth + 1)
        return place

    grow(0)
    finite = [value for value in VALUES if math.isfinite(value)]
    inner = [place for place, node in enumerate(nodes) if node["first"] != LEAF]
    return Tree(
        np.array([node["first"] for node in nodes]),
        np.array([node["second"] for node in nodes]),
        np.array([dice.randrange(WIDTH) for _ in nodes]),
        np.array([dice.choice(finite) for _ in nodes]),
        {p: sorted(dice.sample([0.0, 1.0, 2.0, 3.0], 2)) for p in inner if categories and dice.random() < 0.5},
        np.array([node["value"] for node in nodes]),
        np.array([False if categories else dice.random() < 0.3 for _ in nodes]),
        np.ones(len(nodes)),
    )


def walked(tree: Tree, row: list[float], mode: int) -> float:
    """The value of the leaf that a row falls into."""
    node = 0
    while tree.first[node] != LEAF:
        value, limit = row[tree.feature[node]], tree.threshold[node]
        if node in tree.members:
            holds = value in tree.members[node]
        elif math.isnan(value):
            holds = bool(tree.missing_first[node])
        else:
            holds = value <= limit if mode == LESS_OR_EQUAL else value < limit
        node = int(tree.first[node] if holds else tree.second[node])
    return float(tree.value[node])


@pytest.mark.parametrize(("mode", "categories"), [(LESS_OR_EQUAL, False), (LESS, False), (LESS_OR_EQUAL, True)])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_a_row_falls_into_the_leaves_of_the_walk(mode: int, categories: bool, seed: int, count: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    trees = [grown(dice, categories) for _ in range(count)]
    rows = [[dice.choice(VALUES) for _ in range(WIDTH)] for _ in range(40)]
    graph = Graph()
    joined = graph.join([graph.read(f"x{i}", NUMBER) for i in range(WIDTH)])
    session = ort.InferenceSession(graph.serialise(add_ensemble(graph, joined.tensor, trees, mode, np.float64)))
    fed = {f"x{i}": np.array([[row[i]] for row in rows]) for i in range(WIDTH)}
    expected = [sum(walked(tree, row, mode) for tree in trees) for row in rows]
    assert session.run(None, fed)[0].ravel().tolist() == pytest.approx(expected, abs=1e-12)
