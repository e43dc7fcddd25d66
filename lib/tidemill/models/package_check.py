"""Whether a registered model can be used elsewhere: a clean process without Java loads it and scores as Spark did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tidemill.models.guardrails import Packaged
from tidemill.models.onnx_scoring import DESCRIPTION, SAMPLE
from tidemill.models.registry_flavor import GRAPH_FOLDER
from tidemill.models.sample_check import PREDICTIONS, sample_gaps

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(__file__).with_name("registry_elsewhere.py")
_SECONDS = 900  # a machine that is busy with something else decides nothing
_SAID = 300
_TYPES = {"double": pa.float64(), "string": pa.string()}


def check_package(model: Path) -> Packaged:
    """Scores the sample of a packaged model in a clean process, and compares with the scores that Spark gave it.

    The sample lies in the package: rows of the training set and adversarial ones, scored by Spark before the version
    was registered.

    Args:
        model: the version's folder, fetched from the registry; files are made beside it.
    """
    graph = model / GRAPH_FOLDER
    try:
        described = json.loads((graph / DESCRIPTION).read_text("utf-8"))
        sample = json.loads((graph / SAMPLE).read_text("utf-8"))
        tolerance = float(described["tolerance"])
        kinds = {item["name"]: _TYPES[item["type"]] for item in described["inputs"]}
        rows = pa.table({name: pa.array([row[name] for row in sample["rows"]], kind) for name, kind in kinds.items()})
    except (OSError, ValueError, KeyError) as error:
        return _unusable(0.0, f"its graph lacks a description or a sample ({error})")
    said = [sample[name] for name in ("scores", PREDICTIONS) if name in sample]
    if not rows.num_rows or any(len(each) != rows.num_rows for each in said):
        return _unusable(tolerance, "its sample holds no row, or not a score and a prediction for each")
    return _compare(model, rows, sample, tolerance)


def _compare(model: Path, rows: pa.Table, sample: Mapping[str, Any], tolerance: float) -> Packaged:
    given, scores = model.parent / "rows.arrow", model.parent / "scores.arrow"
    with pa.ipc.new_file(given, rows.schema) as file:
        file.write_table(rows)
    command = [sys.executable, "-I", "-X", "utf8", str(PROGRAM), str(model), str(given), str(scores)]
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
        return _unusable(tolerance, f"it gave no scores within {_SECONDS} seconds")
    if done.returncode:
        return _unusable(tolerance, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    with pa.ipc.open_file(scores) as file:
        found = np.column_stack([column.to_numpy() for column in file.read_all().columns])
    if len(found) != rows.num_rows:
        return _unusable(tolerance, f"it gave {len(found)} scores for {rows.num_rows} rows")
    gaps = sample_gaps(found, sample)
    if not np.isfinite(gaps).all():
        return _unusable(tolerance, "it gives a row no score, an infinite one, or too many or few numbers")
    return Packaged(len(gaps), float(gaps.max()), tolerance)


def _unusable(tolerance: float, why: str) -> Packaged:
    return Packaged(0, None, tolerance, why[:_SAID])


def _clean(home: Path) -> dict[str, str]:
    """An environment without this process's Java, Spark and modules, and without leave to read a pickle."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return {"PATH": "/nowhere", "HOME": str(home), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", **quiet}
