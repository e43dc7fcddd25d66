"""Scores the self-test's rows and compares: python example.py (needs onnxruntime and numpy)."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

folder = Path(__file__).resolve().parent
schema, test = (json.loads((folder / name).read_text("utf-8")) for name in ("schema.json", "sample.json"))
session = ort.InferenceSession(str(folder / "score.onnx"), providers=["CPUExecutionProvider"])


def column(name: str, kind: str) -> np.ndarray:
    """A feature of all rows as the graph reads it: shape (rows, 1)."""
    values = [row[name] for row in test["rows"]]
    if kind == "string":
        return np.array([schema["null_text"] if v is None else v for v in values], object).reshape(-1, 1)
    return np.array([np.nan if v is None else v for v in values], np.float64).reshape(-1, 1)


fed = {item["name"]: column(item["name"], item["type"]) for item in schema["inputs"]}
found = dict(zip(("scores", "predictions"), (part.ravel() for part in session.run(None, fed)), strict=True))
wanted = {name: np.array(test[name], np.float64).ravel() for name in found}  # of several classes a score for each
gaps, others = (np.abs(found[n] - wanted[n]) / np.maximum(1, np.abs(wanted[n])) for n in found)
gaps = np.append(gaps, others[~np.isnan(wanted["predictions"])])  # null is too near to the threshold to tell
told = {"rows": len(test["rows"]), "largest_difference": gaps.max(), **{n: v.tolist() for n, v in found.items()}}
print(json.dumps(told))  # noqa: T201
sys.exit(0 if (gaps <= schema["tolerance"]).all() else 1)
