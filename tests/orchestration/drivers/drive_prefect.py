"""Prefect, with a server of its own for the test; edges are what the run recorded of its tasks."""

import asyncio

from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from tidemill.orchestration.dag import Flow
from tidemill.orchestration.prefect import prefect_flow
from tidemill.orchestration.steps import Target


async def _edges(jobs: tuple[str, ...]) -> set[tuple[str, str]]:
    """The edges of the run that completed all jobs; what the server knows of it arrives a little after its end."""
    async with get_client() as client:
        while True:
            found = [run for run in await client.read_task_runs() if run.state and run.state.is_completed()]
            for flow_run in {run.flow_run_id for run in found}:
                runs = {run.id: run for run in found if run.flow_run_id == flow_run}
                if len(runs) == len(jobs):
                    return {
                        (runs[need.id].name, run.name)
                        for run in runs.values()
                        for needs in run.task_inputs.values()
                        for need in needs
                        if need.input_type == "task_run"
                    }
            await asyncio.sleep(0.5)


def drive(flow: Flow, target: Target, as_of: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """Two runs, and the edges that the second followed."""
    with prefect_test_harness(server_startup_timeout=240):
        made = prefect_flow(flow, target)
        runs = [made(as_of, return_state=True).is_completed() for _ in range(2)]
        return [*asyncio.run(_edges(flow.jobs))], runs
