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
        the model makes no number of the features; or `{"error": what}` where the event is not as it should be.
    """
    try:
        body = event.get("body", event)
        rows = (json.loads(body) if isinstance(body, str) else body)["rows"]
        stands = SCHEMA["missing"]  # what is declared to stand where a feature has no value
        scores = SCORER.score_rows([{n: stands.get(n) if v is None else v for n, v in row.items()} for row in rows])
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    decided = onnx_scoring.decisions(scores, SCHEMA["threshold"])
    found = [
        {"score": score, "prediction": prediction} if abs(score) < float("inf") else {"score": None, "prediction": None}
        for score, prediction in zip(scores.tolist(), decided.tolist(), strict=True)
    ]
    return {"model": SCHEMA["model"], "version": SCHEMA["version"], "predictions": found}
