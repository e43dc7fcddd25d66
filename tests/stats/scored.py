"""Random and degenerate labels and scores, for tests of metrics."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from tidemill.stats.binary import Binary

Rows = tuple[NDArray[np.float64], NDArray[np.float64]]

TIES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9, 1.0])
PROBABILITY = st.one_of(TIES, st.floats(0, 1), st.sampled_from([5e-324, 1e-17, 1 - 1e-16]))
ANY = st.one_of(TIES, st.floats(allow_nan=False), st.sampled_from([-0.0, float("inf"), -float("inf")]))


@st.composite
def scored(draw: st.DrawFn, score: st.SearchStrategy[float] = PROBABILITY, least: int = 1) -> Rows:
    """Labels and as many scores: with ties, of one class, constant."""
    size = draw(st.integers(least, 60))
    one = draw(st.sampled_from([None, None, None, 0.0, 1.0]))
    labels = (
        [one] * size if one is not None else draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size))
    )
    scores = draw(st.one_of(st.lists(score, min_size=size, max_size=size), score.map(lambda s: [s] * size)))
    return np.array(labels), np.array(scores)


def assert_same(found: Binary, expected: Binary) -> None:
    """The same metrics, sums within their rounding."""
    one, other = _flat(dataclasses.asdict(found)), _flat(dataclasses.asdict(expected))
    assert {k for k, v in one.items() if v is None} == {k for k, v in other.items() if v is None}
    known = {k: v for k, v in other.items() if v is not None}
    assert {k: v for k, v in one.items() if v is not None} == pytest.approx(known, rel=1e-12, abs=1e-14)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for at, inner in enumerate(value) for k, v in _flat(inner, f"{name}.{at}").items()}
    return {name: value}
