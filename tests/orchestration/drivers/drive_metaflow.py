"""Metaflow, on this machine; the second run is its own `resume`."""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tidemill.orchestration.dag import Flow
from tidemill.orchestration.metaflow import metaflow_source
from tidemill.orchestration.steps import Target


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Edges as Metaflow's own graph has them, without the steps that it asks for."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flow.py")
        path.write_text(metaflow_source(flow, target))
        ask = "import flow; from metaflow.graph import FlowGraph\n"
        ask += "found = FlowGraph(flow.Everything)\n"
        ask += "print([(node.name, after) for node in found for after in node.out_funcs])"
        variables = os.environ | {"USERNAME": "tests", "METAFLOW_HOME": folder, "METAFLOW_USER": "tests"}

        def python(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *words], cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=False
            )

        edges = [e for e in ast.literal_eval(python("-c", ask).stdout) if not {"start", "joined", "end"} & {*e}]
        runs = [python(str(path), "run", "--as_of", as_of), python(str(path), "resume")]
        print(*(run.stdout for run in runs), file=sys.stderr)
        return edges, [run.returncode == 0 for run in runs]
