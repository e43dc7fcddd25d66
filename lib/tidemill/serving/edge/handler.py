"""An event in, scores out: for a serverless platform, whose function is `handler.handle`.

It needs ONNX Runtime and NumPy, and the files beside it.
"""

import json
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
    found = [_several(row) if SCHEMA.get("classes") else _one(row[0]) for row in outputs.tolist()]
    return {"model": SCHEMA["model"], "version": SCHEMA["version"], "predictions": found}


def _one(score: float) -> dict[str, Any]:
    """What is said of a row with one score."""
    if not abs(score) < float("inf"):
        return {"score": None, "prediction": None}
    threshold = SCHEMA["threshold"]
    return {"score": score, "prediction": score if threshold is None else float(score >= threshold)}


def _several(shares: list[float]) -> dict[str, Any]:
    """What is said of a row with a probability of each class: the first of those that have the highest is predicted."""
    names = SCHEMA["classes"]
    if not sum(shares) < float("inf"):
        return dict.fromkeys(("score", "prediction", "predicted_class", "probabilities"))
    place = shares.index(max(shares))
    said = {"score": shares[place], "prediction": float(place), "predicted_class": names[place]}
    return {**said, "probabilities": dict(zip(names, shares, strict=True))}
