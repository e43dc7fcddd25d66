"""Dagster, with an instance of its own; the second run is a re-execution from failure."""

import tempfile
from typing import Any

from dagster import DagsterInstance, JobDefinition, ReexecutionOptions, execute_job, reconstructable
from tidemill.orchestration.dag import FLOWS, Flow
from tidemill.orchestration.dagster import AS_OF, dagster_job, dagster_schedule
from tidemill.orchestration.steps import Target

_asked: list[tuple[Flow, Target]] = []


def asked() -> JobDefinition:
    """The job, as Dagster finds it again."""
    return dagster_job(*_asked[0])


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Edges from the job's graph; a run, and its re-execution from failure."""
    _asked.append((flow, target))
    for scheduled in (f for f in FLOWS if f.cron):
        assert dagster_schedule(scheduled, dagster_job(scheduled, target)).cron_schedule == scheduled.cron
    structure = asked().graph.dependency_structure
    edges = [
        (output.node.name, node)
        for node in flow.jobs
        for outputs in structure.input_to_upstream_outputs_for_node(node).values()
        for output in outputs
    ]
    settings: dict[str, Any] = {"run_config": {"execution": {"config": {"in_process": {}}}}, "tags": {AS_OF: as_of}}
    with tempfile.TemporaryDirectory() as folder, DagsterInstance.local_temp(folder) as instance:
        first = execute_job(reconstructable(asked), instance, **settings)
        options = ReexecutionOptions.from_failure(first.run_id, instance)
        second = execute_job(reconstructable(asked), instance, reexecution_options=options, **settings)
        return edges, [first.success, second.success]
