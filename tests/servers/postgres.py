"""A PostgreSQL server of Debian's package, with an empty database and a user with a password."""

import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from servers import process


class Postgres:
    """A server with its data in one folder, which must be below a path that everyone may enter."""

    user = "tidemill"
    database = "postgres"

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.port = process.free_port()
        # New each time, so that a test can look for it where it must not stand: in logs, records, reports.
        self.password = secrets.token_hex(12)
        self._owner = process.unprivileged()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def conninfo(self) -> str:
        """What `psycopg.connect` takes."""
        return (
            f"host={process.HOST} port={self.port} dbname={self.database} user={self.user} password={self.password}"
            " connect_timeout=5"
        )

    @property
    def jdbc_url(self) -> str:
        """Address of the database for JDBC, without user and password."""
        return f"jdbc:postgresql://{process.HOST}:{self.port}/{self.database}"

    @property
    def jdbc_options(self) -> dict[str, Any]:
        """What `spark.read.format("jdbc").options(**...)` needs besides `dbtable` or `query`."""
        driver = "org.postgresql.Driver"
        return {"url": self.jdbc_url, "user": self.user, "password": self.password, "driver": driver}

    def start(self) -> None:
        """Makes the database in the first call; returns when it answers."""
        import psycopg

        log, data = self.folder / "log", self.folder / "data"
        if not data.exists():
            self._make(data)
        settings = {
            "port": self.port,
            "listen_addresses": process.HOST,
            "unix_socket_directories": "",  # their paths must be short, and nobody needs them
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 20,
            "shared_buffers": "16MB",
            "timezone": "UTC",
            "lc_messages": "C",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(data), *words]
        self._server = process.launch(command, log, signal.SIGQUIT, self._owner)

        def answers() -> bool:
            try:
                psycopg.connect(self.conninfo).close()
            except psycopg.OperationalError:
                return False
            return True

        process.await_start(self._server, log, answers)

    def stop(self) -> None:
        """Ends the server at once, its connections too; the data stay."""
        if self._server is not None:
            process.end(self._server, signal.SIGINT)
            self._server = None

    def _make(self, data: Path) -> None:
        self.folder.chmod(0o700)
        password = self.folder / "password"
        password.write_text(self.password, encoding="utf-8")
        if self._owner is not None:
            owner = pwd.getpwnam(self._owner)
            for path in (self.folder, password):
                shutil.chown(path, owner.pw_uid, owner.pw_gid)
        command = [
            *process.tied(signal.SIGKILL, self._owner),
            str(self.programs / "initdb"),
            f"--pgdata={data}",
            f"--username={self.user}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        made = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        password.unlink()
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
