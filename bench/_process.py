"""One process with all that it starts: CPU seconds, wall seconds and peak memory.

A job is a Python, a JVM, a Python daemon of that JVM, and its workers. Which of them wait for which, and who outlives
whom, is not ours to say, so the harness makes itself the *subreaper* of all of them: whatever loses its parent becomes
its child. It then waits for everything, and the kernel hands over the exact times of each process together with those
of the children that it waited for. This needs no privilege, unlike a control group, and nothing is missed at the end,
unlike by looking every now and then.

One kind escapes: where a parent ignores SIGCHLD, as PySpark's daemon does, the kernel drops the times of its children.
Those are taken from `/proc` as they were last seen. Memory is sampled there, too: the proportional set size, since
forked workers share most of their pages and a sum of resident sizes would count these once a worker.

Held against the accounting of a control group, CPU seconds of a Spark job with Python workers agreed within a percent.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A look costs milliseconds of the machine that is measured. The proportional size of a JVM costs ten times as many, for
# its page tables are walked through: it is asked for only where the resident sizes, which are at hand, have grown.
_LOOK_EVERY_S = 0.25
_GROWN = 1.02
# A JVM notices the end of its Python, removes its temporary files and ends. What takes longer is killed, and counts.
_GRACE_S = 30.0
_PR_SET_CHILD_SUBREAPER = 36
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Usage:
    """What one run took.

    Args:
        cpu_s: user and system seconds of the process and everything that it started.
        wall_s: seconds from its start to its own end, as its caller would wait.
        peak_mb: the largest sum of memory seen, in millions of bytes.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float


def measure(command: Sequence[str], log: Path) -> tuple[int, Usage]:
    """Runs a command to the end of the last process that it leaves behind; its exit code, and what it took.

    Args:
        command: an executable's path, and its arguments.
        log: where its standard output and standard error go.

    Raises:
        TidemillError: E_PLATFORM (unavailable) where the system is not Linux.
    """
    _adopt_orphans()
    tally = _Tally()
    began = time.monotonic()
    pid = _start(command, log)
    try:
        ended = os.pidfd_open(pid)
        try:
            while not select.select([ended], [], [], _LOOK_EVERY_S)[0]:
                tally.look()
        finally:
            os.close(ended)
        wall = time.monotonic() - began
        while tally.reap() and time.monotonic() < began + wall + _GRACE_S:
            tally.look()
            time.sleep(_LOOK_EVERY_S / 4)
    finally:
        while tally.reap():
            for process in _descendants():
                _kill(process.pid)
            time.sleep(_LOOK_EVERY_S / 4)
    return tally.codes[pid], Usage(tally.waited_s + sum(tally.lost_s.values()), wall, tally.peak_mb)


@dataclass
class _Tally:
    """What is known so far: exit codes, the times that the kernel handed over, those that it will not, and memory."""

    codes: dict[int, int] = field(default_factory=dict)
    waited_s: float = 0.0
    lost_s: dict[int, float] = field(default_factory=dict)
    resident_mb: float = 0.0
    peak_mb: float = 0.0

    def look(self) -> None:
        """Samples the memory of the tree, and the times of those whose parents do not wait for them."""
        tree = list(_descendants())
        resident = sum(process.resident_mb for process in tree)
        if resident > _GROWN * self.resident_mb:
            self.resident_mb = resident
            self.peak_mb = max(self.peak_mb, sum(_proportional_mb(process.pid) for process in tree))
        deaf = {parent for parent in {process.parent for process in tree} if _ignores_children(parent)}
        self.lost_s |= {process.pid: process.cpu_s for process in tree if process.parent in deaf}

    def reap(self) -> bool:
        """Waits for all children that have ended; whether any is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.codes[pid] = os.waitstatus_to_exitcode(status)
            self.waited_s += used.ru_utime + used.ru_stime
            self.lost_s.pop(pid, None)  # its parent ended first, and it came to us


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    cpu_s: float
    resident_mb: float


def _adopt_orphans() -> None:
    if not sys.platform.startswith("linux") or ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise TidemillError(
            "E_PLATFORM",
            "measurements need Linux: only there the times of every process can be collected",
            where="./bench.sh",
            next_step="run it on a Linux machine",
            exit_code=Exit.UNAVAILABLE,
        )


def _start(command: Sequence[str], log: Path) -> int:
    # Not subprocess: it waits for its children itself, and this module has to wait for all of them alike.
    with log.open("wb") as file:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, file.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, file.fileno(), 2),
        ]
        return os.posix_spawn(command[0], list(command), os.environ, file_actions=actions)


def _descendants() -> Iterator[_Process]:
    """The processes below this one; orphans among them are its children by now."""
    children: dict[int, list[_Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (text := _read(entry / "stat")):
            # The name, in brackets, may hold blanks and brackets. What follows: proc(5), from the third field on.
            fields = text.rpartition(")")[2].split()
            cpu_s = sum(map(int, fields[11:15])) / _TICKS_PER_S
            found = _Process(int(entry.name), int(fields[1]), cpu_s, int(fields[21]) * _PAGE_MB)
            children.setdefault(found.parent, []).append(found)
    todo = children.get(os.getpid(), [])
    while todo:
        process = todo.pop()
        yield process
        todo.extend(children.get(process.pid, []))


def _proportional_mb(pid: int) -> float:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _ignores_children(pid: int) -> bool:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:  # it has ended
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
