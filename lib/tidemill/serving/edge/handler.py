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
        told = SCORER.told([{n: stands.get(n) if v is None else v for n, v in r.items()} for r in rows])
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    found = [_said(*pair) for pair in zip(*(part.tolist() for part in told), strict=True)]
    return {"model": SCHEMA["model"], "version": SCHEMA["version"], "predictions": found}


def _said(outputs: list[float], prediction: float) -> dict[str, Any]:
    """What is said of a row, of which the graph made a score, or a probability of each class, and a prediction."""
    names = SCHEMA.get("classes")
    if math.isnan(prediction):  # the graph decides nothing of a row without a finite score
        return dict.fromkeys(("score", "prediction", *(("predicted_class", "probabilities") if names else ())))
    said: dict[str, Any] = {"score": max(outputs), "prediction": prediction}
    if not names:
        return said
    return {**said, "predicted_class": names[int(prediction)], "probabilities": dict(zip(names, outputs, strict=True))}
