"""A Redis server of Debian's package, with a password, that keeps nothing on disk."""

import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis as Client
from redis.exceptions import ConnectionError as NotThere

from servers import process

if TYPE_CHECKING:
    import subprocess


class Redis:
    """A server with its log in one folder.

    Args:
        folder: for its log.
        program: the server's; it runs as whoever runs the tests.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.program = folder, program
        self.port = process.free_port()
        self.password = secrets.token_hex(12)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """What Feast's `connection_string` takes."""
        return f"{process.HOST}:{self.port},password={self.password}"

    def client(self) -> Client:
        """A client of its own."""
        return Client(host=process.HOST, port=self.port, password=self.password)

    def start(self) -> None:
        """Returns when it answers."""
        log = self.folder / "log"
        settings = {
            "port": str(self.port),
            "bind": process.HOST,
            "requirepass": self.password,
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._server = process.launch([str(self.program), *words], log, signal.SIGKILL)

        def answers() -> bool:
            try:
                with self.client() as client:
                    return bool(client.ping())
            except NotThere:
                return False

        process.await_start(self._server, log, answers)

    def stop(self) -> None:
        """Ends the server at once; its data are gone."""
        if self._server is not None:
            process.end(self._server, signal.SIGTERM)
            self._server = None
