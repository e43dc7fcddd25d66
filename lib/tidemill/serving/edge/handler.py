"""An event in, scores out: for a serverless platform, whose function is `handler.handle`.

It needs ONNX Runtime and NumPy, and the files beside it.
"""

import json
import math
from pathlib import Path
from typing import Any

import onnx_scoring  # type: ignore[import-not-found] # the module beside this one, as it was at registration

FOLDER = Path(__file__).resolve().parent
SCHEMA = json.loads((FOLDER / "schema.json").read_text("utf-8"))
SCORER = onnx_scoring.load_scorer(FOLDER)  # once a process: a warm one only scores


def handle(event: Any, context: Any = None) -> dict[str, Any]:  # noqa: ARG001 - the platform's signature
    """Scores the rows of an event: `{"rows": [{feature: value}]}`, also as the JSON body of an HTTP event.

    Returns:
        `{"model": name, "version": number, "predictions": [{"score": number, "prediction": number}]}`, both null where
        the model makes no number of the features; or `{"error": what}` where the event is not as it should be. Of
        several classes a prediction has the `predicted_class`, too, and the `probabilities` by their names.
    """
    try:
        body = event.get("body", event)
        rows = (json.loads(body) if isinstance(body, str) else body)["rows"]
        stands = SCHEMA["missing"]  # what is declared to stand where a feature has no value
        outputs = SCORER.outputs_of_rows([{n: stands.get(n) if v is None else v for n, v in r.items()} for r in rows])
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    found = _several(outputs) if SCHEMA.get("classes") else _one(outputs[:, 0])
    return {"model": SCHEMA["model"], "version": SCHEMA["version"], "predictions": found}


def _one(scores: Any) -> list[dict[str, Any]]:
    """What is said of rows with one score each."""
    decided = onnx_scoring.decisions(scores, SCHEMA["threshold"])
    return [
        {"score": score, "prediction": prediction} if abs(score) < float("inf") else {"score": None, "prediction": None}
        for score, prediction in zip(scores.tolist(), decided.tolist(), strict=True)
    ]


def _several(outputs: Any) -> list[dict[str, Any]]:
    """What is said of rows with a probability of each class."""
    said = SCORER.predicted(outputs, None)
    rows = zip(outputs.tolist(), said.score.tolist(), said.prediction.tolist(), strict=True)
    return [_named(shares, score, number) for shares, score, number in rows]


def _named(shares: list[float], score: float, number: float) -> dict[str, Any]:
    if math.isnan(number):  # a probability is no number
        return dict.fromkeys(("score", "prediction", "predicted_class", "probabilities"))
    names = SCHEMA["classes"]
    said = {"score": score, "prediction": number, "predicted_class": names[int(number)]}
    return {**said, "probabilities": dict(zip(names, shares, strict=True))}
