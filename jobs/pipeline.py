"""All jobs of a use case in one process, in order; what is done is skipped."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from tidemill.cli.job import run_jobs
from tidemill.orchestration.dag import pipeline_steps

if TYPE_CHECKING:
    from tidemill.cli.result import Job
    from tidemill.models.use_case import UseCase


def jobs_of(use_case: UseCase) -> list[Job]:
    """The jobs that the use case needs."""
    names = pipeline_steps(generated=use_case.world is not None)
    return [(name, importlib.import_module(f"jobs.{name}").run) for name in names]


if __name__ == "__main__":
    sys.exit(run_jobs("pipeline", jobs_of, sys.argv[1:]))
