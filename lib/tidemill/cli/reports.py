"""Where the reports of a use case are."""

from __future__ import annotations

import json

from tidemill.cli.shown import ROOT, Json, Root, known_root
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import INDEX, judgements


def report(use_case: str, root: Root = ROOT, as_json: Json = False) -> None:
    """Shows where the index of a use case's reports is, and the newest of them."""
    known_root(root)
    runs = root.resolve() / "runs"
    found = judgements(root, use_case)
    if not found:
        raise TidemillError(
            "E_NO_REPORT",
            f"no monitor job has judged {use_case!r} yet",
            where=str(runs),
            next_step="run the pipeline, or its job monitor; ./tidemill runs shows which runs there were",
            exit_code=Exit.NO_INPUT,
        )
    newest = max(found, key=lambda entry: (entry["as_of"], entry["run_id"]))
    told = {
        "index": str(runs / INDEX.format(use_case)),
        "newest": str(runs / newest["page"]),
        "as_of": newest["as_of"],
        "verdict": newest["verdict"],
    }
    print(json.dumps(told) if as_json else "\n".join(f"{name}: {value}" for name, value in told.items()))
