"""One step of a flow: the command that every orchestrator calls, and what its exit code asks for.

An orchestrator decides nothing about a job. It calls `spark-submit.sh`, as a person does; what was done before is
skipped by the job itself, so that a step may always be called again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from tidemill.core.errors import Exit, TidemillError

_KILLED = 128 + 9
# Something does not answer (69), another run holds the lease (75), the machine was taken away (143, and 137 where it
# was not asked first): the same command may do better later. All else asks for a person: 64 and 78 for who wrote the
# command or the configuration, 65 and 66 for who delivers the data, 74 for who owns the disk, 70 for us.
RETRIED = frozenset({Exit.UNAVAILABLE, Exit.TRY_AGAIN, Exit.TERMINATED, _KILLED})
# Jobs of one use case that a flow would run side by side take turns: so long one waits for the other, in seconds.
_TURN = 7200


@dataclass(frozen=True)
class Target:
    """Where and how an orchestrator runs the jobs of a flow.

    Args:
        submit: path of `spark-submit.sh` on the machines that run steps.
        root: the folder of all state, one for all of them.
        use_case: a use case of the feature repository; the jobs' own default where None.
        repo: the feature repository, likewise.
        env: the environment, likewise.
        attempts: how often a step is tried whose exit code is in `RETRIED`.
        wait: seconds between two attempts.
    """

    submit: str
    root: str
    use_case: str | None = None
    repo: str | None = None
    env: str | None = None
    attempts: int = 3
    wait: float = 60.0

    def command(self, job: str, as_of: str) -> list[str]:
        """The words of one step: a job at an as-of time."""
        given = {"--use-case": self.use_case, "--repo": self.repo, "--env": self.env, "--root": self.root}
        words = [word for option, value in given.items() if value is not None for word in (option, value)]
        return [self.submit, job, *words, "--as-of", as_of, "--set", f"lease_timeout={_TURN}", "--json"]


class StepError(TidemillError):
    """A step that ended with an exit code other than 0; `retry` says whether it may be tried again as it is."""

    def __init__(self, command: list[str], ended: int) -> None:
        self.ended = ended
        self.retry = ended in RETRIED
        super().__init__(
            "E_STEP",
            f"{command[1]} ended with exit code {ended}",
            where=" ".join(command),
            next_step="read what it said above; the same command goes on where it stopped",
            exit_code=Exit(ended) if ended in set(Exit) else Exit.BUG,
        )


def run_step(command: list[str]) -> dict[str, Any]:
    """Runs one step; returns the summary object that it ends with.

    Raises:
        StepError: where it ends with an exit code other than 0.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - the words are ours
    if done.returncode != 0:
        # Popen says of a process that a signal ended the signal's number below zero, a shell 128 and that number.
        raise StepError(command, done.returncode if done.returncode > 0 else 128 - done.returncode)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_patiently(command: list[str], attempts: int, wait: float) -> dict[str, Any]:
    """Runs one step, and again while its exit code allows it: for orchestrators that cannot tell exit codes apart.

    Raises:
        StepError: the last one.
    """
    while True:
        attempts -= 1
        try:
            return run_step(command)
        except StepError as failed:
            if not failed.retry or attempts < 1:
                raise
            print(f"{failed.what}; once more in {wait:g} s", file=sys.stderr)  # noqa: T201 - the orchestrator's log
            time.sleep(wait)
