"""Sketches against all rows: what is exact is equal, what is not lies within what the sketch itself states."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tidemill.stats import distinct, frequent
from tidemill.stats.distinct import distinct_of, hash_numbers, hash_texts, merge_distinct
from tidemill.stats.frequent import Frequent, merge_frequent
from tidemill.stats.moments import merge_moments, moments_of
from tidemill.stats.quantiles import RANK_ERROR, Quantiles, merge_quantiles, quantiles_of
from tidemill.stats.sketch import Sketch, merge_sketches, sketch_numbers

ANY = st.lists(st.floats(allow_nan=True, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1e300, -1e300]), max_size=60)


def off(found: Quantiles, ordered: NDArray[np.float64]) -> float:
    """The largest difference of a rank, in rows, over all places where one can be."""
    places = np.unique(np.concatenate([ordered, found.values]))
    said = np.searchsorted(found.values, places, side="right") * (found.rows / len(found.values))
    return float(np.max(np.abs(said - np.searchsorted(ordered, places, side="right"))))


@pytest.mark.parametrize("kind", ["normal", "heavy", "few", "sorted"])
def test_ranks_lie_within_the_stated_error_however_parts_are_merged(kind: str) -> None:
    rng = np.random.default_rng(3)
    rows: NDArray[np.float64] = np.floor(9 * rng.random(300_000)) if kind == "few" else rng.standard_normal(300_000)
    rows = {"heavy": np.exp(4 * rows), "sorted": np.sort(rows)}.get(kind, rows)
    ordered = np.sort(rows)
    batches = [quantiles_of(np.sort(part)) for part in np.array_split(rows, 60)]
    at_once = merge_quantiles(batches)
    days = [merge_quantiles(batches[i : i + 6]) for i in range(0, 60, 6)]
    for found in (at_once, merge_quantiles(days), merge_quantiles([merge_quantiles(days[:5]), *days[5:]])):
        assert found.rows == 300_000
        assert off(found, ordered) <= found.error + 1e-6
        assert found.error <= RANK_ERROR * found.rows
    for share in (0.01, 0.5, 0.99):
        place = at_once.at(share)
        low, high = (np.searchsorted(ordered, place, side=side) / 300_000 for side in ("left", "right"))
        assert low - RANK_ERROR <= share <= high + RANK_ERROR


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=40), min_size=1, max_size=8), st.integers(1, 9))
def test_small_summaries_keep_their_own_bound(parts: list[list[float]], size: int) -> None:
    found = merge_quantiles([quantiles_of(np.sort(np.array(p, np.float64)), size) for p in parts], size)
    ordered = np.sort(np.array([v for p in parts for v in p], np.float64))
    assert found.rows == len(ordered)
    if len(ordered):
        assert off(found, ordered) <= found.error + 1e-9
        assert found.share_up_to(math.inf) == 1.0


@given(st.lists(ANY, min_size=1, max_size=5), st.lists(st.floats(-5, 5), max_size=4, unique=True))
def test_parts_merge_to_the_whole(parts: list[list[float]], edges: list[float]) -> None:
    bins = np.sort(np.array(edges))
    made = [sketch_numbers(np.array(p, np.float64), len(p) + 2, bins) for p in parts]
    values = np.array([v for p in parts for v in p], np.float64)
    merged, whole = merge_sketches(made), sketch_numbers(values, len(values) + 2 * len(parts), bins)
    known = values[~np.isnan(values)]
    for found in (merged, whole):
        assert found.rows == len(values) + 2 * len(parts)
        assert found.nulls == found.rows - len(known)
        assert found.zeros == (known == 0).sum()
        assert found.infinite == np.isinf(known).sum()
        assert found.counts is not None
        assert found.counts.tolist() == [
            int((np.searchsorted(bins, known, side="right") == i).sum()) for i in range(len(bins) + 1)
        ]
        assert found.distinct.estimate == len(set((known + 0.0).tolist()))
    assert merged.moments.low == whole.moments.low
    assert merged.moments.high == whole.moments.high


def test_moments_survive_a_large_mean() -> None:
    rng = np.random.default_rng(1)
    values = 1e12 + rng.standard_normal(10_000)
    found = merge_moments([moments_of(part) for part in np.array_split(values, 7)])
    assert math.isclose(found.mean, float(np.mean(values)), rel_tol=1e-15)
    assert math.isclose(found.deviation, float(np.std(values)), rel_tol=1e-6)
    weighted = moments_of(np.array([1.0, 4.0]), np.array([3, 1]))
    assert (weighted.mean, weighted.squares) == (1.75, 3 * 0.75**2 + 2.25**2)


@pytest.mark.parametrize("number", [200, 5_000, 400_000])
def test_distinct_values_are_counted_or_estimated(number: int) -> None:
    values = np.random.default_rng(number).permutation(np.arange(number, dtype=np.float64))
    parts = [distinct_of(hash_numbers(values[i::3])) for i in range(3)]
    found = merge_distinct([*parts, parts[0]])
    assert found.hashes.tolist() == distinct_of(hash_numbers(values)).hashes.tolist()
    assert number == found.estimate if number < distinct.SIZE else abs(found.estimate / number - 1) < 0.2


def test_many_rows_of_few_values_are_few_values() -> None:
    assert distinct_of(hash_numbers(np.tile(np.arange(300.0), 1_000))).estimate == pytest.approx(300, rel=0.2)
    assert distinct_of(hash_numbers(np.tile(np.arange(9.0), 5_000))).estimate == 9


@given(st.lists(st.text(max_size=8), min_size=1, max_size=50))
def test_texts_have_the_same_hash_where_they_are_equal(texts: list[str]) -> None:
    encoded = [t.encode() for t in texts]
    data = np.frombuffer(b"xx" + b"".join(encoded), np.uint8)
    offsets = 2 + np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64)
    hashes = hash_texts(data, offsets)
    assert len(set(hashes.tolist())) == len(set(texts))
    assert {(t, h) for t, h in zip(texts, hashes.tolist(), strict=True)} == {
        (t, hash_texts(np.frombuffer(t.encode(), np.uint8), np.array([0, len(t.encode())])).tolist()[0]) for t in texts
    }


@settings(max_examples=40)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_the_commonest_values_lack_no_more_than_is_stated(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [np.floor(rng.exponential(30, size)) for size in sizes]
    made = [sketch_numbers(p, len(p)).frequent for p in parts]
    found, truth = merge_frequent(made), Counter(v for p in parts for v in p.tolist())
    assert len(found.counts) <= frequent.SIZE
    assert found.error <= sum(sizes) / (frequent.SIZE + 1)
    for value, count in truth.items():
        assert 0 <= count - found.counts.get(value, 0) <= found.error


def test_the_order_of_the_parts_changes_no_digit() -> None:
    rng = np.random.default_rng(7)
    parts = [sketch_numbers(rng.lognormal(size=size), size) for size in (3, 7, 11, 7, 5, 40)]
    kept = merge_sketches(parts)
    for _ in range(20):
        mixed = merge_sketches([parts[place] for place in rng.permutation(len(parts))])
        assert mixed.moments == kept.moments
        assert list(mixed.frequent.counts.items()) == list(kept.frequent.counts.items())


def test_bins_are_all_or_none() -> None:
    with pytest.raises(ValueError, match="same bins"):
        merge_sketches([Sketch(1, 1), sketch_numbers(np.array([1.0]), 1, np.array([0.0]))])
    assert merge_frequent([Frequent({"a": 2}), Frequent({"a": 1, "b": 1})]).counts == {"a": 3, "b": 1}
