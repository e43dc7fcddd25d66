"""All distances of two sketches, as they are kept: SciPy's on the same bins and summaries, closed forms on normals."""

import math
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import chebyshev, euclidean, jensenshannon
from tidemill.data.column_sketches import sketch_column
from tidemill.monitoring.distances import distances
from tidemill.stats.bins import NUMBER, TEXT, Bins, choose_bins
from tidemill.stats.moments import Moments
from tidemill.stats.quantiles import Quantiles
from tidemill.stats.sketch import Sketch, merge_sketches

VALUES = st.lists(st.none() | st.integers(-6, 6).map(float) | st.floats(-1e3, 1e3), min_size=2, max_size=700)


@given(VALUES, VALUES, st.integers(2, 12))
def test_distances_are_those_of_scipy(one: list[float | None], other: list[float | None], number: int) -> None:
    whole = sketch_column(pa.array(one, pa.float64()))
    bins = choose_bins("x", NUMBER, whole, number)
    reference, current = (sketch_column(pa.array(side, pa.float64()), bins) for side in (one, other))
    assert reference.counts is not None
    assert current.counts is not None
    found = distances(bins, reference, current)
    counts = [
        np.array([*side.counts, side.nulls], np.float64) for side in (reference, current) if side.counts is not None
    ]
    p, q = (side / side.sum() for side in counts)
    entropy = jensenshannon(p, q, base=2)
    assert math.isclose(float(found["jensen_shannon"] or 0), entropy, abs_tol=1e-9 if entropy > 1e-5 else 1e-7)
    assert found["hellinger"] == pytest.approx(euclidean(np.sqrt(p), np.sqrt(q)) / math.sqrt(2), abs=1e-9)
    assert found["l_infinity"] == pytest.approx(chebyshev(p, q), abs=1e-9)
    table = np.vstack(counts)[:, sum(counts) > 0]
    if table.shape[1] > 1:
        oracle = stats.chi2_contingency(table, correction=False).statistic
        assert found["chi_square"] == pytest.approx(oracle, rel=1e-9, abs=1e-9)
    sides = [np.array([v for v in side if v is not None]) for side in (one, other)]
    if not all(len(side) for side in sides):
        assert found["kolmogorov_smirnov"] is found["wasserstein"] is None
        return
    ends = [np.cumsum(side.counts) / side.counts.sum() for side in (reference, current) if side.counts is not None]
    assert found["kolmogorov_smirnov"] == pytest.approx(np.max(np.abs(ends[0] - ends[1])), abs=1e-9)
    spread = reference.moments.deviation
    if spread > 0:  # so few rows are all in the summary, and more are as many as it holds
        held = (reference.quantiles.values, current.quantiles.values)
        expected = stats.wasserstein_distance(*held) / spread
        assert found["wasserstein"] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        if max(map(len, sides)) <= 512:
            assert found["wasserstein"] == pytest.approx(
                stats.wasserstein_distance(*sides) / spread, rel=1e-9, abs=1e-9
            )


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.5])
def test_closed_forms_of_two_normals(shift: float) -> None:
    normal = NormalDist()
    edges = np.linspace(-7, 7 + shift, 8_001)
    bins = Bins("x", NUMBER, tuple(edges.tolist()))
    held = np.array([normal.inv_cdf((i + 0.5) / 512) for i in range(512)])

    def side(mean: float) -> Sketch:
        ends = [0.0, *(normal.cdf(x - mean) for x in edges), 1.0]
        counts = np.rint(np.diff(ends) * 1e12).astype(np.int64)
        rows = int(counts.sum())
        return Sketch(
            rows,
            0,
            moments=Moments(rows, mean, float(rows)),
            quantiles=Quantiles(rows, held + mean, 0.0),
            counts=counts,
        )

    found = distances(bins, side(0.0), side(shift))
    assert found["wasserstein"] == pytest.approx(shift, abs=1e-9)
    assert found["kolmogorov_smirnov"] == pytest.approx(2 * normal.cdf(shift / 2) - 1, rel=1e-5)
    assert found["hellinger"] == pytest.approx(math.sqrt(1 - math.exp(-(shift**2) / 8)), rel=1e-4)


def test_a_large_sample_is_as_far_as_its_shift_up_to_the_error_of_its_summary() -> None:
    values = np.random.default_rng(3).standard_normal(200_000)
    plain = pa.array(values)
    bins = choose_bins("x", NUMBER, sketch_column(plain), 10)
    parts = [sketch_column(plain.slice(at, 20_000), bins) for at in range(0, 200_000, 20_000)]
    found = distances(bins, merge_sketches(parts), sketch_column(pa.array(values + 0.25), bins))
    assert found["wasserstein"] == pytest.approx(stats.wasserstein_distance(values, values + 0.25), abs=0.01)


def test_texts_have_no_order_and_sides_without_rows_no_distance() -> None:
    bins = Bins("plan", TEXT, values=("a", "b"))
    one, none = Sketch(3, 1, counts=np.array([1, 1, 0])), Sketch(0, 0, counts=np.array([0, 0, 0]))
    found = distances(bins, one, one)
    assert found["kolmogorov_smirnov"] is found["wasserstein"] is None
    assert found["hellinger"] == 0.0
    assert set(distances(bins, one, none).values()) == {None}
