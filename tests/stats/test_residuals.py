"""Metrics of predicted values against scikit-learn, whole and from parts."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from tidemill.stats.residuals import ResidualSums, merge_residual_sums, regression, residual_sums

VALUE = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 100.0]), st.floats(-1e6, 1e6))
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=40)


@given(PAIRS, st.booleans())
def test_metrics(pairs: list[tuple[float, float]], constant: bool) -> None:
    label, score = (np.array(side) for side in zip(*pairs, strict=True))
    if constant:
        label = np.full(len(label), label[0])
    found = regression(residual_sums(label, score))
    assert found is not None
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(label, score), rel=1e-9)
    assert found.mae == pytest.approx(metrics.mean_absolute_error(label, score), rel=1e-9)
    assert found.mape == pytest.approx(metrics.mean_absolute_percentage_error(label, score), rel=1e-9)
    if len(label) < 2:
        assert found.r2 is None
    elif np.ptp(label) == 0 or np.ptp(label) > 1e-3:  # a spread within rounding has no R2 that anyone could agree on
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert found.r2 == pytest.approx(metrics.r2_score(label, score), rel=1e-9, abs=1e-9)


@given(PAIRS, st.integers(0, 40))
def test_parts_make_the_whole(pairs: list[tuple[float, float]], cut: int) -> None:
    label, score = (np.array(side) for side in zip(*pairs, strict=True))
    found = merge_residual_sums([residual_sums(label[:cut], score[:cut]), residual_sums(label[cut:], score[cut:])])
    whole = residual_sums(label, score)
    assert dataclasses.astuple(found)[:5] == pytest.approx(dataclasses.astuple(whole)[:5], rel=1e-12, abs=1e-9)
    assert found.spread == pytest.approx(whole.spread, rel=1e-9, abs=1e-9)


def test_no_row_has_no_metric() -> None:
    assert regression(merge_residual_sums([])) is None
    assert residual_sums(np.empty(0), np.empty(0)) == ResidualSums()
