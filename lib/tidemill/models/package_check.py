"""Whether a registered model can be used elsewhere: a clean process without Java loads it and scores as Spark did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tidemill.models.guardrails import Packaged
from tidemill.models.onnx_scoring import DESCRIPTION, SAMPLE, gaps_between
from tidemill.models.registry_flavor import GRAPH_FOLDER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

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
        tolerance, expected = float(described["tolerance"]), np.array(sample["scores"], np.float64)
        kinds = {item["name"]: _TYPES[item["type"]] for item in described["inputs"]}
        rows = pa.table({name: pa.array([row[name] for row in sample["rows"]], kind) for name, kind in kinds.items()})
    except (OSError, ValueError, KeyError) as error:
        return _unusable(0.0, f"its graph lacks a description or a sample ({error})")
    if not len(expected) or len(expected) != rows.num_rows:
        return _unusable(tolerance, "its sample holds no row, or not a score for each")
    return _compare(model, rows, expected, tolerance)


def _compare(model: Path, rows: pa.Table, expected: Floats, tolerance: float) -> Packaged:
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
    if len(found) != len(expected):
        return _unusable(tolerance, f"it gave {len(found)} scores for {len(expected)} rows")
    wanted = expected.reshape(len(expected), -1)
    if found.shape != wanted.shape:
        return _unusable(tolerance, f"it gave {found.shape[1]} numbers a row, not {wanted.shape[1]}")
    gaps = gaps_between(found, wanted)
    if not np.isfinite(gaps).all():
        return _unusable(tolerance, "it gives a row no score, or an infinite one")
    return Packaged(len(gaps), float(gaps.max()), tolerance)


def _unusable(tolerance: float, why: str) -> Packaged:
    return Packaged(0, None, tolerance, why[:_SAID])


def _clean(home: Path) -> dict[str, str]:
    """An environment without this process's Java, Spark and modules, and without leave to read a pickle."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return {"PATH": "/nowhere", "HOME": str(home), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", **quiet}
