"""Contributions of trees against Shapley's formula by enumeration, and against XGBoost's own."""

from __future__ import annotations

import json
import math
import random
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemill.models.onnx_boosters import read_tree
from tidemill.models.tree_shap import expected_value, shapley_values, tree_contributions
from tidemill.models.trees import LEAF, Tree
from xgboost import DMatrix, XGBRegressor

WIDTH = 4
VALUES = [0.0, 1.0, 2.0, 3.0, -math.inf, math.inf, math.nan]


def grown(dice: random.Random, depth: int) -> Tree:
    """A tree whose nodes ask the same features again and again; each branch took a random part of the rows."""
    nodes: list[dict[str, Any]] = []

    def grow(left: int, cover: float) -> int:
        place = len(nodes)
        nodes.append({"first": LEAF, "second": LEAF, "cover": cover})
        if left and dice.random() < 0.85:
            share = dice.choice([0.0, 0.1, 0.5, 0.9])
            nodes[place]["first"] = grow(left - 1, cover * share)
            nodes[place]["second"] = grow(left - 1, cover * (1 - share))
        return place

    grow(depth, 100.0)
    inner = [place for place, node in enumerate(nodes) if node["first"] != LEAF]
    return Tree(
        np.array([node["first"] for node in nodes]),
        np.array([node["second"] for node in nodes]),
        np.array([dice.randrange(WIDTH) for _ in nodes]),
        np.array([dice.choice([0.5, 1.0, 1.5, 2.5]) for _ in nodes]),
        {place: [0.0, 2.0] for place in inner if dice.random() < 0.3},
        np.array([dice.uniform(-5, 5) for _ in nodes]),
        np.array([False for _ in nodes]),
        np.array([node["cover"] for node in nodes]),
    )


def known(tree: Tree, row: list[float], features: frozenset[int], node: int = 0) -> float:
    """What the tree is expected to say where only some features are known."""
    if tree.first[node] == LEAF:
        return float(tree.value[node])
    first, second, feature = int(tree.first[node]), int(tree.second[node]), int(tree.feature[node])
    if feature in features:
        value = row[feature]
        holds = value in tree.members[node] if node in tree.members else value <= tree.threshold[node]
        return known(tree, row, features, first if holds else second)
    if tree.cover[node] == 0:
        return 0.0  # no training row came by: its share is nothing already
    shares = [tree.cover[child] / tree.cover[node] for child in (first, second)]
    return float(sum(s * known(tree, row, features, c) for s, c in zip(shares, (first, second), strict=True) if s))


def enumerated(tree: Tree, row: list[float], players: tuple[int, ...] = tuple(range(WIDTH))) -> list[float]:
    """Shapley's formula as it is written."""
    found = []
    for player in players:
        others, total = [p for p in players if p != player], 0.0
        for size in range(len(players)):
            weight = math.factorial(size) * math.factorial(len(players) - size - 1) / math.factorial(len(players))
            for chosen in combinations(others, size):
                some = frozenset(chosen)
                total += weight * (known(tree, row, some | {player}) - known(tree, row, some))
        found.append(total)
    return found


@given(seed=st.integers(0, 2**32), depth=st.integers(0, 6))
def test_contributions_are_those_of_the_formula(seed: int, depth: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    trees = [grown(dice, depth) for _ in range(2)]
    rows = [[dice.choice(VALUES) for _ in range(WIDTH)] for _ in range(3)]
    found = tree_contributions(trees, np.array(rows))
    expected = [np.sum([enumerated(tree, row) for tree in trees], axis=0).tolist() for row in rows]
    assert found.tolist() == [pytest.approx(row, abs=1e-12) for row in expected]
    whole = [sum(known(tree, row, frozenset(range(WIDTH))) for tree in trees) for row in rows]
    assert (found.sum(axis=1) + expected_value(trees)).tolist() == pytest.approx(whole, abs=1e-12)


def test_few_rows_and_many_are_explained_alike() -> None:
    """Few rows are counted by the patterns that occur, many by all patterns there can be."""
    dice = random.Random(5)  # noqa: S311
    tree = grown(dice, 6)
    rows = np.array([[dice.choice(VALUES) for _ in range(WIDTH)] for _ in range(5000)])
    one_by_one = np.concatenate([tree_contributions([tree], row.reshape(1, -1)) for row in rows[::50]])
    assert np.abs(tree_contributions([tree], rows)[::50] - one_by_one).max() <= 1e-15


def test_a_path_of_thirty_features_is_exact() -> None:
    """All tests passed and shares of one half: each feature adds the same, as none is told from another."""
    found = shapley_values(np.ones((1, 30)), np.full(30, 0.5))
    assert found[0] == pytest.approx(np.full(30, (1 - 0.5**30) / 30), rel=1e-13)


def test_contributions_are_those_of_xgboost() -> None:
    chance = np.random.default_rng(11)
    rows = chance.normal(size=(500, 6)).astype(np.float32)
    rows[chance.random(rows.shape) < 0.1] = np.nan
    told = np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + chance.normal(size=len(rows)) / 3
    model = XGBRegressor(n_estimators=20, max_depth=7, n_jobs=1, tree_method="hist", base_score=0.0).fit(rows, told)
    booster = model.get_booster()
    saved = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    trees = []
    for tree in map(read_tree, saved):  # which branches where a value is less
        below = np.nextafter(tree.threshold.astype(np.float32), np.float32(-np.inf)).astype(float)
        trees.append(Tree(**{**tree.__dict__, "threshold": below}))
    expected = booster.predict(DMatrix(rows), pred_contribs=True)
    assert np.abs(tree_contributions(trees, rows.astype(float)) - expected[:, :-1]).max() <= 1e-5
    assert expected_value(trees) == pytest.approx(float(expected[0, -1]), abs=1e-5)
