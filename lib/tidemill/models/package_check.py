"""Whether a registered model can be used elsewhere: loaded by a clean process without Java, it scores as Spark does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.models.guardrails import Packaged
from tidemill.models.onnx_proof import differences
from tidemill.models.onnx_scoring import DESCRIPTION
from tidemill.models.pipelines import SCORE, with_score

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

PROGRAM = Path(__file__).with_name("registry_elsewhere.py")
GRAPH_FOLDER = Path("data", "graph")
_SECONDS = 900  # a machine that is busy with something else decides nothing
_SAID = 300


def check_package(model: Path, pipeline: PipelineModel, rows: DataFrame, task: str, limit: int) -> Packaged:
    """Scores a sample with the packaged model in a clean process, and compares with the pipeline of the same version.

    Args:
        model: the version's folder, fetched from the registry.
        pipeline: the version, loaded by Spark.
        rows: features; of them a sample is taken by a hash.
        task: `binary` or `regression`.
        limit: rows of the sample.
    """
    try:
        described = json.loads((model / GRAPH_FOLDER / DESCRIPTION).read_text("utf-8"))
        inputs = {item["name"]: item["type"] for item in described["inputs"]}
        tolerance = float(described["tolerance"])
    except (OSError, ValueError, KeyError) as error:
        return Packaged(0, None, 0.0, f"its graph is not described: {error}"[:_SAID])
    sample = rows.orderBy(F.xxhash64(*sorted(inputs))).limit(limit)
    columns = [F.col(name).cast(kind).alias(name) for name, kind in inputs.items()]
    scored = with_score(pipeline, sample, task).select(*columns, SCORE).toArrow()
    return compare_elsewhere(model, scored, tolerance)


def compare_elsewhere(model: Path, scored: pa.Table, tolerance: float) -> Packaged:
    """The same for rows that Spark has scored.

    Args:
        model: the folder of a packaged model; files are made beside it.
        scored: its inputs, doubles and strings, and `score`.
        tolerance: by how much a score may differ: absolutely, or relatively where it is larger than 1.
    """
    rows, scores = model.parent / "rows.arrow", model.parent / "scores.arrow"
    inputs = scored.drop_columns([SCORE])
    with pa.ipc.new_file(rows, inputs.schema) as file:
        file.write_table(inputs)
    command = [sys.executable, "-I", "-X", "utf8", str(PROGRAM), str(model), str(rows), str(scores)]
    try:
        done = subprocess.run(  # noqa: S603 - this very Python, and a program of this project
            command,
            cwd=model.parent,
            env=_clean(model.parent),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Packaged(0, None, tolerance, f"it gave no scores within {_SECONDS} seconds")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
        return Packaged(0, None, tolerance, said[:_SAID])
    with pa.ipc.open_file(scores) as file:
        found = file.read_all().column(SCORE).to_numpy()
    if len(found) != scored.num_rows:
        return Packaged(0, None, tolerance, f"it gave {len(found)} scores for {scored.num_rows} rows")
    gaps = differences(scored.column(SCORE).to_numpy(), found)
    if not np.isfinite(gaps).all():
        return Packaged(len(gaps), None, tolerance, "a score is missing or infinite where Spark's is not")
    return Packaged(len(gaps), float(gaps.max(initial=0.0)), tolerance)


def _clean(home: Path) -> dict[str, str]:
    """An environment without this process's Java, Spark and modules, and without leave to read a pickle."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return {"PATH": "/nowhere", "HOME": str(home), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", **quiet}
