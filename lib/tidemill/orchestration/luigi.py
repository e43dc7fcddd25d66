"""Luigi: a flow as tasks; each leaves the summary of its run in a file, by which Luigi knows that it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from tidemill.orchestration.steps import run_patiently

if TYPE_CHECKING:
    from tidemill.orchestration.dag import Flow
    from tidemill.orchestration.steps import Target


def luigi_tasks(flow: Flow, target: Target, as_of: str) -> list[luigi.Task]:
    """The tasks that nothing else in the flow waits for, at one as-of time; Luigi finds the others through them.

    Luigi tries every failed task alike, so attempts are counted here. Building the same tasks again resumes the flow.
    """

    class Step(luigi.Task):
        job = luigi.Parameter()

        def requires(self) -> list[luigi.Task]:
            return [Step(job=need) for need in flow.needs[self.job]]

        def output(self) -> luigi.LocalTarget:
            return luigi.LocalTarget(str(Path(target.root, "flows", flow.name, as_of, f"{self.job}.json")))

        def run(self) -> None:
            summary = run_patiently(target.command(self.job, as_of), target.attempts, target.wait)
            with self.output().open("w") as file:
                json.dump(summary, file)

    Step.__name__ = flow.name
    followed = {before for before, _ in flow.edges}
    return [Step(job=job) for job in flow.jobs if job not in followed]
