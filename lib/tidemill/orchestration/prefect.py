"""Prefect 3: a flow as a flow, with a schedule where it is served: `prefect_flow(...).serve(cron=flow.cron)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import prefect
from prefect.futures import wait

from tidemill.orchestration.steps import StepError, run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State, TaskRun

    from tidemill.orchestration.dag import Flow
    from tidemill.orchestration.steps import Target


def prefect_flow(flow: Flow, target: Target) -> prefect.Flow[..., Any]:
    """A flow with the one parameter `as_of`, a date, and one task a job.

    Retries are Prefect's own, where the exit code allows them. Calling the flow again resumes it: jobs skip what is
    done.
    """
    step = prefect.task(
        run_step,
        retries=target.attempts - 1,
        retry_delay_seconds=target.wait,
        retry_condition_fn=_may_retry,
        cache_policy=prefect.cache_policies.NO_CACHE,  # whether there is something to do is for the job to find out
    )

    def run(as_of: str) -> None:
        futures: dict[str, Any] = {}
        for job, needs in flow.needs.items():
            named = step.with_options(name=job, task_run_name=job)
            futures[job] = named.submit(target.command(job, as_of), wait_for=[futures[need] for need in needs])
        wait(list(futures.values()))
        for future in futures.values():
            future.result()

    made: Callable[..., prefect.Flow[..., Any]] = prefect.flow(name=flow.name, description=flow.does)
    return made(run)


def _may_retry(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    failed = state.result(raise_on_failure=False)
    return isinstance(failed, StepError) and failed.retry
