"""Kubeflow Pipelines: compiled by its compiler, and run by its local runner."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler, local
from tidemill.orchestration.dag import Flow
from tidemill.orchestration.kubeflow import kubeflow_pipeline
from tidemill.orchestration.steps import Target


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Edges from the compiled pipeline; two runs."""
    pipeline = kubeflow_pipeline(flow, target, "tidemill:test")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(pipeline, str(path))
        tasks = yaml.safe_load(path.read_text())["root"]["dag"]["tasks"]
        name = {key: task["taskInfo"]["name"] for key, task in tasks.items()}
        assert not any(task["cachingOptions"].get("enableCache") for task in tasks.values())
        edges = [(name[need], name[key]) for key, task in tasks.items() for need in task.get("dependentTasks", ())]
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(Path(folder, "root")))
        return edges, [_run(pipeline, as_of) for _ in range(2)]


def _run(pipeline: Any, as_of: str) -> bool:
    try:
        pipeline(as_of=as_of)
    except RuntimeError as failed:
        print(failed, file=sys.stderr)
        return False
    return True
