"""Every file that carries the project to other machines: executed, or held against what it speaks of."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tidemill.cli.arguments import parse_arguments
from tidemill.core.errors import Exit
from tidemill.core.home import HOME
from tidemill.orchestration.dag import FLOWS, ORDER, flow_named
from tidemill.orchestration.kubernetes import ENVIRONMENT, cron_job
from tidemill.orchestration.steps import RETRIED, Target

DEPLOY = HOME / "deploy"
CI = sorted(DEPLOY.glob("ci/*.yaml"))
MANIFESTS = sorted(DEPLOY.glob("kubernetes/*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text(encoding="utf-8")) if found]


def inside(value: Any) -> list[Any]:
    """A value and all values in it."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for child in children for found in inside(child))]


def scripts(path: Path) -> list[str]:
    """What a template has its machines run."""
    found = []
    for value in inside(yaml.safe_load(path.read_text(encoding="utf-8"))):
        if isinstance(value, dict):
            found += [value[key] for key in ("run", "script") if isinstance(value.get(key), str)]
            found += value["script"] if isinstance(value.get("script"), list) else []
    return found


def test_there_is_no_file_that_no_test_knows() -> None:
    known = {"ci": {"github.yaml", "gitlab.yaml", "azure.yaml"}, "local": {"services.sh", "cluster.sh", "trial.sh"}}
    known["kubernetes"] = {"base.yaml", "flows.yaml", "service.yaml", "spark-application.yaml"}
    assert {folder: {path.name for path in (DEPLOY / folder).iterdir()} for folder in known} == known


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: path.stem)
def test_scripts_can_be_read_by_the_shell(path: Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("name", ["services", "cluster", "trial"])
def test_scripts_of_local_services_say_what_they_want(name: str) -> None:
    done = subprocess.run(
        [str(DEPLOY / f"local/{name}.sh"), "begin"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (64, "error: E_USAGE start or stop has to be said")


# ------------------------------------------------------------------------------------------------------- CI templates


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_a_template_runs_what_there_is(path: Path) -> None:
    found = scripts(path)
    text = "\n".join(found)
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    commands = set(re.findall(r"(?:\./|deploy/)[\w./-]+\.sh", text))
    assert commands == {"./test.sh", "./spark-submit.sh", "deploy/package.sh"}
    assert all(os.access(HOME / command, os.X_OK) for command in commands)
    assert "./test.sh --no-skips" in found  # as .ci/run does
    submitted = re.findall(r"\./spark-submit\.sh (\S+) (.*?)(?:; done|$)", text, re.MULTILINE)
    assert [job for job, _ in submitted] == ['"$job"', "promote"]
    for _, words in submitted:
        assert parse_arguments("promote", shlex.split(words)).root == "$TIDEMILL_STATE"
    (loop,) = re.findall(r"for job in (.*?); do", text)
    assert (*loop.split(), "promote") == flow_named("monthly_retraining").jobs
    assert found[-1].startswith("kubectl --namespace tidemill rollout restart deployment/tidemill-service")


def test_schedules_of_the_templates_are_that_of_the_flow() -> None:
    crons = {p.stem: [v["cron"] for v in inside(documents(p)) if isinstance(v, dict) and "cron" in v] for p in CI}
    monthly = flow_named("monthly_retraining").cron
    assert crons == {"github": [monthly], "azure": [monthly], "gitlab": []}  # GitLab keeps schedules beside the file


def test_nothing_is_promoted_before_a_person_lets_it() -> None:
    azure, github, gitlab = (yaml.safe_load(path.read_text("utf-8")) for path in CI)
    assert github["jobs"]["promote"]["environment"] == "production"
    assert gitlab["promote"]["rules"][0]["when"] == "manual"
    assert gitlab["promote"]["allow_failure"] is False
    assert azure["stages"][3]["jobs"][0]["environment"] == "production"


# --------------------------------------------------------------------------------------------------------- Kubernetes


def test_manifests_speak_of_one_another() -> None:
    found = [document for path in MANIFESTS for document in documents(path)]
    assert all({"apiVersion", "kind", "metadata"} <= document.keys() for document in found)
    names = {(document["kind"], document["metadata"]["name"]) for document in found}
    assert len(names) == len(found)
    assert {d["metadata"].get("namespace") for d in found if d["kind"] != "Namespace"} == {"tidemill"}
    values = [value for value in inside(found) if isinstance(value, dict)]
    claims = {value["persistentVolumeClaim"]["claimName"] for value in values if "persistentVolumeClaim" in value}
    assert {("PersistentVolumeClaim", claim) for claim in claims} <= names
    accounts = {v[k] for v in values for k in ("serviceAccountName", "serviceAccount") if k in v}
    assert {("ServiceAccount", account) for account in accounts} <= names
    for value in values:
        if "volumeMounts" in value:
            assert {mount["name"] for mount in value["volumeMounts"]} == {"root"}
    service = next(d for d in found if d["kind"] == "Service")
    deployment = next(d for d in found if d["kind"] == "Deployment")
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]


def test_the_secret_has_what_the_environment_asks_for() -> None:
    asked = {"SERVICE_KEY_SHA256"}
    for name in ("conf/cluster.yaml", "feature_repo/feature_store.cluster.yaml"):
        asked |= {*re.findall(r"\$\{(\w+)\}", (HOME / name).read_text("utf-8"))}
    said = re.findall(r"--from-literal=(\w+)=", (DEPLOY / "kubernetes/base.yaml").read_text("utf-8"))
    assert {*said} == asked


def test_flows_on_kubernetes_are_the_flows() -> None:
    target = Target("/opt/tidemill/spark-submit.sh", "/var/lib/tidemill", env=ENVIRONMENT)
    assert documents(DEPLOY / "kubernetes/flows.yaml") == [cron_job(flow, target) for flow in FLOWS]
    for flow in FLOWS:
        spec = cron_job(flow, target)["spec"]
        job = spec["jobTemplate"]["spec"]
        pod = job["template"]["spec"]
        ran = [c["name"].replace("-", "_") for c in (*pod["initContainers"], *pod["containers"])]
        assert ran == list(flow.jobs)
        assert all(ran.index(a) < ran.index(b) for a, b in flow.edges)
        assert (spec["schedule"], spec["suspend"]) == (flow.cron or "0 0 1 1 *", flow.cron is None)
        (rule,) = job["podFailurePolicy"]["rules"]
        assert {*rule["onExitCodes"]["values"]} == {*Exit} - {Exit.OK} - RETRIED
        assert job["backoffLimit"] == 2


def test_a_container_runs_the_command_of_its_step(tmp_path: Path) -> None:
    submit = tmp_path / "a folder" / "spark-submit.sh"
    submit.parent.mkdir()
    submit.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    submit.chmod(0o755)
    flow, target = flow_named("daily_scoring"), Target(str(submit), "/data/var")
    (last,) = cron_job(flow, target)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    day = subprocess.run(["date", "-u", "+%F"], capture_output=True, text=True, check=True).stdout.strip()
    done = subprocess.run(last["command"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == target.command("score", day)[1:]


def test_the_spark_application_is_a_job_with_the_settings_of_its_environment() -> None:
    (made,) = documents(DEPLOY / "kubernetes/spark-application.yaml")
    spec = made["spec"]
    lines = (HOME / "conf/spark/kubernetes.conf").read_text("utf-8").splitlines()
    settings = dict(line.split(None, 1) for line in lines if line.startswith("spark."))
    shared = {name: value for name, value in spec["sparkConf"].items() if not name.endswith("extraClassPath")}
    assert {name: settings[name] for name in shared} == shared
    assert spec["executor"]["memory"] == settings["spark.executor.memory"]
    assert spec["executor"]["memoryOverhead"] == settings["spark.executor.memoryOverhead"]
    file = spec["mainApplicationFile"].removeprefix("local:///opt/tidemill/")
    assert (HOME / file).is_file()
    assert Path(file).stem in ORDER
    found = parse_arguments(Path(file).stem, spec["arguments"])
    assert (found.env, found.root) == ("kubernetes", spec["driver"]["volumeMounts"][0]["mountPath"])
    assert f"pyspark=={spec['sparkVersion']}" in (HOME / "requirements.lock").read_text("utf-8")


# ---------------------------------------------------------------------------------------- wheel, zip, bill of materials


def check_installed(folder: Path, wheel: Path) -> None:
    """That an unpacked wheel, and nothing of this checkout, plans a pipeline and knows its environments."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "installed")
        entry_points = file.read("tidemill-0.1.0.dist-info/entry_points.txt").decode()
    assert "tidemill-job = tidemill.cli.entry:main" in entry_points.splitlines()
    (folder / "elsewhere").mkdir()
    services = dict.fromkeys(("TIDEMILL_TRACKING", "TIDEMILL_FEAST_REGISTRY", "TIDEMILL_REDIS"), "http://there")
    alone = {"PYTHONPATH": str(folder / "installed"), "PATH": os.environ["PATH"], **services}

    def said(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-P", "-m", *words]
        done = subprocess.run(
            command, env=alone, cwd=folder / "elsewhere", capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    planned = said("tidemill.cli.entry", "pipeline", "--use-case", "retail", "--env", "databricks", "--dry-run")
    assert planned == (0, planned[1], "")
    assert planned[1].startswith("pipeline would run ingest, refine, ")
    code, _, error = said("tidemill.cli.entry", "pipline")
    assert (code, error.splitlines()[0]) == (64, "error: E_USAGE there is no job 'pipline'")
    assert "did you mean 'pipeline'?" in error
    where = "from tidemill.core.home import *; print(HOME, STATE, *job_command('train')[1:])"
    found = subprocess.run(
        [sys.executable, "-P", "-c", where], env=alone, cwd=folder, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [str(folder / "installed/tidemill/home"), "var", "-m", "tidemill.cli.entry", "train"]


def test_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(DEPLOY / "package.sh")],
        env=os.environ | {"TIDEMILL_DIST": str(tmp_path / "dist")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "dist").iterdir())
    assert made == ["bill-of-materials.cdx.json", "tidemill-0.1.0-py3-none-any.whl", "tidemill.zip"]
    with zipfile.ZipFile(tmp_path / "dist/tidemill.zip") as file:
        names = set(file.namelist())
        assert {info.date_time[0] for info in file.infolist()} == {2020}
    sources = {str(path.relative_to(HOME / "lib")) for path in (HOME / "lib/tidemill").rglob("*.py")}
    assert sources <= names
    assert {name.split("/")[0] for name in names} == {"tidemill", "tidemill-0.1.0.dist-info"}
    for name in ("conf", "jobs", "feature_repo"):
        here = {str(path.relative_to(HOME)) for path in (HOME / name).rglob("*") if path.is_file()}
        assert {f"tidemill/home/{path}" for path in here if "__pycache__" not in path} <= names
    check_installed(tmp_path, tmp_path / "dist/tidemill-0.1.0-py3-none-any.whl")
    ask = "import tidemill.core.time, tidemill.orchestration.dag; print(tidemill.__file__)"
    alone = {"PYTHONPATH": str(tmp_path / "dist/tidemill.zip"), "PATH": os.environ["PATH"]}
    told = subprocess.run(
        [sys.executable, "-S", "-c", ask], env=alone, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(str(tmp_path / "dist/tidemill.zip"))


def test_the_bill_of_materials_has_every_locked_part_and_digest() -> None:
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "bill_of_materials.py"), str(HOME)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["name"] == "tidemill"
    lock, *jars = ((HOME / name).read_text("utf-8") for name in ("requirements.lock", "jars.lock", "jars-s3.lock"))
    digests = {digest["content"] for part in found["components"] for digest in part["hashes"]}
    assert digests == {
        *re.findall(r"sha256:([0-9a-f]{64})", lock),
        *re.findall(r"^([0-9a-f]{64}) ", "\n".join(jars), re.MULTILINE),
    }
    purls = [part["purl"] for part in found["components"]]
    assert len(purls) == len(set(purls))
    assert {"pkg:pypi/pyspark@4.2.0", "pkg:maven/io.delta/delta-spark_4.2_2.13@4.4.0"} <= set(purls)
    assert all(part["hashes"] for part in found["components"])
