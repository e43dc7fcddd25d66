"""A Redis beside a bench: not below the process that measures, so that the server's own work is nobody's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from typing import NoReturn

    from redis import Redis

_PORT = "TIDEMILL_BENCH_REDIS_PORT"
_START_S = 30.0


def beside_redis() -> None:
    """Returns in a process that finds a running Redis; the caller's own process waits for that one and ends with it."""
    if _PORT in os.environ:
        return
    try:
        _run_beside()
    except TidemillError as error:
        print(error.lines(), file=sys.stderr)
        sys.exit(int(error.exit_code))


def address() -> str:
    """Of the server, as Feast's `connection_string` takes it."""
    return f"127.0.0.1:{os.environ[_PORT]}"


def emptied() -> Redis:
    """A client of the server, which then holds nothing."""
    found = client()
    found.flushall()
    return found


def client() -> Redis:
    """A client of the server."""
    from redis import Redis

    return Redis(port=int(os.environ[_PORT]))


def _run_beside() -> NoReturn:
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if program is None:
        raise TidemillError(
            "E_PLATFORM",
            "this bench needs a Redis server",
            where="redis-server and redis-check-rdb on PATH",
            next_step="sudo apt-get install redis-tools, or run ./test.sh once, which installs it",
            exit_code=Exit.UNAVAILABLE,
        )
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = str(trial.getsockname()[1])
    # Called redis-server, Debian's redis-check-rdb is the server.
    words = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(words, executable=program, cwd="/tmp", stdout=subprocess.DEVNULL)  # noqa: S108, S603
    bench: subprocess.Popen[bytes] | None = None
    try:
        _await(int(port))
        bench = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(Path(sys.argv[0]).resolve()), *sys.argv[1:]], env=os.environ | {_PORT: port}
        )
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: bench.send_signal(number) if bench else None)
        sys.exit(bench.wait())
    finally:
        server.kill()
        server.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TidemillError(
        "E_PLATFORM",
        "the Redis server did not start",
        where=f"port {port}",
        next_step="start redis-server by hand to see what it says",
        exit_code=Exit.UNAVAILABLE,
    )
