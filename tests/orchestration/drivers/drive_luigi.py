"""Luigi, with its local scheduler."""

import luigi
from tidemill.orchestration.dag import Flow
from tidemill.orchestration.luigi import luigi_tasks
from tidemill.orchestration.steps import Target


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Edges from what the tasks require; two builds."""
    edges, tasks = set(), luigi_tasks(flow, target, as_of)
    while tasks:
        task = tasks.pop()
        edges |= {(need.job, task.job) for need in task.requires()}
        tasks += task.requires()
    options = {"local_scheduler": True, "no_lock": True}
    return [*edges], [luigi.build(luigi_tasks(flow, target, as_of), **options) for _ in range(2)]
