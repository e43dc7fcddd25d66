"""The commands about the order of the jobs: `dag` shows it, `resume` goes on with a run that stopped. No Spark."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from tidemill.cli.arguments import words_of
from tidemill.cli.shown import ROOT, Json, Root
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.home import job_command
from tidemill.core.runs import RECORD
from tidemill.orchestration.dag import FLOWS, OUTSIDE, as_json, as_mermaid, as_text, flow_named
from tidemill.orchestration.steps import RETRIED

Name = Annotated[str | None, typer.Argument(help="One flow; by default all of them.")]
Mermaid = Annotated[bool, typer.Option("--mermaid", help="Print Mermaid charts.")]


def dag(flow: Name = None, mermaid: Mermaid = False, as_json_: Json = False) -> None:
    """Shows which jobs run together, in which order, and when."""
    shown = FLOWS if flow is None else (flow_named(flow),)
    if as_json_:
        flows = [as_json(one) for one in shown]
        print(json.dumps({"flows": flows, "beside": list(OUTSIDE), "retried": sorted(map(int, RETRIED))}))
    elif mermaid:
        print("\n\n".join(f"%% {one.name}\n{as_mermaid(one)}" for one in shown))
    else:
        print("\n\n".join(as_text(one) for one in shown))
        print(f"\nbeside them, when somebody asks for it: {', '.join(OUTSIDE)}")
        print(f"tried again: a step that ends with {', '.join(str(int(code)) for code in sorted(RETRIED))}")


def resume(run: str, root: Root = ROOT) -> None:
    """Goes on with a run: its command, once more. What it has done is skipped."""
    record = root.resolve() / "runs" / run / RECORD
    if not record.is_file():
        known = [path.parent.name for path in root.glob(f"runs/*/{RECORD}")]
        raise TidemillError(
            "E_NO_RUN",
            f"there is no run {run!r}",
            where=f"--root {root}",
            next_step=nearest(run, known[-5:]),
            exit_code=Exit.NO_INPUT,
        )
    found = json.loads(record.read_text(encoding="utf-8"))
    # The root is where the record lies: it may have been moved since.
    words = words_of({**found["arguments"], "root": str(root.resolve())})
    command = [*job_command(found["job"]), *words]
    os.execv(command[0], command)  # noqa: S606 - the run takes this process's place
