"""Dagster: a flow as a job of ops that wait for one another, and its schedule."""

# No `from __future__ import annotations` here: Dagster reads the types of a step's arguments.

from typing import TYPE_CHECKING

from dagster import (
    DefaultScheduleStatus,
    DependencyDefinition,
    Failure,
    GraphDefinition,
    In,
    JobDefinition,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    RetryRequested,
    RunRequest,
    ScheduleDefinition,
    op,
)

from tidemill.orchestration.steps import StepError, run_step

if TYPE_CHECKING:
    from dagster import ScheduleEvaluationContext

    from tidemill.orchestration.dag import Flow
    from tidemill.orchestration.steps import Target

AS_OF = "tidemill/as_of"  # the tag of a run that says its as-of time


def dagster_job(flow: "Flow", target: "Target") -> JobDefinition:
    """A job with one op a job of the flow; a run's as-of time is its tag `AS_OF`.

    Retries are Dagster's own. What no retry can help fails at once. Re-execution from failure resumes a run.
    """
    ops = [_op(job, needs, target) for job, needs in flow.needs.items()]
    order = {job: {need: DependencyDefinition(need) for need in needs} for job, needs in flow.needs.items()}
    return GraphDefinition(flow.name, description=flow.does, node_defs=ops, dependencies=order).to_job()


def dagster_schedule(flow: "Flow", job: JobDefinition) -> ScheduleDefinition:
    """The schedule of a flow that has one: a run is as of the midnight (UTC) before it."""

    def request(context: "ScheduleEvaluationContext") -> RunRequest:
        return RunRequest(tags={AS_OF: f"{context.scheduled_execution_time:%Y-%m-%d}"})

    return ScheduleDefinition(
        job=job,
        cron_schedule=str(flow.cron),
        execution_timezone="UTC",
        execution_fn=request,
        default_status=DefaultScheduleStatus.STOPPED,
    )


def _op(job: str, needs: tuple[str, ...], target: "Target") -> OpDefinition:
    @op(name=job, ins={need: In(Nothing) for need in needs}, out=Out(Nothing))  # type: ignore[untyped-decorator]
    def step(context: OpExecutionContext) -> None:
        try:
            summary = run_step(target.command(job, context.get_tag(AS_OF)))
        except StepError as failed:
            if failed.retry:
                raise RetryRequested(target.attempts - 1, target.wait) from failed
            raise Failure(failed.lines(), allow_retries=False) from failed
        context.log.info("%s: %s", job, summary["status"])

    return step
