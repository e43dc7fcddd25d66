"""The frame around every job: arguments, lease, run record, errors, summary."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tidemill import __version__
from tidemill.cli.arguments import jobs_up_to, parse_arguments, root_of
from tidemill.cli.context import Asked, Context
from tidemill.cli.exporting import leave_job
from tidemill.cli.failures import end_on_signal, explain, stopped, while_stopping
from tidemill.cli.plan import check_declarations
from tidemill.cli.result import FAILED, Result, Step
from tidemill.cli.screen import show
from tidemill.cli.summary import PIPELINE, published, summary_of
from tidemill.cli.telling import tell_failure
from tidemill.core.config import load_config
from tidemill.core.config_section import from_environment
from tidemill.core.digest import digest_of_code
from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.core.failpoints import failpoint
from tidemill.core.home import HOME, STATE
from tidemill.core.lease import lease
from tidemill.core.progress import Progress
from tidemill.core.runs import RECORD, SUMMARY, new_run_id, run_folder, write_json
from tidemill.core.time import format_time, parse_time
from tidemill.data.root_tables import settle_tables
from tidemill.data.tables import Lake
from tidemill.models.use_case import load_use_case

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from tidemill.cli.result import Job
    from tidemill.models.use_case import UseCase

_ASK_REGISTRY = {"train", "promote", "score", "monitor", "backtest", "reproduce"}


def main(name: str, run: Callable[[Context], Result]) -> NoReturn:
    """Runs one job as a process: `spark-submit jobs/<name>.py ...`; ends with the documented exit code."""
    sys.exit(run_jobs(name, lambda _: [(name, run)], sys.argv[1:]))


def run_jobs(name: str, jobs_of: Callable[[UseCase], list[Job]], argv: Sequence[str]) -> int:
    """Runs jobs one after another in this process, as one run.

    Args:
        name: what the run is called: the job, or `pipeline`.
        jobs_of: the jobs of a use case, in order.
        argv: the arguments.

    Returns:
        The exit code. Errors are said in three lines on standard error, and in the JSON object where one is asked for.
    """
    signal.signal(signal.SIGTERM, end_on_signal)
    as_json = "--json" in argv
    summary: dict[str, Any] = {"job": name, "status": FAILED}
    started = time.monotonic()
    folder: Path | None = None
    context: Context | None = None
    fault: TidemillError | None = None
    try:
        arguments = parse_arguments(name, argv)
        context = _context(name, arguments)
        jobs = jobs_up_to(jobs_of(context.use_case), arguments.to)
        if arguments.dry_run:
            return _plan(name, context, jobs)
        summary |= {"run_id": context.lake.run_id, "use_case": context.use_case.name}
        folder = run_folder(context.root, context.lake.run_id)
        address, lake = from_environment(context.config.tables), context.lake
        settle_tables(lake.root, address, owner=lake.run_id, timeout=lake.lease_timeout)
        with ExitStack() as stack:
            _hold_leases(stack, name, context)
            summary |= _run_all(name, context, jobs, arguments)
    except TidemillError as error:
        fault = error
    except SystemExit as stop:
        if not stop.code:  # --help has said all there is to say
            return int(Exit.OK)
        fault = stopped()
    except Exception as error:  # noqa: BLE001 - the last frame: nothing may leave without its three lines
        fault = stopped() if while_stopping(error) else explain(error, folder)
    summary["seconds"] = round(time.monotonic() - started, 3)
    code = _end(summary, fault, context, folder)
    if as_json:
        print(json.dumps(published(summary), allow_nan=False))
    elif code == Exit.OK:
        show(summary)
    return int(code)


def _context(name: str, arguments: argparse.Namespace) -> Context:
    now = datetime.now(UTC)
    repo = Path(arguments.repo).resolve() if arguments.repo else HOME / "feature_repo"
    use_case = load_use_case(repo, arguments.use_case)
    config = load_config(HOME / "conf", arguments.env, arguments.set)
    _check_sources(config.sources, use_case)
    lake = Lake(root_of(arguments.root, STATE), new_run_id(now, name), config.layout, config.lease_timeout)
    steps = Progress(1)
    asked = Asked(**{f.name: getattr(arguments, f.name) for f in fields(Asked) if hasattr(arguments, f.name)})
    requested = _requested(arguments, use_case, now)
    context = Context(name, use_case, repo, config, lake, now, steps, requested, arguments.rebuild, asked=asked)
    context.stream, context.refresh = (getattr(arguments, name, False) for name in ("stream", "refresh"))
    return context


def _check_sources(given: dict[str, Any], use_case: UseCase) -> None:
    known = [s.name for s in use_case.sources]
    for name in given:
        if name not in known:
            raise TidemillError(
                "E_SET",
                f"the use case {use_case.name!r} has no source {name!r}",
                where=f"--set sources.{name}.path",
                next_step=nearest(name, known),
                exit_code=Exit.USAGE,
            )


def _requested(arguments: argparse.Namespace, use_case: UseCase, now: datetime) -> tuple[datetime, ...]:
    if arguments.since:
        since, until = parse_time(arguments.since, "--from"), parse_time(arguments.until, "--until")
        times = tuple(t for t in use_case.grid.times(until) if t >= since)
        if not times:
            raise TidemillError(
                "E_TIME",
                "the range holds no as-of time of the use case",
                where=f"--from {arguments.since} --until {arguments.until}",
                next_step=f"widen it; the grid starts at {use_case.grid.start}",
                exit_code=Exit.USAGE,
            )
    else:
        times = (parse_time(arguments.as_of),) if arguments.as_of else ()
    for value in times:
        if value > now:
            raise TidemillError(
                "E_FUTURE",
                f"the as-of time {format_time(value)} lies in the future",
                where="--as-of" if arguments.as_of else "--until",
                next_step=f"choose a time up to now, {format_time(now.replace(microsecond=0))}",
                exit_code=Exit.USAGE,
            )
    return times


def _hold_leases(stack: ExitStack, name: str, context: Context) -> None:
    owner = context.lake.run_id
    timeout = context.config.lease_timeout
    if name == PIPELINE:
        stack.enter_context(lease(context.root, PIPELINE, owner=owner, timeout=timeout))
    stack.enter_context(lease(context.root, f"use-case-{context.use_case.name}", owner=owner, timeout=timeout))


def _run_all(name: str, context: Context, jobs: list[Job], arguments: argparse.Namespace) -> dict[str, Any]:
    context.progress = Progress(len(jobs))
    write_json(run_folder(context.root, context.lake.run_id) / RECORD, _record(context, arguments))
    check_declarations(context, [job for job, _ in jobs])
    if context.config.services.tracking and not _ASK_REGISTRY.isdisjoint(job for job, _ in jobs):
        context.progress.say("asking the tracking server")
        context.registry.check()  # before hours of Spark, not after them
    # What one day decides the next one builds on: a pipeline goes through a period one as-of time after another.
    times: list[tuple[datetime, ...]] = [context.requested]
    if name == PIPELINE and len(context.requested) > 1:
        times = [(at,) for at in context.requested]
        context.progress = Progress(len(jobs) * len(times))
    steps: list[Step] = []
    for requested in times:
        context = replace(context, requested=requested)
        for job, run in jobs:
            began = time.monotonic()
            with context.progress.step(job):
                result = run(context)
            steps.append(Step(job, result, time.monotonic() - began))
            failpoint("job.done", job)
    return summary_of(context, steps, whole=name == PIPELINE)


def _record(context: Context, arguments: argparse.Namespace) -> dict[str, Any]:
    places = {"repo": str(context.repo), "root": str(context.root)}  # the same from any folder
    return {
        "job": context.job,
        "version": __version__,
        "code": digest_of_code(),
        "use_case": context.use_case.name,
        "declaration": context.use_case.digest,
        "config": context.config.model_dump(),
        "arguments": {k: v for k, v in (vars(arguments) | places).items() if v is not None},
        "started": format_time(context.now),
        "pid": os.getpid(),
    }


def _plan(name: str, context: Context, jobs: list[Job]) -> int:
    when = ", ".join(format_time(t) for t in context.requested) or "the use case's default time"
    print(f"{name} would run {', '.join(job for job, _ in jobs)} for {context.use_case.name} at {when}")
    return int(Exit.OK)


def _end(summary: dict[str, Any], fault: TidemillError | None, context: Context | None, folder: Path | None) -> Exit:
    """Says how the run ended: on standard error, in its folder, to Prometheus, and to people where it failed."""
    if fault is not None:
        _failed(summary, fault, folder)
    elif folder is not None:
        write_json(folder / SUMMARY, summary)
    code = Exit.OK if fault is None else fault.exit_code
    if context is not None and folder is not None:
        leave_job(context, summary["seconds"], int(code))
        try:
            notes = () if fault is None else tell_failure(context, fault)
        except Exception as error:  # noqa: BLE001 - the run has failed for its own reason, which was said
            notes = (f"nobody could be told of the failure: {type(error).__name__}: {error}",)
        for note in notes:
            context.progress.say(note)
    return code


def _failed(summary: dict[str, Any], error: TidemillError, folder: Path | None) -> None:
    summary |= {"status": FAILED, "error": error.as_json()}
    print(error.lines(), file=sys.stderr)
    if folder is not None and folder.exists():
        write_json(folder / SUMMARY, summary)
