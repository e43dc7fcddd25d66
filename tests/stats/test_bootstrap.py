"""Resampling entities: against weights counted by hand, by its seed, and by how often it holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, mean_squared_error, r2_score, roc_auc_score
from stats.scored import ANY, Rows, scored
from tidemill.stats import bootstrap
from tidemill.stats.bootstrap import (
    Scheme,
    average_precision_of,
    mean_of,
    percentile_interval,
    r2_of,
    ratio_of,
    replicates,
    roc_auc_of,
    root_mean_of,
)
from tidemill.stats.delong import paired_auc


@given(scored(ANY), st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(rows: Rows, seed: int) -> None:
    label, score = rows
    order = np.unique(score, return_inverse=True)[1]
    weights = np.random.default_rng(seed).poisson(1.0, (3, len(label))).astype(float)
    statistics = [
        roc_auc_of(label, score),
        mean_of(label),
        root_mean_of((label - 0.25) ** 2),
        average_precision_of(label, score),
        r2_of(label, order / 7),
        ratio_of(2 * label, label + 1),
    ]
    found = [statistic(weights) for statistic in statistics]
    for draw in range(3):
        drawn = np.repeat(np.arange(len(label)), weights[draw].astype(int))
        if not len(drawn):
            assert np.isnan([values[draw] for values in found]).all()
            continue
        if len(set(label[drawn])) == 2:
            assert found[0][draw] == pytest.approx(roc_auc_score(label[drawn], order[drawn]), abs=1e-12)
        else:
            assert np.isnan(found[0][draw])
        assert found[1][draw] == pytest.approx(label[drawn].mean(), abs=1e-12)
        expected = mean_squared_error(label[drawn], np.full(len(drawn), 0.25)) ** 0.5
        assert found[2][draw] == pytest.approx(expected, abs=1e-12)
        assert found[5][draw] == pytest.approx(2 * label[drawn].sum() / (label[drawn] + 1).sum(), abs=1e-12)
        if label[drawn].any():
            precision = average_precision_score(label[drawn], order[drawn])
            assert found[3][draw] == pytest.approx(precision, abs=1e-12)
        else:
            assert np.isnan(found[3][draw])
        if len(set(label[drawn])) == 2:
            told = r2_score(label[drawn], order[drawn] / 7)
            assert found[4][draw] == pytest.approx(told, rel=1e-9, abs=1e-9)


def test_the_seed_decides_and_pieces_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(2)
    values, entities = dice.normal(size=300), dice.integers(100, size=300)
    whole = replicates([mean_of(values)], entities, 50, seed=9)
    assert np.array_equal(whole, replicates([mean_of(values)], entities, 50, seed=9))
    assert not np.array_equal(whole, replicates([mean_of(values)], entities, 50, seed=10))
    monkeypatch.setattr(bootstrap, "_CELLS", 1_000)  # three draws at a time
    assert replicates([mean_of(values)], entities, 50, seed=9) == pytest.approx(whole, abs=1e-15)


@pytest.mark.parametrize("scheme", ["poisson", "multinomial"])
def test_an_entity_comes_with_all_its_rows(scheme: Scheme) -> None:
    entities = np.repeat(["a", "b", "c"], 4)
    label, score = np.tile([0.0, 1.0], 6), np.tile([0.3, 0.7], 6)
    found = replicates([mean_of(label), roc_auc_of(label, score)], entities, 200, seed=1, scheme=scheme)
    drawn = ~np.isnan(found[0])
    assert drawn.all() == (scheme == "multinomial")
    assert set(found[0][drawn]) == {0.5}
    assert set(found[1][drawn]) == {1.0}


@pytest.mark.parametrize("scheme", ["poisson", "multinomial"])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(scheme: Scheme) -> None:
    dice = np.random.default_rng(31)
    clustered = single = 0
    runs = 250
    for run in range(runs):
        entities = np.repeat(np.arange(80), 5)
        values = dice.normal(size=80)[entities] + 0.5 * dice.normal(size=400)
        draws = replicates([mean_of(values)], entities, 300, seed=run, scheme=scheme)[0]
        interval = percentile_interval(float(values.mean()), draws)
        clustered += interval.low <= 0 <= interval.high
        draws = replicates([mean_of(values)], np.arange(400), 300, seed=run, scheme=scheme)[0]
        interval = percentile_interval(float(values.mean()), draws)
        single += interval.low <= 0 <= interval.high
    assert 0.9 <= clustered / runs <= 0.98
    assert single / runs < 0.8  # rows of an entity resemble each other: drawn one by one they seem to say more


def test_paired_draws_are_as_wide_as_delong() -> None:
    dice = np.random.default_rng(41)
    label = (dice.random(600) < 0.4).astype(float)
    common = label + dice.normal(size=600)
    one, other = common + 0.4 * dice.normal(size=600), common + 0.8 * dice.normal(size=600)
    draws = replicates([roc_auc_of(label, one), roc_auc_of(label, other)], np.arange(600), 2_000, seed=3)
    expected = paired_auc(label, one, other)
    assert np.std(draws[0] - draws[1]) == pytest.approx(expected.variance**0.5, rel=0.08)
    assert np.std(draws[0] - draws[1]) < 0.7 * np.hypot(np.std(draws[0]), np.std(draws[1]))


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="scores are numbers"):
        roc_auc_of(np.array([0.0, 1.0]), np.array([0.1, np.nan]))
