"""All metrics of scored rows, exact, beside Spark reading score and label and adding them up.

Twenty million rows of a table with the columns that gate scores have, and a quarter of them; hardly two scores are
equal, so that nothing can be collapsed. The metrics are those of a binary task, with the tables of calibration and
lift. Every contestant starts a session of its own; what that takes is measured, too, and taken off for one target. All
have to find the sums that the data were made with; who computes metrics, those that scikit-learn finds.
"""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.harness import Contestant, Measured, Size, Target, cpu_ratio, main

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from pyspark.sql import SparkSession
    from tidemill.data.tables import Lake, Table
    from tidemill.models.evaluate_sums import Metrics

ROWS: dict[Size, int] = {"small": 200_000, "full": 20_000_000}
SCALES = {"quarter": 4, "whole": 1}
FILES = 8
SEED = 20260106


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Commits scored rows in a process of its own, whose JVM ends with it, and writes down what is expected of them."""
    for name, share in SCALES.items():
        place = folder / name
        (place / "plain").mkdir(parents=True)
        _land(place, ROWS[size] // share)
        command = "import sys; from bench.evaluate import make_table; make_table(sys.argv[1])"
        subprocess.run([sys.executable, "-P", "-c", command, str(place)], check=True)  # noqa: S603


def make_table(place: str) -> None:
    """The landed rows as a table."""
    from tidemill.data.commit import commit
    from tidemill.data.write import Batch

    folder, spark = Path(place), _session()
    rows = spark.read.parquet(str(folder / "plain"))
    commit(_lake(folder), _scores(), Batch("all", {"of": "all"}), rows)
    spark.stop()


def _land(place: Path, rows: int) -> None:
    """Files of rows, and their metrics by scikit-learn."""
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn import metrics

    labels, scores = [], []
    for number in range(FILES):
        table = _scored(number, rows // FILES)
        pq.write_table(table, place / "plain" / f"part-{number}.parquet")
        labels.append(table["label"].to_numpy())
        scores.append(table["score"].to_numpy())
    label, score = np.concatenate(labels), np.concatenate(scores)
    expected = {
        "rows": len(label),
        "label": float(label.sum()),
        "score": float(score.sum()),
        "roc_auc": float(metrics.roc_auc_score(label, score)),
        "average_precision": float(metrics.average_precision_score(label, score)),
        "log_loss": float(metrics.log_loss(label, score)),
        "brier": float(metrics.brier_score_loss(label, score)),
        "f1": float(metrics.f1_score(label, score >= 0.5)),
    }
    (place / "expected.json").write_text(json.dumps(expected), "utf-8")


def _scored(number: int, rows: int) -> pa.Table:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    random = np.random.default_rng((SEED, number))
    score = 1 / (1 + np.exp(2 - 1.5 * random.standard_normal(rows)))
    names = pc.utf8_lpad(pa.array(np.arange(rows) + number * rows).cast(pa.string()), 8, "0")
    return pa.table(
        {
            "customer": pc.binary_join_element_wise("C", names, ""),
            "event_timestamp": pa.repeat(pa.scalar(1_700_000_000_000_000, pa.timestamp("us", "UTC")), rows),
            "label": (random.random(rows) < score**1.1).astype(np.float64),
            "score": score,
            "training_set_id": pa.repeat("all", rows),
        }
    )


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("evaluate").getOrCreate()


def _lake(folder: Path) -> Lake:
    from tidemill.core.config import Layout
    from tidemill.data.tables import Lake

    return Lake(folder, "bench", Layout(buckets=1, period="all"))


def _scores() -> Table:
    from tidemill.data.tables import Table

    columns = (
        ("customer", "string"),
        ("event_timestamp", "timestamp"),
        ("label", "double"),
        ("score", "double"),
        ("training_set_id", "string"),
    )
    return Table("gold", "scores", columns, partitions=("training_set_id",))


# --------------------------------------------------------------------------------------------------------- contestants


def start(_data: Path, out: Path) -> None:
    """A session that computes a row."""
    _session().range(1).write.format("noop").mode("overwrite").save()
    _agree({}, {}, out)


def add_up(scale: str, data: Path, out: Path) -> None:
    """Spark reads score and label and adds them up."""
    from pyspark.sql import functions as F
    from tidemill.data.read import read

    rows = read(_session(), _lake(data / scale), _scores())
    row = rows.agg(
        F.count(F.lit(1)).alias("rows"), F.sum("label").alias("label"), F.sum("score").alias("score")
    ).first()
    found = {} if row is None else row.asDict()
    expected = _expected(data, scale)
    _agree(found, {name: expected[name] for name in ("rows", "label", "score")}, out)


def all_metrics(scale: str, data: Path, out: Path) -> None:
    """Every metric, by the files of the table."""
    from tidemill.models.evaluation import evaluate_table

    found = evaluate_table(_session(), _lake(data / scale), _scores(), {"training_set_id": "all"}, "binary", 0.5)
    if found.path != "files":
        raise RuntimeError(found.path)
    _agree(_figures(found.metrics), _expected(data, scale), out)


def in_plain_spark(scale: str, data: Path, out: Path) -> None:
    """Every metric, by the twin in plain Spark."""
    from tidemill.data.read import read
    from tidemill.models.evaluate_groups import sums_by_group
    from tidemill.models.evaluate_sums import metrics_of

    rows = read(_session(), _lake(data / scale), _scores())
    found = sums_by_group(rows, "binary", [], 0.5)[()]
    _agree(_figures(metrics_of(found, 0.5, "bench")), _expected(data, scale), out)


def _figures(metrics: Metrics) -> dict[str, float]:
    """The metrics, and the two sums that the reference makes."""
    from tidemill.models.metric_values import as_values

    values = as_values(metrics)
    label = float(values["confusion"]["true_positives"] + values["confusion"]["false_negatives"])
    score = math.fsum(row["mean_score"] * row["rows"] for row in values["calibration"] if row["rows"])
    return {**values, "label": label, "score": score}


def _expected(data: Path, scale: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((data / scale / "expected.json").read_text("utf-8"))
    return found


def _agree(found: Mapping[str, float], expected: Mapping[str, float], out: Path) -> None:
    """Writes whether figures are those expected; sums of doubles may differ in their last digits."""
    wrong = {n: (found[n], value) for n, value in expected.items() if not math.isclose(found[n], value, rel_tol=1e-9)}
    (out / "answer.json").write_text(json.dumps(wrong or "as expected"), "utf-8")


def _answer(out: Path) -> Any:
    return json.loads((out / "answer.json").read_text("utf-8"))


def _of_scale(scale: str) -> tuple[Contestant, ...]:
    made = functools.partial(Contestant, group=scale, answer=_answer)
    return (
        made(f"add up {scale}", run=functools.partial(add_up, scale), role="reference"),
        made(f"all metrics {scale}", run=functools.partial(all_metrics, scale), role="ours"),
    )


CONTESTANTS = (
    Contestant("start", "start", start, _answer, "reference"),
    *(contestant for scale in SCALES for contestant in _of_scale(scale)),
    Contestant("plain Spark whole", "whole", functools.partial(in_plain_spark, "whole"), _answer, "peer", once=True),
)


def _beyond_start(by: Mapping[str, Measured]) -> float:
    start = by["start"].cpu_s
    return (by["all metrics whole"].cpu_s - start) / (by["add up whole"].cpu_s - start)


TARGETS = (
    cpu_ratio("all metrics whole", "add up whole", 3.0),
    Target("CPU beyond start of all metrics whole / add up whole", _beyond_start, 3.0),
    Target(
        "peak memory of all metrics whole / quarter",
        lambda by: by["all metrics whole"].peak_mb / by["all metrics quarter"].peak_mb,
        1.2,
    ),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS)
