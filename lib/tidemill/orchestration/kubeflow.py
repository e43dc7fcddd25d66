"""Kubeflow Pipelines 2: a flow as a pipeline of one component, to be compiled by KFP's own compiler."""

# No `from __future__ import annotations` here: KFP reads the types of arguments, and would find their names.

from typing import TYPE_CHECKING, Any

from kfp import dsl

if TYPE_CHECKING:
    from tidemill.orchestration.dag import Flow
    from tidemill.orchestration.steps import Target

_PLACE = "AS_OF"  # where the as-of time stands in a command until a run knows it


def kubeflow_pipeline(flow: "Flow", target: "Target", image: str) -> Any:
    """A pipeline with the one parameter `as_of`, a date, and one task a job.

    Args:
        flow: what runs.
        target: where; paths are those inside the image and its volumes.
        image: has this project, and KFP beside it (`pip install --no-deps kfp`).

    Nothing is cached: KFP would take a step for done whose inputs have the same names, while the tables behind them
    have grown. Attempts are counted inside the step, since KFP cannot tell exit codes apart. A new run resumes: jobs
    skip what is done.
    """
    component = dsl.component(_step, base_image=image, install_kfp_package=False)

    def run(as_of: str) -> None:
        tasks: dict[str, Any] = {}
        for job, needs in flow.needs.items():
            words = target.command(job, _PLACE)
            task = component(words=words, place=_PLACE, as_of=as_of, attempts=target.attempts, wait=target.wait)
            tasks[job] = task.set_display_name(job).set_caching_options(False).after(*(tasks[need] for need in needs))

    return dsl.pipeline(name=flow.name.replace("_", "-"), description=flow.does)(run)


def _step(words: list, place: str, as_of: str, attempts: int, wait: float) -> None:  # type: ignore[type-arg]
    """Runs one job. Its text alone travels to the cluster."""
    from tidemill.orchestration.steps import run_patiently

    run_patiently([as_of if word == place else word for word in words], attempts, wait)
