"""What Spark saves: vectors and matrices in every form, nested pipelines, texts in parts."""

import json
from pathlib import Path
from typing import Any

import pytest
from tidemill.models.saved_pipeline import matrix_coefficients, read_stages, vector, vector_coefficients

DENSE = {"type": 1, "numRows": 2, "numCols": 3}
SPARSE = {"type": 0, "numRows": 2, "numCols": 3}
MATRIX = [[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]


@pytest.mark.parametrize(
    ("saved", "active"),
    [
        ({**DENSE, "values": [1.0, 0.0, 2.0, 0.0, 0.0, 3.0], "isTransposed": True}, None),
        ({**DENSE, "values": [1.0, 0.0, 0.0, 0.0, 2.0, 3.0], "isTransposed": False}, None),
        (
            {**SPARSE, "colPtrs": [0, 2, 3], "rowIndices": [0, 2, 2], "values": [1.0, 2.0, 3.0], "isTransposed": True},
            [0, 2],
        ),
        (
            {**SPARSE, "colPtrs": [0, 1, 1, 3], "rowIndices": [0, 0, 1], "values": [1.0, 2.0, 3.0]}
            | {"isTransposed": False},
            [0, 2],
        ),
    ],
)
def test_matrices(saved: dict[str, Any], active: list[int] | None) -> None:
    found = matrix_coefficients(saved)
    assert found.values.tolist() == MATRIX
    assert (None if found.active is None else found.active.tolist()) == active


def test_vectors() -> None:
    sparse = {"type": 0, "size": 4, "indices": [1, 3], "values": [5.0, -1.0]}
    dense = {"type": 1, "values": [0.0, 2.0]}
    assert vector(sparse).tolist() == [0.0, 5.0, 0.0, -1.0]
    assert vector(dense).tolist() == [0.0, 2.0]
    assert vector_coefficients(dense).active is None
    active = vector_coefficients(sparse).active
    assert active is not None
    assert active.tolist() == [1, 3]


def test_stages_in_order_and_pipelines_within(tmp_path: Path) -> None:
    def write(place: str, name: str) -> None:
        folder = tmp_path / place / "metadata"
        folder.mkdir(parents=True)
        saved = {"class": f"org.apache.spark.ml.{name}", "defaultParamMap": {"a": 1, "b": 2}, "paramMap": {"b": 3}}
        (folder / "part-00000").write_text(json.dumps(saved) + "\n", "utf-8")
        (folder / "_SUCCESS").touch()

    write(".", "PipelineModel")
    for number in range(11):
        write(f"stages/{number}_x", "PipelineModel" if number == 2 else f"Stage{number}")
    write("stages/2_x/stages/0_y", "Inner")
    stages = read_stages(tmp_path)
    assert [s.kind for s in stages] == ["Stage0", "Stage1", "Inner", *(f"Stage{n}" for n in range(3, 11))]
    assert stages[0].parameters == {"a": 1, "b": 3}
