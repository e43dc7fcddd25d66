"""A server as a child process: a port to listen on, an end with the tests, and words when it does not start."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

HOST = "127.0.0.1"
# Below the ports that systems hand out for outgoing connections: one of those could take a killed server's port before
# it is started again.
PORTS = range(20000, 32000)
START_SECONDS = 60


class Server(Protocol):
    """What can be started, and ended."""

    def start(self) -> None:
        """Returns when it answers."""

    def stop(self) -> None:
        """Ends it."""


S = TypeVar("S", bound=Server)


@contextmanager
def running(server: S) -> Iterator[S]:
    """A server while it is needed; it is ended, too, where it does not start."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as trial:
            # As servers do: connections that ended lately do not count.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return port


def launch(
    command: Sequence[str], log: Path, last: signal.Signals, user: str | None = None, keep: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts a server, with open files, that is sent the signal `last` if the thread that started it ends before it."""
    with log.open("ab") as said:
        return subprocess.Popen(
            [*tied(last, user), *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
        )


def tied(last: signal.Signals, user: str | None) -> list[str]:
    """Words before a command: it runs as the user, and not longer than its starter, even one that is killed."""
    if not shutil.which("setpriv"):  # no Linux
        return []
    return ["setpriv", "--pdeathsig", last.name.removeprefix("SIG"), *as_user(user), "--"]


def as_user(user: str | None) -> list[str]:
    """The options of setpriv that change the user."""
    return [] if user is None else [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]


def await_start(
    server: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool], seconds: float = START_SECONDS
) -> None:
    """Returns when the server answers; an error with the end of its log if it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not answers():
        if server.poll() is not None or time.monotonic() > deadline:
            end(server, signal.SIGKILL)
            said = log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{server.args!r} did not start (exit code {server.returncode}):\n{said[-4000:]}")
        time.sleep(0.05)


def end(server: subprocess.Popen[bytes], how: signal.Signals, seconds: float = 30) -> None:
    """Sends the signal and waits; a server that does not heed it is killed."""
    if server.poll() is None:
        server.send_signal(how)
    try:
        server.wait(seconds)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def unprivileged() -> str | None:
    """Whom a server runs as that refuses to be root; None: whoever runs the tests will do."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)
