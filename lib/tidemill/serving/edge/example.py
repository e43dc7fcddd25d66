"""Scores the self-test's rows and compares: python example.py (needs onnxruntime and numpy)."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

folder = Path(__file__).resolve().parent
schema = json.loads((folder / "schema.json").read_text("utf-8"))
test = json.loads((folder / "sample.json").read_text("utf-8"))
session = ort.InferenceSession(str(folder / "score.onnx"), providers=["CPUExecutionProvider"])


def column(name: str, kind: str) -> np.ndarray:
    """A feature of all rows as the graph reads it: shape (rows, 1)."""
    values = [row[name] for row in test["rows"]]
    if kind == "string":
        return np.array([schema["null_text"] if v is None else v for v in values], object).reshape(-1, 1)
    return np.array([np.nan if v is None else v for v in values], np.float64).reshape(-1, 1)


scores = session.run(None, {item["name"]: column(item["name"], item["type"]) for item in schema["inputs"]})[0].ravel()
expected = np.array(test["scores"]).ravel()  # of several classes one number for each
gaps = np.abs(scores - expected) / np.maximum(1, np.abs(expected))
print(json.dumps({"rows": len(test["rows"]), "largest_difference": gaps.max(), "scores": scores.tolist()}))  # noqa: T201
sys.exit(0 if (gaps <= schema["tolerance"]).all() else 1)
