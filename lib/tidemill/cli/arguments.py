"""Job arguments: the same for every job, checked before anything starts."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tidemill.core.errors import Exit, TidemillError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.cli.result import Job


# Delta's library takes the path of a table for part of a URI, and panics at some of what a path may hold.
_NO_ROOT = re.compile(r"[\[\]\\^|]|%[0-9A-Fa-f]{2}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise TidemillError(
            "E_ARGUMENTS",
            message,
            where=self.prog,
            next_step=f"see ./spark-submit.sh {self.prog} --help",
            exit_code=Exit.USAGE,
        )


def parse_arguments(job: str, argv: Sequence[str]) -> argparse.Namespace:
    """Reads the arguments of a job.

    Raises:
        TidemillError: E_ARGUMENTS (usage).
    """
    parser = _Parser(prog=job, description=f"tidemill job {job}", allow_abbrev=False)
    parser.add_argument("--use-case", default="churn", help="a file of the feature repository (default: churn)")
    parser.add_argument("--repo", help="the feature repository (default: feature_repo)")
    parser.add_argument("--env", default="local", help="the configuration overlay (default: local)")
    parser.add_argument("--root", help="the folder of all local state (default: var)")
    parser.add_argument("--as-of", help="the as-of time, ISO 8601, UTC")
    parser.add_argument("--from", dest="since", help="the first as-of time of a range")
    parser.add_argument("--until", help="the end of a range of as-of times, exclusive")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a configuration key")
    parser.add_argument("--rebuild", action="store_true", help="make again what is there")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and stop")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    if job == "ingest":
        parser.add_argument("--stream", action="store_true", help="go on with what arrives, refining it, until stopped")
        parser.add_argument("--refresh", action="store_true", help="with --stream: bring gold and online values along")
    if job == "replay":
        parser.add_argument("--source", help="one source (default: all of the use case)")
        parser.add_argument("--batch", help="one batch of the quarantine (default: all)")
        parser.add_argument("--because", metavar="TEXT", help="waive the rows instead, and why")
    if job == "reproduce":
        parser.add_argument("--version", required=True, help="the model version, by its number in the registry")
    if job == "pipeline":
        parser.add_argument("--to", metavar="JOB", help="the last job to run (default: all of them)")
    parser.set_defaults(to=None)
    found = parser.parse_args(argv)
    if found.as_of and (found.since or found.until):
        parser.error("--as-of stands alone; a range is --from and --until")
    if job == "ingest" and found.refresh and not found.stream:
        parser.error("--refresh goes with --stream; without it build_features and materialize bring them along")
    if bool(found.since) != bool(found.until):
        parser.error("--from and --until go together")
    return found


def root_of(asked: str | None, default: Path) -> Path:
    """The folder of all local state, absolute.

    Raises:
        TidemillError: E_ARGUMENTS (usage) where tables cannot lie below it.
    """
    root = Path(asked).resolve() if asked else default
    if found := _NO_ROOT.search(str(root)):
        raise TidemillError(
            "E_ARGUMENTS",
            f"tables cannot lie below a folder with {found.group()!r} in its path",
            where=f"--root {root}",
            next_step="name a folder without [ ] \\ ^ | and without codes such as %20",
            exit_code=Exit.USAGE,
        )
    return root


def words_of(arguments: Mapping[str, Any]) -> list[str]:
    """The words that `parse_arguments` reads these arguments from, as a run's record keeps them."""
    options = {"since": "--from"}
    words: list[str] = []
    for name, value in arguments.items():
        option = options.get(name, f"--{name.replace('_', '-')}")
        if isinstance(value, bool):
            words += [option] if value else []
        else:
            words += [word for one in (value if isinstance(value, list) else [value]) for word in (option, str(one))]
    return words


def jobs_up_to(jobs: list[Job], last: str | None) -> list[Job]:
    """The jobs up to one of them, or all.

    Raises:
        TidemillError: E_ARGUMENTS (usage) where it is none of them.
    """
    names = [name for name, _ in jobs]
    if last is None:
        return jobs
    if last not in names:
        raise TidemillError(
            "E_ARGUMENTS",
            f"the pipeline has no job {last!r}",
            where=f"--to {last}",
            next_step=nearest(last, names),
            exit_code=Exit.USAGE,
        )
    return jobs[: names.index(last) + 1]
