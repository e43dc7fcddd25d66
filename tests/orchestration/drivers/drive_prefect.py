"""Prefect, with a server of its own for the test; edges are what the run recorded of its tasks."""

import asyncio

from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from tidemill.orchestration.dag import Flow
from tidemill.orchestration.prefect import prefect_flow
from tidemill.orchestration.steps import Target


async def _edges() -> set[tuple[str, str]]:
    async with get_client() as client:
        found = await client.read_task_runs()
    runs = {run.id: run for run in found if run.run_count}  # those that a failure kept from running have no name yet
    return {
        (runs[need.id].name, run.name)
        for run in runs.values()
        for needs in run.task_inputs.values()
        for need in needs
        if need.input_type == "task_run"
    }


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Two runs, and the edges that both followed."""
    with prefect_test_harness(server_startup_timeout=240):
        made = prefect_flow(flow, target)
        runs = [made(as_of, return_state=True).is_completed() for _ in range(2)]
        return [*asyncio.run(_edges())], runs
