"""`tidemill-job JOB ...`: a job of an installed wheel, where no script prepares the environment, as on Databricks.

Spark, Delta's JARs and the settings of Spark are then the platform's business.
"""

from __future__ import annotations

import runpy
import sys
from typing import NoReturn

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.home import HOME


def main() -> NoReturn:
    """Runs the job that the first argument names, with the others; ends with the job's exit code."""
    jobs = HOME / "jobs"
    names = sorted(path.stem for path in jobs.glob("[a-z]*.py"))
    job, *words = sys.argv[1:] or [""]
    if job not in names:
        fault = TidemillError(
            "E_USAGE",
            f"there is no job {job!r}" if job else "no job is named",
            where="first argument of tidemill-job",
            next_step=nearest(job, names),
            exit_code=Exit.USAGE,
        )
        print(fault.lines(), file=sys.stderr)
        sys.exit(int(fault.exit_code))
    sys.path.insert(0, str(HOME))  # the pipeline imports the other jobs
    sys.argv = [str(jobs / f"{job}.py"), *words]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit(int(Exit.OK))


if __name__ == "__main__":
    main()
