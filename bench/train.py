"""Half a million rows become a model: by our training fit, by plain XGBoost in one process, by XGBoost's own for Spark.

Thirty features of a Delta table, one value of twenty missing; 100 trees of depth 6. Each contestant reads the table and
keeps its booster; that ours fills missing values, orders its rows and keeps them for other fits belongs to what it
does. XGBoost is given one thread, as Spark gives it in one task; its own way on Spark is taken with a worker a core.
Everyone is measured on a few rows, too, and what that takes (a session, imports, the first tasks) is taken off by the
target. After the measurement all boosters are judged on the same rows that none has seen: their ROC AUC has to be that
of the first, within 0.002.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench.harness import HOME, PACKAGES, Contestant, Measured, Role, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession
    from tidemill.data.tables import Lake, Table
    from tidemill.models.use_case import UseCase

ROWS: dict[Size, int] = {"small": 50_000, "full": 500_000}
FEW, UNSEEN = 1_000, 100_000
FILES = 8
SEED = 20260107
AMOUNTS = tuple(f"amount{number}" for number in range(30))
FEATURES = tuple(f"{name}_sum_30d" for name in AMOUNTS)
ROUNDS, DEPTH = 100, 6
FILLED = "filled.json"  # what ours fills missing values with; the others leave them missing
CLOSE = 0.002


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Commits training rows in a process of its own, whose JVM ends with it."""
    for name, rows in (("all", ROWS[size]), ("start", FEW)):
        land(folder / name, rows)
        command = "import sys; from bench.train import fill; fill(sys.argv[1])"
        subprocess.run([sys.executable, "-P", "-c", command, str(folder / name)], check=True)  # noqa: S603


def land(place: Path, rows: int) -> None:
    """Writes rows as plain files."""
    import pyarrow.parquet as pq

    (place / "plain").mkdir(parents=True)
    for number in range(FILES):
        pq.write_table(_made(number, rows // FILES), place / "plain" / f"part-{number}.parquet")


def _made(number: int, rows: int) -> pa.Table:
    """Rows whose label depends on ten features, on two together, and on chance."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng((SEED, number))
    values = random.standard_normal((rows, len(FEATURES)))
    slopes = np.array([(place % 5) - 2 for place in range(10)])
    signal = 0.3 * values[:, :10] @ slopes + np.abs(values[:, 10]) * values[:, 11] + 0.5 * values[:, 12] ** 2 - 0.5
    label = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(np.float64)
    values[random.random(values.shape) < 0.05] = np.nan
    stamps = pa.array(1_700_000_000_000_000 + random.integers(30, size=rows) * 86_400_000_000)
    return pa.table(
        {
            "customer": [f"C{key:08d}" for key in range(number * rows, (number + 1) * rows)],
            "event_timestamp": stamps.cast(pa.timestamp("us", "UTC")),
            **{name: pa.array(values[:, place], from_pandas=True) for place, name in enumerate(FEATURES)},
            "label": label,
            "training_set_id": pa.repeat("all", rows),
        }
    )


def fill(place: str) -> None:
    """Commits the rows of a folder and ends the session."""
    from pathlib import Path

    as_table(Path(place))
    _session().stop()


def as_table(folder: Path) -> None:
    """The rows of a folder as a table laid out as training sets are."""
    from tidemill.data.commit import commit
    from tidemill.data.write import Batch

    rows = _session().read.parquet(str(folder / "plain"))
    commit(*_table(folder), Batch("all", {"of": "all"}), rows)


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("train").getOrCreate()


def _table(folder: Path) -> tuple[Lake, Table]:
    from tidemill.core.config import Layout
    from tidemill.data.tables import GOLD, Lake, Table

    columns = (
        ("customer", "string"),
        ("event_timestamp", "timestamp"),
        *((name, "double") for name in FEATURES),
        ("label", "double"),
        ("training_set_id", "string"),
    )
    lake = Lake(folder / "var", "bench", Layout(buckets=1, period="all"))
    return lake, Table(GOLD, "training_sets", columns, partitions=("training_set_id",))


# --------------------------------------------------------------------------------------------------------- contestants


def in_one_process(data: Path, out: Path) -> None:
    """Plain XGBoost: the table as one matrix."""
    import numpy as np
    import xgboost
    from deltalake import DeltaTable

    lake, table = _table(data)
    rows = DeltaTable(str(lake.path(table))).to_pyarrow_dataset().to_table(columns=[*FEATURES, "label"])
    matrix = xgboost.DMatrix(_values(rows), rows["label"].to_numpy(), missing=np.nan, nthread=1)
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": DEPTH, "nthread": 1, "seed": SEED}
    xgboost.train(parameters, matrix, ROUNDS).save_model(out / "booster.ubj")


def on_spark(data: Path, out: Path) -> None:
    """XGBoost's own estimator on a vector, with a worker a core."""
    from pyspark.ml.feature import VectorAssembler
    from xgboost.spark import SparkXGBClassifier

    rows = _rows(data)  # first, for it starts the session that Spark's stages are made in
    assembled = VectorAssembler(inputCols=list(FEATURES), outputCol="features", handleInvalid="keep")
    workers: dict[str, Any] = {"num_workers": os.cpu_count()}
    parameters = {"n_estimators": ROUNDS, "max_depth": DEPTH, "tree_method": "hist", "random_state": SEED}
    model = SparkXGBClassifier(features_col="features", label_col="label", **workers, **parameters)
    fitted = model.fit(assembled.transform(rows).select("features", "label"))
    fitted.get_booster().save_model(out / "booster.ubj")


def ours(data: Path, out: Path) -> None:
    """As the train job fits a candidate."""
    from pyspark.ml.feature import ImputerModel
    from tidemill.core.config import load_config
    from tidemill.models.candidates import Candidate
    from tidemill.models.fits import fit_recipe

    case, settings = use_case(), load_config(HOME / "conf", "local").train
    candidate = Candidate("xgboost-0", "xgboost", {"n_estimators": ROUNDS, "max_depth": DEPTH})
    stages: list[Any] = fit_recipe(_rows(data), case, case.features, candidate, settings).stages
    filling, model = stages[0], stages[-1]
    model.get_booster().save_model(out / "booster.ubj")
    if not isinstance(filling, ImputerModel):
        raise TypeError(filling)
    values = filling.surrogateDF.first()
    (out / FILLED).write_text(json.dumps([] if values is None else [values[name] for name in FEATURES]), "utf-8")


def use_case() -> UseCase:
    """One view of thirty features."""
    from tidemill import declare as d

    customer = d.Entity("customer")
    events = d.Source("events", contract="events.yaml", entity=customer, event_time="event_time")
    sums = tuple(d.Aggregate("sum", name, windows=(d.days(30),)) for name in AMOUNTS)
    view = d.FeatureView("sums", 1, customer, events, sums, cadence=d.days(1), ttl=d.days(2))
    active, gone = d.ActiveWithin(events, d.days(30)), d.NoEventIn(events)
    return d.UseCase(
        "trained",
        views=(view,),
        label=d.Label("gone", horizon=d.days(10), population=active, outcome=gone),
        task="binary",
        models=(d.XGBoost(n_estimators=ROUNDS, max_depth=DEPTH),),
        grid=d.Grid("2024-01-01", every=d.days(10)),
        baseline=view.columns[0].name,
    )


def _rows(data: Path) -> DataFrame:
    from tidemill.data.read import read

    return read(_session(), *_table(data))


def _values(rows: pa.Table) -> NDArray[np.float64]:
    """The features as a matrix; what is missing is no number."""
    import numpy as np

    return np.column_stack([rows[name].to_numpy() for name in FEATURES])


def _answer(name: str, out: Path) -> dict[str, Any]:
    """The ROC AUC of a booster on rows that it has not seen."""
    import numpy as np
    import xgboost
    from sklearn.metrics import roc_auc_score

    rows = _made(FILES, UNSEEN)
    values, filled = _values(rows), out / FILLED
    if filled.exists():
        values = np.where(np.isnan(values), np.array(json.loads(filled.read_text("utf-8"))), values)
    scores = xgboost.Booster(model_file=str(out / "booster.ubj")).predict(xgboost.DMatrix(values))
    return {"data": name, "roc_auc": float(roc_auc_score(rows["label"].to_numpy(), scores))}


_FIRST: dict[str, float] = {}


def _equal(_: Any, answer: dict[str, Any]) -> bool:
    """Whether a model is as good as that of the first contestant on the same rows; a few rows only have to teach."""
    if answer["data"] == "start":
        return bool(answer["roc_auc"] > 0.6)
    return bool(abs(_FIRST.setdefault(answer["data"], answer["roc_auc"]) - answer["roc_auc"]) <= CLOSE)


def _on(what: str, run: Callable[[Path, Path], None], role: Role) -> tuple[Contestant, ...]:
    def of(name: str, label: str) -> Contestant:
        return Contestant(label, name, lambda data, out: run(data / name, out), functools.partial(_answer, name), role)

    return of("all", what), of("start", f"{what} start")


ONE, SPARK, OURS = "one process", "xgboost on spark", "ours"
BY_WAY = (_on(ONE, in_one_process, "reference"), _on(SPARK, on_spark, "peer"), _on(OURS, ours, "ours"))
CONTESTANTS = tuple(contestant for pair in zip(*BY_WAY, strict=True) for contestant in pair)


def _against_the_faster(by: Mapping[str, Measured]) -> float:
    """CPU seconds of ours over those of the faster of the others, each without what a few rows take it."""
    net = {what: by[what].cpu_s - by[f"{what} start"].cpu_s for what in (ONE, SPARK, OURS)}
    return net[OURS] / min(net[ONE], net[SPARK])


TARGETS = (Target("CPU of ours / the faster of the others, a few rows of each taken off", _against_the_faster, 1.3),)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS, equal=_equal, packages=(*PACKAGES, "xgboost-cpu"))
