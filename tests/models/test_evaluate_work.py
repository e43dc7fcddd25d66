"""What workers do with files of scored rows, without Spark: any files, pieces and ranges make the same whole."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from stats.scored import ANY, PROBABILITY, Rows, assert_same, scored
from tidemill.core.errors import TidemillError
from tidemill.data.files import DataFile
from tidemill.models import evaluate_work
from tidemill.models.evaluate_sums import RowSums, from_text, merge_batches, metrics_of
from tidemill.models.evaluate_work import (
    bins_from,
    bins_of_file,
    codes_of_file,
    merge_bins_batches,
    residuals_of_file,
    sum_one_range,
    sum_ranges,
)
from tidemill.stats.binary import Binary, binary_of
from tidemill.stats.ranges import Bins, Ranges, find_ranges
from tidemill.stats.residuals import Regression, regression, residual_sums


def lay(folder: Path, rows: Rows, cuts: list[int]) -> list[DataFile]:
    files = []
    for number, (a, b) in enumerate(pairwise([0, *sorted(min(c, len(rows[0])) for c in cuts), len(rows[0])])):
        path = folder / f"{number}.parquet"
        pq.write_table(pa.table({"label": rows[0][a:b], "more": np.arange(b - a), "score": rows[1][a:b]}), path)
        files.append(DataFile(str(path), path.stat().st_size, b - a))
    return files


def one(batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [row for batch in batches for row in batch.to_pylist()]
    assert len(rows) == 1
    return rows[0]


def by_ranges(files: list[DataFile], most: int) -> tuple[RowSums, Ranges]:
    """As Spark would do it: every range's rows come to one task."""

    def count(level: int, within: NDArray[np.uint64]) -> Bins:
        row = one(merge_bins_batches(b for file in files for b in bins_of_file(file, level, within)))
        return bins_from(row["lower"], row["positives"], row["negatives"])

    ranges = find_ranges(count, most)
    tasks = defaultdict(list)
    for file in files:
        for batch in codes_of_file(file, ranges.lower):
            tasks[batch.column("range")[0].as_py()].append(batch)
    sums = [b for batches in tasks.values() for b in sum_ranges(batches, ranges, 0.5)]
    return from_text(one(merge_batches(sums))["sums"]), ranges


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scored(st.one_of(ANY, PROBABILITY)), st.lists(st.integers(0, 60), max_size=3), st.integers(1, 9), st.integers(1, 70)
)
def test_any_cut_makes_the_same_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows, cuts: list[int], piece: int, most: int
) -> None:
    monkeypatch.setattr(evaluate_work, "PIECE", piece)
    files, expected = lay(tmp_path, rows, cuts), binary_of(*rows)
    found, ranges = by_ranges(files, most)
    metrics = metrics_of(found, 0.5, "here")
    assert isinstance(metrics, Binary)
    assert_same(metrics, expected)
    _, times = np.unique(rows[1] + 0.0, return_counts=True)
    sizes = -np.diff([ranges.total.rows, *(above.rows for above in ranges.above)])
    assert max(sizes) <= 2 * max(most, times.max())
    whole = from_text(
        str(one(sum_one_range((b for f in files for b in codes_of_file(f, np.zeros(1, np.uint64))), 0.5))["sums"])
    )
    again = metrics_of(whole, 0.5, "here")
    assert isinstance(again, Binary)
    assert_same(again, expected)


def test_scores_close_together_are_cut_all_the_same(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    score = 0.02 + np.round(dice.random(20_000) * 1e-9, 13)  # the first 20 bits are those of all
    rows = ((dice.random(20_000) < 0.3).astype(float), score)
    found, ranges = by_ranges(lay(tmp_path, rows, [7_000]), 1_000)
    metrics = metrics_of(found, 0.5, "here")
    assert isinstance(metrics, Binary)
    assert metrics.ranking.roc_auc == pytest.approx(sklearn.roc_auc_score(*rows), abs=1e-12)
    assert metrics.ranking.average_precision == pytest.approx(sklearn.average_precision_score(*rows), abs=1e-12)
    assert len(ranges.above) >= 10


def test_equal_rows_are_sent_once(tmp_path: Path) -> None:
    rows = (np.tile([0.0, 1.0], 5_000), np.full(10_000, 0.5))
    (file,) = lay(tmp_path, rows, [])
    sent = list(codes_of_file(file, np.zeros(1, np.uint64)))
    assert sum(len(b.column("codes")[0].as_py()) for b in sent) == 16
    assert from_text(one(sum_one_range(sent, 0.5))["sums"]).total.rows == 10_000


@pytest.mark.parametrize(
    ("label", "score", "code", "said"),
    [
        (None, 0.5, "E_LABEL_VALUE", "1 labels are not usable numbers"),
        (float("nan"), 0.5, "E_LABEL_VALUE", "1 labels are not usable numbers"),
        (2.0, 0.5, "E_LABEL_VALUE", "1 labels are not usable numbers"),
        (1.0, None, "E_SCORE_VALUE", "1 scores are null or not numbers"),
        (1.0, float("nan"), "E_SCORE_VALUE", "1 scores are null or not numbers"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(
    tmp_path: Path, label: float | None, score: float | None, code: str, said: str
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"label": [0.0, 1.0, label], "score": [0.1, 0.2, score]}), path)
    file = DataFile(str(path), 1, 3)
    found = from_text(one(sum_one_range(codes_of_file(file, np.zeros(1, np.uint64)), 0.5))["sums"])
    counted = one(bins_of_file(file, 0, np.empty(0, np.uint64)))
    assert (counted["bad_labels"], counted["bad_scores"]) == (found.bad_labels, found.bad_scores)
    with pytest.raises(TidemillError, match=said) as raised:
        metrics_of(found, 0.5, "gold.scores")
    assert (raised.value.code, raised.value.where) == (code, "gold.scores")


def test_residuals_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_work, "PIECE", 100)
    dice = np.random.default_rng(6)
    rows = (dice.normal(5, 2, 1_000), dice.normal(5, 2, 1_000))
    batches = [b for file in lay(tmp_path, rows, [10, 500]) for b in residuals_of_file(file)]
    found = metrics_of(from_text(one(merge_batches(batches))["sums"]), 0.5, "here")
    expected = regression(residual_sums(*rows))
    assert isinstance(found, Regression)
    assert expected is not None
    assert found.rows == 1_000
    for name in ("rmse", "mae", "mape", "r2"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12)


def test_no_row_is_no_input(tmp_path: Path) -> None:
    (file,) = lay(tmp_path, (np.empty(0), np.empty(0)), [])
    for batches in (sum_one_range(codes_of_file(file, np.zeros(1, np.uint64)), 0.5), residuals_of_file(file)):
        with pytest.raises(TidemillError, match="no scored row") as raised:
            metrics_of(from_text(one(batches)["sums"]), 0.5, "here")
        assert raised.value.code == "E_NO_ROWS"
