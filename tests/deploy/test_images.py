"""Image files without a container engine: how they are written, and that what they name exists and works outside."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from fnmatch import fnmatch
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from tidemill.cli.arguments import parse_arguments
from tidemill.cli.console import app
from tidemill.core.config import load_config
from tidemill.core.quiet import quiet
from tidemill.orchestration.dag import ORDER, OUTSIDE
from tidemill.serving.guard import PROBES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from servers.postgres import Postgres
    from servers.redis import Redis

HOME = Path(__file__).resolve().parents[2]
DEPLOY = HOME / "deploy"
PLACE = "/opt/tidemill"
DIGEST = "a" * 64
WATCH = ("node-exporter", "prometheus", "grafana")
ENVIRONMENT = {
    "PYTHON_DIGEST": "sha256:1",
    "POSTGRES_PASSWORD": "a",
    "REDIS_PASSWORD": "b",
    "GRAFANA_PASSWORD": "c",
    "SERVICE_KEY_SHA256": DIGEST,
    "SERVICE_KEY_FILE": "/key",
}


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile, lines joined."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found[rest.rpartition(" AS ")[2]] = []
        found[list(found)[-1]].append((word, rest.strip()))
    return found


def words(stage: str, instruction: str) -> list[str]:
    """The list of an instruction in JSON's form."""
    text = next(rest for word, rest in stages()[stage] if word == instruction)
    found: list[str] = json.loads(text[text.index("[") :])
    return found


@cache
def compose() -> dict[str, Any]:
    """The compose file with the environment put in."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    text = re.sub(r"\$\{(\w+):\?\}", lambda found: ENVIRONMENT[found.group(1)], text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert "${" not in text
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def check_command(entrypoint: Sequence[str], command: Sequence[str]) -> None:
    """Reads a command as the program would that it calls; an option that it does not know is an error."""
    first, *rest = command
    if list(entrypoint) == ["./spark-submit.sh"]:
        assert first in {*ORDER, *OUTSIDE, "pipeline"}
        found = parse_arguments(first, rest)
        load_config(HOME / "conf", found.env, found.set)
    elif list(entrypoint) == ["./tidemill"]:
        group: Any = typer.main.get_command(app)
        given = group.commands[first].make_context(first, list(rest)).params
        load_config(HOME / "conf", given.get("env", "local"), given.get("sets") or ())
    else:
        assert list(entrypoint) == [f"{PLACE}/.venv/bin/mlflow"]
        with quiet():
            from mlflow.cli import cli

            cli.commands[first].make_context(first, list(rest))


def test_every_stage_is_pinned_unprivileged_and_says_how_it_is() -> None:
    made = stages()
    assert list(made) == ["", "service", "jobs", "start", "spark"]
    assert made["service"][0] == ("FROM", "${BASE}@${DIGEST} AS service")
    assert made["jobs"][0] == ("FROM", "service AS jobs")
    assert made["start"] == [("FROM", "${SPARK_BASE}@${SPARK_DIGEST} AS start")]
    assert made["spark"][0] == ("FROM", "jobs AS spark")
    assert {("ARG", "DIGEST"), ("ARG", "SPARK_DIGEST")} <= {*made[""]}
    for name in ("service", "jobs", "spark"):
        instructions = [word for word, _ in made[name]]
        assert [rest for word, rest in made[name] if word == "USER"][-1] == "tidemill"
        assert "HEALTHCHECK" in instructions
        assert "ADD" not in instructions
        everything = " ".join(rest for _, rest in made[name])
        assert not re.search(r"latest|curl|wget|sudo|chmod 777|password|secret|token", everything)


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    sent = [line[1:] for line in (HOME / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = []
    for name in ("service", "jobs"):
        for word, rest in stages()[name]:
            if word == "COPY":
                copied += [part for part in rest.split() if not part.startswith("--")][:-1]
    assert sorted(copied) == sorted(sent)
    assert [name for name in copied if not (HOME / name).exists()] == []


def test_what_is_copied_is_enough_for_the_command(tmp_path: Path) -> None:
    for word, rest in stages()["service"]:
        if word == "COPY":
            *sources, to = [part for part in rest.split() if not part.startswith("--")]
            for name in sources:
                if (HOME / name).is_dir():
                    shutil.copytree(HOME / name, tmp_path / to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(HOME / name, tmp_path / to)
    (tmp_path / "var" / "lake").mkdir(parents=True)
    code = f"import sys; sys.argv[1:] = {words('service', 'CMD')!r}\nfrom tidemill.cli.console import main; main()"
    for root, said in (("nowhere", (66, "E_NO_ROOT")), ("var", (78, "E_OPEN"))):  # there is no key yet
        done = subprocess.run(
            [sys.executable, "-P", "-c", code.replace("/var/lib/tidemill", str(tmp_path / root))],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "lib")},
            cwd=tmp_path,
        )
        assert (done.returncode, done.stderr.split()[1]) == said


def test_the_image_for_executors_has_spark_and_the_jars_where_it_says() -> None:
    made = dict(re.findall(r"ln -s (\S+) (\S+)", " ".join(rest for word, rest in stages()["spark"] if word == "RUN")))
    assert set(made.values()) == {"jars", "spark"}
    (home,) = [link for link, name in made.items() if name == "spark"]
    version = home.removeprefix(".venv/lib/").partition("/")[0]
    assert ("ARG", f"BASE={version.replace('python', 'python:')}-slim-bookworm") in stages()[""]
    import pyspark

    assert (Path(pyspark.__file__).parent / "bin" / "spark-class").is_file()
    (spark,) = [rest for word, rest in stages()[""] if word == "ARG" and rest.startswith("SPARK_BASE=")]
    assert spark == f"SPARK_BASE=apache/spark:{pyspark.__version__}"
    (application,) = yaml.safe_load_all((DEPLOY / "kubernetes" / "spark-application.yaml").read_text("utf-8"))
    settings = (HOME / "conf" / "spark" / "kubernetes.conf").read_text("utf-8")
    assert application["spec"]["image"] == "tidemill-spark:latest"
    assert re.search(r"^spark\.kubernetes\.container\.image\s+tidemill-spark:latest$", settings, re.MULTILINE)
    classes = {f"spark.{who}.extraClassPath": f"{PLACE}/jars/*" for who in ("driver", "executor")}
    assert classes.items() <= application["spec"]["sparkConf"].items()


@pytest.mark.parametrize("stage", ["service", "jobs"])
def test_an_image_starts_a_program_of_this_project(stage: str) -> None:
    entrypoint = words(stage, "ENTRYPOINT")
    assert os.access(HOME / entrypoint[0], os.X_OK)
    check_command(entrypoint, words(stage, "CMD"))
    for word, rest in stages()[stage]:
        if word == "RUN" and rest.startswith("./"):
            program, *arguments = rest.split()
            check_command([program], arguments)


class Answering(BaseHTTPRequestHandler):
    """A service that is well, or not."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path in {"/healthz", "/health"} else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def answering() -> Iterator[int]:
    """A port on which it listens."""
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_health_checks_tell_well_from_ill(answering: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [words("service", "HEALTHCHECK"), compose()["services"]["mlflow"]["healthcheck"]["test"][1:]]
    for check in checks:
        assert check[0] == f"{PLACE}/.venv/bin/python"
        code = re.sub(r":(8000|5000)/", f":{answering}/", check[2])
        for status, ended in ((200, 0), (503, 1)):
            monkeypatch.setattr(Answering, "status", status)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
            assert done.returncode == ended


def test_services_start_programs_with_options_that_they_have() -> None:
    for name in ("jobs", "service", "mlflow"):
        service = compose()["services"][name]
        assert service["build"]["target"] in stages()
        entrypoint = service.get("entrypoint") or words(service["build"]["target"], "ENTRYPOINT")
        check_command(entrypoint, service["command"])
    settings = load_config(HOME / "conf", "local", (f"serve.keys.demo={DIGEST}", "serve.hosts=[a, b]")).serve
    assert settings.keys == {"demo": DIGEST}


def test_the_service_on_kubernetes_is_called_by_its_name_and_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "kubernetes" / "service.yaml").read_text("utf-8")
    deployment, service = yaml.safe_load_all(text)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    # What the environment's files ask for has to be in the Secret that the manifest names.
    cluster = ("conf/cluster.yaml", "feature_repo/feature_store.cluster.yaml")
    asked = {name for file in cluster for name in re.findall(r"\$\{(\w+)\}", (HOME / file).read_text("utf-8"))}
    assert asked == {"TIDEMILL_TRACKING", "TIDEMILL_FEAST_REGISTRY", "TIDEMILL_REDIS"}
    assert all(name in text for name in asked)
    assert container["envFrom"] == [{"secretRef": {"name": "tidemill"}}]
    for name in asked:
        monkeypatch.setenv(name, f"http://{name.lower()}")
    arguments = [text.replace("$(SERVICE_KEY_SHA256)", DIGEST) for text in container["args"]]
    check_command(words("service", "ENTRYPOINT"), arguments)
    options = list(itertools.pairwise(arguments))
    (env,) = [value for option, value in options if option == "--env"]
    assert (HOME / "conf" / "spark" / f"{env}.conf").is_file()  # else ./tidemill refuses it
    found = load_config(HOME / "conf", env, tuple(value for option, value in options if option == "--set"))
    assert found.services.tracking == "http://tidemill_tracking"
    assert (found.serve.keys, found.serve.pages) == ({"team": DIGEST}, False)
    name, namespace = (service["metadata"][part] for part in ("name", "namespace"))
    called = {name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"}
    assert set(found.serve.hosts) == called
    assert {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")} == {*PROBES}
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    assert container["image"] == f"{name}:{project['version']}"


def test_models_are_kept_by_the_server_and_reached_through_it() -> None:
    services = compose()["services"]
    for name in ("jobs", "service"):
        sets = [value for option, value in itertools.pairwise(services[name]["command"]) if option == "--set"]
        tracking = load_config(HOME / "conf", "local", tuple(sets)).services.tracking
        assert tracking == f"http://mlflow:{services['mlflow']['ports'][0].rpartition(':')[2]}"
    store = services["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]
    database = re.fullmatch(r"postgresql\+psycopg://tidemill:a@postgres:5432/(\w+)", store)
    assert database is not None
    assert f"create database {database[1]};" in (DEPLOY / "postgres.sql").read_text("utf-8").splitlines()
    allowed = dict(itertools.pairwise(services["mlflow"]["command"]))["--allowed-hosts"].split(",")
    assert "mlflow:5000" in allowed


def test_services_are_pinned_watched_and_published_here_only() -> None:
    services = compose()["services"]
    assert set(services) == {
        "jobs",
        "service",
        "mlflow",
        "postgres",
        "redis",
        "kafka",
        "prometheus",
        "pushgateway",
        "alertmanager",
        "grafana",
        "node-exporter",
    }
    for name, service in services.items():
        assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.]*", service["image"]), name
        assert "healthcheck" in service or service.get("build", {}).get("target") in {"service", "jobs"}, name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not {"privileged", "network_mode", "pid"} & set(service), name
        for other in service.get("depends_on", {}):
            assert other in services
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in compose()["volumes"], volume


def test_prometheus_asks_the_service_and_grafana_asks_prometheus() -> None:
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    jobs, job, pushed = asked["scrape_configs"]
    services = compose()["services"]
    mounts = {
        name: dict(v.split(":")[:2][::-1] for v in services[name]["volumes"]) for name in services if name in WATCH
    }
    assert jobs["static_configs"] == [{"targets": ["node-exporter:9100"]}]
    (folder,) = [w.partition("directory=")[2] for w in services["node-exporter"]["command"] if "directory" in w]
    assert (folder, mounts["node-exporter"]) == ("/var/lib/tidemill/metrics", {"/var/lib/tidemill": "state"})
    rules = {Path(to).name for to in mounts["prometheus"] if fnmatch(to, asked["rule_files"][0])}
    assert rules == {path.name for path in (HOME / "conf" / "prometheus").iterdir()}
    (provider,) = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yaml").read_text("utf-8"))["providers"]
    dashboards = {
        to: at for to, at in mounts["grafana"].items() if Path(to).parent == Path(provider["options"]["path"])
    }
    boards = [path.name for path in (HOME / "conf" / "grafana").iterdir()]
    assert dashboards == {f"/etc/grafana/dashboards/{name}": f"../conf/grafana/{name}" for name in boards}
    assert (job["metrics_path"], job["static_configs"]) == ("/metrics", [{"targets": ["service:8000"]}])
    assert pushed["static_configs"] == [{"targets": ["pushgateway:9091"]}]
    (alerting,) = asked["alerting"]["alertmanagers"]
    assert alerting["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    told = yaml.safe_load((HOME / "conf" / "alertmanager" / "alertmanager.yml").read_text("utf-8"))
    (chat,) = [sent for receiver in told["receivers"] for sent in receiver["slack_configs"]]
    assert chat["api_url_file"] == f"/run/secrets/{services['alertmanager']['secrets'][0]}"
    (secret,) = compose()["services"]["prometheus"]["secrets"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": f"/run/secrets/{secret}"}
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_the_feature_store_of_the_demo_opens(
    postgres: Postgres, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tidemill.features.feast_store import open_store

    text = (DEPLOY / "feature_store.yaml").read_text("utf-8")
    text = text.replace("postgres:5432/feast", f"127.0.0.1:{postgres.port}/{postgres.database}")
    text = text.replace("redis:6379", f"127.0.0.1:{redis.port}")
    (tmp_path / "feature_store.yaml").write_text(text, "utf-8")
    monkeypatch.setenv("POSTGRES_PASSWORD", postgres.password)
    monkeypatch.setenv("REDIS_PASSWORD", redis.password)
    store = open_store(tmp_path / "feature_store.yaml", tmp_path)
    assert store.list_feature_views() == []
    assert store._get_provider().online_store._get_client(store.config.online_store).ping()
    for engine in {
        store.registry.write_engine,
        store.registry.read_engine,
    }:  # Feast leaves them open
        engine.dispose()
