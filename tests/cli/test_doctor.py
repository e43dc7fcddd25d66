"""`tidemill doctor` in environments that lack one thing each."""

import json
import shutil
import socket
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tidemill.cli import checks_machine, checks_services
from tidemill.cli.console import main
from tidemill.core.home import HOME

Doctor = Callable[..., dict[str, Any]]
REDIS_YAML = """\
project: p
registry: {registry_type: sql, path: "sqlite:///${TIDEMILL_ROOT}/registry.db"}
online_store: {type: redis, connection_string: "${TIDEMILL_REDIS}"}
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which everything is well, without a real Java or JAR."""
    script(tmp_path / "java/bin/java", """echo 'openjdk version "17.0.9" 2023-10-17' >&2""")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    return tmp_path


@pytest.fixture
def doctor(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """The checks by name, and under `code` the exit code. The JARs are those of the tests."""

    def run(*words: str) -> dict[str, Any]:
        given = ("doctor", "--root", str(home / "var"), "--json", *words)
        monkeypatch.setattr("sys.argv", ["tidemill", *given])
        with pytest.raises(SystemExit) as ended:
            main()
        checks = json.loads(capsys.readouterr().out)["checks"]
        return {"code": int(ended.value.code or 0), **{check["what"]: check for check in checks}}

    return run


def test_a_sound_environment(home: Path, doctor: Doctor) -> None:
    (home / "var").mkdir()
    found = doctor()
    assert [name for name, check in found.items() if name != "code" and not check["ok"]] == []
    assert found["code"] == 0
    assert found["Java"]["said"] == f"Java 17 at {home / 'java'}"
    assert found[f"{home}/var/landing/churn/activity/*.parquet"]["said"] == "nothing has landed there yet"
    assert found[f"{HOME}/feature_repo/../examples/cdnow/CDNOW_master.txt.gz"]["said"] == "it can be read"
    assert found["Feast registry"]["said"] == "it answers, and knows 0 use case(s)"
    assert [path.name for path in (home / "var").iterdir()] == ["feast"]  # which opening Feast's registry makes


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("""echo 'openjdk version "11.0.2" 2019-01-15' >&2""", "it is Java 11, at "),
        ("exit 1", "none starts at JAVA_HOME ("),
        ("echo nothing", "it is Java of no known version, at "),
    ],
)
def test_java_of_another_kind(home: Path, doctor: Doctor, says: str, said: str) -> None:
    script(home / "java/bin/java", says)
    found = doctor()
    assert found["Java"]["said"].startswith(said)
    assert found["code"] == found["Java"]["exit_code"] == 69
    assert "17 or 21" in found["Java"]["next"]


def test_a_python_that_workers_would_not_share(home: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", str(script(home / "python", "echo 3.9.1")))
    found = doctor()
    assert found["Python"]["said"].startswith("workers would have 3.9.1, the driver has 3.")
    assert found["code"] == 78
    monkeypatch.setenv("PYSPARK_PYTHON", str(home / "nothing"))
    assert "does not start" in doctor()["Python"]["said"]
    monkeypatch.delenv("PYSPARK_PYTHON")
    assert "not set" in doctor()["Python"]["said"]


def test_a_store_for_tables(home: Path, doctor: Doctor, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TABLES", f"s3://{bucket}/lake")
    found = doctor()
    assert found["tables"]["said"] == f"s3://{bucket}/lake: an object can be written there, and deleted"
    assert found["JARs of jars-s3.lock"]["ok"]
    assert found["code"] == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("TIDEMILL_S3_JARS", str(home))
    found = doctor()
    assert (found["tables"]["exit_code"], found["JARs of jars-s3.lock"]["exit_code"]) == (75, 78)


def test_jars_that_are_missing_or_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"# JARs\n{'0' * 64}  a.jar\n", encoding="utf-8")
    monkeypatch.setenv("TIDEMILL_JARS", str(tmp_path))
    assert checks_machine.jars(lock).said == f"a.jar is not in {tmp_path}"
    (tmp_path / "a.jar").write_bytes(b"")
    assert checks_machine.jars(lock).said == f"{tmp_path / 'a.jar'} is not the locked file"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    lock.write_text(f"{empty}  a.jar\n", encoding="utf-8")
    assert checks_machine.jars(lock).said == f"all that jars.lock names, in {tmp_path}"


def test_places_that_cannot_be_written_or_read(home: Path, doctor: Doctor) -> None:
    (home / "var").write_text("a file in the folder's place", encoding="utf-8")
    found = doctor()
    assert found[str(home / "var")]["said"] == "nothing can be written there: Not a directory"
    assert found["code"] == 74
    (home / "var").unlink()
    assert doctor("--repo", str(home / "nowhere"))[str(home / "nowhere")]["exit_code"] == 64


def test_landed_files_that_cannot_be_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks_machine.landing(f"{home}/landing/*.csv").said == "nothing has landed there yet"
    (home / "landing").mkdir()
    (home / "landing" / "a.csv").write_text("a", encoding="utf-8")
    assert checks_machine.landing(f"{home}/landing/*.csv").said == "it can be read"
    monkeypatch.setattr("os.access", lambda path, _: path.name != "a.csv")
    found = checks_machine.landing(f"{home}/landing/*.csv")
    assert (found.said, int(found.code)) == (f"{home}/landing/a.csv cannot be read", 74)


def test_services_that_do_not_answer(home: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "var").mkdir()
    repo = home / "repo"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text(REDIS_YAML, encoding="utf-8")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setenv("TIDEMILL_REDIS", f"127.0.0.1:{port},password=word")
        found = checks_services.online_store(repo, HOME / "feature_repo", "feature_store.yaml", home / "var")
        assert (found.said, int(found.code)) == (f"redis at 127.0.0.1:{port} does not answer: Connection refused", 69)
        server.listen()
        found = checks_services.online_store(repo, HOME / "feature_repo", "feature_store.yaml", home / "var")
        assert found.said == f"redis at 127.0.0.1:{port} takes connections"
    monkeypatch.delenv("TIDEMILL_REDIS")
    found = checks_services.online_store(repo, HOME / "feature_repo", "feature_store.yaml", home / "var")
    assert (int(found.code), found.said) == (78, f"{repo / 'feature_store.yaml'} names no host and port")
    (home / "var" / "registry.db").write_text("no database", encoding="utf-8")
    found = checks_services.feature_registry(repo, HOME / "feature_repo", "feature_store.yaml", home / "var")
    assert (int(found.code), found.said.partition(":")[0]) == (69, "it cannot be read")
    shutil.rmtree(repo)
    missing = checks_services.feature_registry(repo, home, "feature_store.yaml", home / "var")
    assert int(missing.code) == 78


class Health(BaseHTTPRequestHandler):
    """Answers as MLflow's server does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_a_tracking_server(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        uri = f"http://127.0.0.1:{server.server_port}"
        answering = Thread(target=server.serve_forever)
        answering.start()
        try:
            assert checks_services.tracking(f"{uri}/", tmp_path).said == "the server answers"
            assert int(checks_services.tracking(f"{uri}/other", tmp_path).code) == 69
            with_password = uri.replace("//", "//ada:hush@")
            assert checks_services.tracking(with_password, tmp_path).said == "the server answers"
        finally:
            server.shutdown()
            answering.join()
    gone = checks_services.tracking(uri, tmp_path)
    assert (int(gone.code), "refused" in gone.said) == (69, True)
    assert checks_services.tracking("", tmp_path).said == "it can be made"


def test_a_clock_beside_that_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 90)
    found = checks_machine.clock(tmp_path)
    assert (int(found.code), found.said) == (78, f"files in {tmp_path} are stamped +90 s beside this machine's clock")


def test_a_cluster_without_its_variables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TIDEMILL_TRACKING", raising=False)
    monkeypatch.setattr("sys.argv", ["tidemill", "doctor", "--env", "standalone"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 78
    assert "the environment variable TIDEMILL_TRACKING is not set" in capsys.readouterr().err
