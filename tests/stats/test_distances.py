"""Distances of histograms against SciPy on the same bins, and against closed forms on normal data."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import chebyshev, jensenshannon
from tidemill.stats.distances import (
    chi_square,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    l_infinity,
    population_stability_index,
)
from tidemill.stats.tails import chi_square_tail, discoveries, student_tail

COUNTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)), min_size=2, max_size=30)


@given(COUNTS)
def test_distances_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    p, q = np.array(pairs, np.float64).T
    assume(p.sum() > 0 and q.sum() > 0)
    entropy = jensenshannon(p, q, base=2)
    assert math.isclose(jensen_shannon(p, q) ** 2, entropy**2, abs_tol=1e-12)
    if entropy > 1e-5:  # below that, the root of a rounding error is larger than the distance is known
        assert math.isclose(jensen_shannon(p, q), entropy, abs_tol=1e-9)
    assert math.isclose(l_infinity(p, q), chebyshev(p / p.sum(), q / q.sum()), abs_tol=1e-12)
    expected = np.max(np.abs(np.cumsum(p / p.sum()) - np.cumsum(q / q.sum())))
    assert math.isclose(kolmogorov_smirnov(p, q), expected, rel_tol=1e-9, abs_tol=1e-12)
    affinity = float(np.sum(np.sqrt(p / p.sum() * q / q.sum())))
    assert math.isclose(hellinger(p, q) ** 2, 1 - affinity, abs_tol=1e-9)
    table = np.vstack([p, q])[:, p + q > 0]
    found = chi_square(p, q)
    if table.shape[1] > 1:
        oracle = stats.chi2_contingency(table, correction=False)
        assert found.freedom == oracle.dof
        assert math.isclose(found.statistic, oracle.statistic, rel_tol=1e-9, abs_tol=1e-9)
        assert math.isclose(found.tail, oracle.pvalue, rel_tol=1e-7, abs_tol=1e-9)


def test_a_step_function_has_the_distance_of_the_samples_that_made_it() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.integers(0, 12, 900), rng.integers(2, 14, 700)
    counts = [np.bincount(rows, minlength=14) for rows in (one, other)]
    assert math.isclose(kolmogorov_smirnov(*counts), stats.ks_2samp(one, other).statistic, rel_tol=1e-9)


def test_literals() -> None:
    assert jensen_shannon((1, 0), (0, 5)) == hellinger((1, 0), (0, 5)) == l_infinity((1, 0), (0, 5)) == 1.0
    assert l_infinity((1, 1, 2), (0, 2, 2)) == 0.25
    with pytest.raises(ValueError, match="same bins"):
        hellinger((1, 2), (1, 2, 3))
    with pytest.raises(ValueError, match="one row"):
        hellinger((0, 0), (1, 2))


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.5])
def test_closed_forms_of_two_normals(shift: float) -> None:
    edges = np.linspace(-9, 9 + shift, 40_001)
    normal = NormalDist()
    p = np.diff([normal.cdf(x) for x in edges])
    q = np.diff([normal.cdf(x - shift) for x in edges])
    assert math.isclose(hellinger(p, q) ** 2, 1 - math.exp(-(shift**2) / 8), rel_tol=1e-5)
    assert math.isclose(kolmogorov_smirnov(p, q), 2 * normal.cdf(shift / 2) - 1, rel_tol=1e-6)
    assert math.isclose(population_stability_index(p * 1e12, q * 1e12), shift**2, rel_tol=1e-5)


@given(st.floats(0, 30), st.integers(1, 200))
def test_tails_are_those_of_scipy(value: float, freedom: int) -> None:
    assert math.isclose(student_tail(value, freedom), 2 * stats.t.sf(value, freedom), rel_tol=1e-6, abs_tol=1e-13)
    assert math.isclose(
        chi_square_tail(value * 10, freedom), stats.chi2.sf(value * 10, freedom), rel_tol=1e-9, abs_tol=1e-300
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.5))
def test_discoveries_are_those_of_scipy(tails: list[float], rate: float) -> None:
    adjusted = stats.false_discovery_control(tails, method="bh")
    close = np.isclose(adjusted, rate, rtol=1e-9)
    found = np.array(discoveries(tails, rate))
    assert np.array_equal(found[~close], (adjusted <= rate)[~close])
