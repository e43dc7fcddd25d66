"""An S3 of moto's in a process of its own, with objects in memory and conditional writes."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow.fs import FileSelector, FileType, S3FileSystem

from servers import process

# Without a line of log for each request.
PROGRAM = """
import logging, sys
from moto.server import main
logging.getLogger("werkzeug").setLevel(logging.ERROR)
main(["-H", sys.argv[1], "-p", sys.argv[2]])
"""


class S3:
    """A server with its log in one folder; whoever has the credentials may do everything.

    Args:
        folder: for its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = process.free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The environment by which all clients find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{process.HOST}:{self.port}",
            "AWS_ACCESS_KEY_ID": "tidemill",
            "AWS_SECRET_ACCESS_KEY": "of-no-use-elsewhere",
            "AWS_REGION": "eu-central-1",
        }

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        self.files().create_dir(name)

    def keys(self, bucket: str) -> list[str]:
        """The objects in a bucket, by their names in it."""
        found = self.files().get_file_info(FileSelector(bucket, recursive=True))
        return [info.path.partition("/")[2] for info in found if info.type is FileType.File]

    def files(self) -> S3FileSystem:
        """Arrow's client, which may make buckets."""
        said = self.variables
        return S3FileSystem(
            endpoint_override=said["AWS_ENDPOINT_URL"],
            access_key=said["AWS_ACCESS_KEY_ID"],
            secret_key=said["AWS_SECRET_ACCESS_KEY"],
            region=said["AWS_REGION"],
            allow_bucket_creation=True,
        )

    def start(self) -> None:
        """Returns when it answers."""
        log = self.folder / "log"
        command = [sys.executable, "-P", "-c", PROGRAM, process.HOST, str(self.port)]
        self._server = process.launch(command, log, signal.SIGKILL)

        def answers() -> bool:
            with socket.socket() as trial:
                return trial.connect_ex((process.HOST, self.port)) == 0

        process.await_start(self._server, log, answers)

    def stop(self) -> None:
        """Ends the server at once; its objects are gone."""
        if self._server is not None:
            process.end(self._server, signal.SIGTERM)
            self._server = None


@contextmanager
def loses_an_answer(server: S3, name: str) -> Iterator[str]:
    """The address of a way to the server, on which the answer to the first write of a name is lost.

    In a process of its own: clients in Rust may keep Python's other threads from running while they wait.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("lossy_way.py")), str(server.port), name]
    way = subprocess.Popen([*process.tied(signal.SIGKILL, None), *command], stdout=subprocess.PIPE, text=True)
    try:
        assert way.stdout is not None
        yield f"http://{process.HOST}:{int(way.stdout.readline())}"
    finally:
        way.terminate()
        said = way.communicate()[0]
    assert said.strip() == "lost"
