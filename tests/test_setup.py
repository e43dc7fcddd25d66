"""The set-up scripts against fakes: no network, no real installation, no JVM."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

REPO = Path(__file__).parents[1]
LUIGI = "tests/orchestration/locks/luigi.lock"
TOOLS = """
    awk bash cat chmod cp cut dirname env flock grep head id ln ls mkdir mktemp mv readlink rm sed sh sha256sum sleep
    touch uname
""".split()  # noqa: SIM905

# What any call of an interpreter does here: it is logged, and then does as little as its caller can live with.
PYTHON = r"""#!/usr/bin/env bash
echo "$*" >>"$CALLS"
version=$(cat "$(dirname "${BASH_SOURCE[0]}")/version" 2>/dev/null || echo 3.11)
case "$*" in
  *'print("%d.%d"'*) echo "$version" ;;
  *"import pip") [ ! -e "$TREE/no-pip" ] ;;
  *"-m ensurepip") exit 1 ;;
  "-I -m venv "*)
    mkdir -p "$4/bin" "$4/lib/python3.11/site-packages/pyspark/jars"
    touch "$4/pyvenv.cfg"
    cp "${BASH_SOURCE[0]}" "$4/bin/python"
    rm -f "$TREE/no-pip"
    for tool in ruff mypy lint-imports tidemill; do
      printf '#!/bin/sh\necho "%s $*" >>"$CALLS"\n[ ! -e "$TREE/%s-fails" ]\n' "$tool" "$tool" >"$4/bin/$tool"
      chmod +x "$4/bin/$tool"
    done
    ;;
  *" install "*) if [ -e "$TREE/pip-says" ]; then . "$TREE/pip-says"; fi ;;
  *"-m pytest"*" servers") env ;;
  *--junit-xml=*) for word; do case $word in --junit-xml=*) cp "$TREE/junit.xml" "${word#*=}" ;; esac; done ;;
  "-P - "*) exit 1 ;;
  "-P "*/jobs/*) env ;;
esac
"""

# Ivy's part: it leaves two files in the folder that it is told.
JAVA = r"""#!/usr/bin/env bash
echo "java $*" >>"$CALLS"
while [ $# -gt 1 ]; do
  if [ "$1" = -retrieve ]; then folder=$(dirname "$2"); fi
  shift
done
echo delta >"$folder/io.delta_delta-spark_4.2_2.13-4.4.0.jar"
cat "$TREE/second.jar" >"$folder/second.jar"
"""


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@dataclass
class Tree:
    """A copy of the scripts in a folder of its own, with fakes for everything they would install or start."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls.log"
        return log.read_text().splitlines() if log.exists() else []

    def forget_calls(self) -> None:
        (self.root / "calls.log").unlink(missing_ok=True)

    def environment(self, **changed: str) -> dict[str, str]:
        return {
            "PATH": str(self.root / "bin"),
            "CALLS": str(self.root / "calls.log"),
            "TREE": str(self.root),
            "TIDEMILL_JAVA_DIRS": str(self.root / "jvm"),
            "TIDEMILL_POSTGRES_DIRS": str(self.root / "postgres"),
            "TIDEMILL_TEMPLATES": str(self.root / "templates"),
            **self.variables,
            **changed,
        }

    def run(self, *command: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / command[0]), *command[1:]],
            env=self.environment(**changed),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / command[0]), *command[1:]],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def java(self, name: str, version: str, modules: str = "java.base jdk.incubator.vector") -> Path:
        home = self.root / "jvm" / name
        write(home / "release", f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\n')
        write(home / "bin" / "java", JAVA, 0o755)
        return home


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "it's a tree"
    scripts = (
        "spark-submit.sh",
        "test.sh",
        "tidemill",
        "lib/setup.sh",
        "lib/servers.sh",
        "lib/environments.sh",
        "bench.sh",
    )
    for name in (*scripts, "conf/ivy.xml", "conf/ivysettings.xml", "tests/servers/kafka.xml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, root / name)
    shutil.copytree(REPO / "conf/spark", root / "conf/spark")
    for job in ("ingest", "build_features", "train", "_private"):
        write(root / f"jobs/{job}.py", f'"""The job {job}."""\n')
    write(root / "pyproject.toml", '[project]\nversion = "1"\n[dependency-groups]\n[tool.x]\n')
    write(root / LUIGI, "luigi==1 \\\n    --hash=sha256:00\n")
    write(root / "requirements.lock", "setuptools==1 \\\n    --hash=sha256:00\nsix==1.17.0 \\\n    --hash=sha256:01\n")
    write(
        root / "requirements-dev.lock", "setuptools==1 \\\n    --hash=sha256:00\npytest==9 \\\n    --hash=sha256:02\n"
    )
    write(root / "second.jar", "second\n")
    write(
        root / "jars.lock",
        "# comment\n"
        f"{sha256(b'delta' + bytes([10])).hexdigest()}  io.delta_delta-spark_4.2_2.13-4.4.0.jar\n"
        f"{sha256(b'second' + bytes([10])).hexdigest()}  second.jar\n",
    )
    write(root / "jars-s3.lock", f"{sha256(b'second' + bytes([10])).hexdigest()}  second.jar\n")
    write(root / "tests/servers/kafka.lock", f"{sha256(b'second' + bytes([10])).hexdigest()}  second.jar\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (root / "bin").mkdir(exist_ok=True)
            (root / "bin" / tool).symlink_to(found)
    write(root / "bin/python3.11", PYTHON, 0o755)
    made = Tree(root)
    made.java("java-17", "17.0.9")
    return made


def three_lines(stderr: str) -> tuple[str, str, str]:
    """The parts of an error, which is the last three lines and nothing after them."""
    error, where, following = stderr.splitlines()[-3:]
    assert error.startswith("error: E_")
    assert where.startswith("  where: ")
    assert following.startswith("  next: ")
    return error[len("error: ") :], where[len("  where: ") :], following[len("  next: ") :]


def variables(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


# ------------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["trian"], 'E_USAGE there is no job "trian"; did you mean "train"?'),
        (["build-feature"], 'E_USAGE there is no job "build-feature"; did you mean "build_features"?'),
        (["jobs/ingest.py"], 'E_USAGE there is no job "jobs/ingest.py"; did you mean "ingest"?'),
        (["_private"], 'E_USAGE there is no job "_private"'),
        (["zzzzzzzz"], 'E_USAGE there is no job "zzzzzzzz"'),
        (["a\nb"], 'E_USAGE there is no job "a b"'),
        (["--as-of", "2011-01-01"], "E_USAGE no job is named"),
        ([], "E_USAGE no job is named"),
        (["train", "--env", "prod"], 'E_USAGE there is no environment "prod"'),
        (["train", "--env=prod"], 'E_USAGE there is no environment "prod"'),
        (["train", "--env"], 'E_USAGE there is no environment ""'),
        (["train", "--env", "../local"], 'E_USAGE there is no environment "../local"'),
    ],
)
def test_a_mistyped_call_is_answered_before_any_set_up(tree: Tree, arguments: list[str], what: str) -> None:
    done = tree.run("spark-submit.sh", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (64, "", 3)
    said, where, following = three_lines(done.stderr)
    assert said == what
    assert "build_features, ingest, train" in following or "conf/spark/ has: databricks, kubernetes, local" in where
    assert tree.calls == []
    assert not (tree.root / ".cache").exists()


def test_with_json_the_error_is_also_one_line_of_json(tree: Tree) -> None:
    done = tree.run("spark-submit.sh", 'tr"ain', "--json")
    assert done.returncode == 64
    assert json.loads(done.stdout) == {
        "job": 'tr"ain',
        "status": "failed",
        "error": {
            "code": "E_USAGE",
            "what": 'there is no job "tr"ain"; did you mean "train"?',
            "where": "first argument of ./spark-submit.sh",
            "next": "name one of: build_features, ingest, train",
        },
    }
    assert done.stdout.count("\n") == 1
    assert len(done.stderr.splitlines()) == 3


def test_help_lists_the_jobs_and_needs_no_set_up(tree: Tree) -> None:
    done = tree.run("spark-submit.sh", "--help")
    assert (done.returncode, done.stderr, tree.calls) == (0, "", [])
    assert "  build_features   The job build_features.\n" in done.stdout
    assert "Environments (--env): databricks, kubernetes, local, pod, standalone, trial, yarn." in done.stdout


# ----------------------------------------------------------------------------------------------------------- Java


def test_without_java_the_error_names_what_to_install(tree: Tree) -> None:
    shutil.rmtree(tree.root / "jvm")
    done = tree.run("spark-submit.sh", "train", JAVA_HOME="")
    assert (done.returncode, done.stdout, tree.calls) == (69, "", [])
    what, where, following = three_lines(done.stderr)
    assert what == "E_JAVA no Java 17 or 21 was found, and only Debian and Ubuntu packages can be installed from here"
    assert str(tree.root / "jvm") in where
    assert "openjdk-17" in following


def test_java_is_not_installed_where_that_is_forbidden(tree: Tree) -> None:
    shutil.rmtree(tree.root / "jvm")
    write(tree.root / "bin/apt-get", '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\n', 0o755)
    done = tree.run("spark-submit.sh", "train", TIDEMILL_NO_INSTALL="1")
    assert done.returncode == 69
    assert three_lines(done.stderr)[0].endswith("TIDEMILL_NO_INSTALL forbids installing it")
    assert tree.calls == []


def test_java_is_installed_from_debian_where_that_is_allowed(tree: Tree) -> None:
    (tree.root / "jvm").rename(tree.root / "package")
    apt_get = """#!/bin/sh
        echo "apt-get $*" >>"$CALLS"
        case $* in *openjdk-21*) cp -r "$TREE/package" "$TREE/jvm" ;; *openjdk-17*) exit 100 ;; esac
    """
    write(tree.root / "bin/apt-get", apt_get, 0o755)
    write(tree.root / "bin/sudo", '#!/bin/sh\nshift\ncase $1 in true) ;; *) exec "$@" ;; esac\n', 0o755)
    done = tree.run("spark-submit.sh", "train")
    assert done.returncode == 0, done.stderr
    options = "install -y --no-install-recommends -o DPkg::Lock::Timeout=300"
    assert [call for call in tree.calls if call.startswith("apt-get")] == [
        "apt-get update",
        f"apt-get {options} openjdk-17-jre-headless",
        "apt-get update",
        f"apt-get {options} openjdk-21-jre-headless",
    ]


def test_a_newer_or_incomplete_java_does_not_win(tree: Tree) -> None:
    newest = tree.java("java-25", "25.0.1")
    tree.java("a-java-21", "21.0.2")
    tree.java("java-17-cut-down", "17.0.9", modules="java.base")
    (tree.root / "bin/java").symlink_to(newest / "bin/java")
    done = tree.run("spark-submit.sh", "train", JAVA_HOME=str(newest))
    assert variables(done.stdout)["JAVA_HOME"] == str(tree.root / "jvm/java-17")
    chosen = tree.run("spark-submit.sh", "train", JAVA_HOME=str(tree.root / "jvm/a-java-21"))
    assert variables(chosen.stdout)["JAVA_HOME"] == str(tree.root / "jvm/a-java-21")
    shutil.rmtree(tree.root / "jvm/java-17")
    second = tree.run("spark-submit.sh", "train", JAVA_HOME=str(newest))
    assert variables(second.stdout)["JAVA_HOME"] == str(tree.root / "jvm/a-java-21")


def test_the_console_command_does_without_java(tree: Tree) -> None:
    shutil.rmtree(tree.root / "jvm")
    done = tree.run("tidemill", "runs", "--limit", "3")
    assert done.returncode == 0, done.stderr
    assert tree.calls[-1] == "tidemill runs --limit 3"
    assert not any(call.startswith("java") for call in tree.calls)


# --------------------------------------------------------------------------------------------------------- Python


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_an_unsuitable_python_is_refused(tree: Tree, version: str) -> None:
    chosen = write(tree.root / "other/python", PYTHON, 0o755)
    write(tree.root / "other/version", version)
    done = tree.run("spark-submit.sh", "train", TIDEMILL_PYTHON=str(chosen))
    assert done.returncode == 78
    what, where, _ = three_lines(done.stderr)
    assert what == f"E_PYTHON Python 3.11, 3.12 or 3.13 is needed, and TIDEMILL_PYTHON is {version}"
    assert where == str(chosen)


def test_without_python_the_error_says_so(tree: Tree) -> None:
    (tree.root / "bin/python3.11").unlink()
    done = tree.run("spark-submit.sh", "train", TIDEMILL_NO_INSTALL="1")
    assert done.returncode == 78
    assert three_lines(done.stderr)[0].startswith("E_PYTHON no Python 3.11, 3.12 or 3.13 was found")


def test_an_environment_with_another_python_is_left_alone(tree: Tree) -> None:
    write(tree.root / ".venv/bin/python", PYTHON, 0o755)
    write(tree.root / ".venv/bin/version", "3.10")
    done = tree.run("spark-submit.sh", "train")
    assert done.returncode == 78
    assert three_lines(done.stderr)[0].startswith("E_PYTHON the virtual environment has Python 3.10")
    assert (tree.root / ".venv/bin/version").exists()


# ----------------------------------------------------------------------------------------------- set-up and its stamp


def installs(tree: Tree) -> list[str]:
    return [call.split("--progress-bar off ")[1].split("/")[0] for call in tree.calls if " install " in call]


EVERYTHING = [
    "--require-hashes -r ",
    "--require-hashes --no-build-isolation -r ",
    "--no-index --no-build-isolation -e ",
]


def test_the_second_start_does_nothing_but_start(tree: Tree) -> None:
    first = tree.run("spark-submit.sh", "train", "--as-of", "2011-01-01", "a b")
    assert first.returncode == 0, first.stderr
    assert installs(tree) == EVERYTHING
    assert "tidemill: set-up complete" in first.stderr
    tree.forget_calls()
    second = tree.run("spark-submit.sh", "train", "--as-of", "2011-01-01", "a b")
    assert (second.returncode, second.stderr) == (0, "")
    assert tree.calls == [f"-P {tree.root}/jobs/train.py --as-of 2011-01-01 a b"]


def test_whatever_is_installed_is_part_of_the_stamp(tree: Tree) -> None:
    def set_up_again() -> bool:
        tree.forget_calls()
        assert tree.run("spark-submit.sh", "train").returncode == 0
        return installs(tree) == EVERYTHING

    project = tree.root / "pyproject.toml"
    assert set_up_again()
    assert not set_up_again()
    write(project, project.read_text() + "# for some linter\n")
    assert not set_up_again()
    write(project, project.read_text().replace('version = "1"', 'version = "2"'))
    assert set_up_again()
    write(tree.root / "requirements.lock", "six==1.18.0 \\\n    --hash=sha256:03\n")
    assert set_up_again()
    (tree.root / ".venv/.tidemill-base").unlink()
    assert set_up_again()
    write(tree.root / ".venv/.tidemill-base", "something else\n")
    assert set_up_again()
    assert not set_up_again()


def test_an_environment_made_by_hand_is_completed(tree: Tree) -> None:
    subprocess.run(
        [tree.root / "bin/python3.11", "-I", "-m", "venv", tree.root / ".venv"], env=tree.environment(), check=True
    )
    write(tree.root / ".venv/mine", "")
    assert tree.run("spark-submit.sh", "train").returncode == 0
    assert installs(tree) == EVERYTHING
    assert (tree.root / ".venv/mine").exists()


@pytest.mark.parametrize("state", ["unfinished", "no pip", "moved", "broken"])
def test_an_unusable_environment_is_made_anew(tree: Tree, state: str) -> None:
    assert tree.run("spark-submit.sh", "train").returncode == 0
    environment = tree.root / ".venv"
    write(environment / "old", "")
    if state == "moved":
        environment.rename(tree.root / "elsewhere")
        tree.variables["TIDEMILL_VENV"] = str(tree.root / "elsewhere")
        environment = tree.root / "elsewhere"
    elif state == "broken":
        (environment / "bin/python").unlink()
        (environment / "bin/python").symlink_to("/no/such/python")
    else:
        (environment / ".tidemill-base").unlink()
        write(environment / ".tidemill-unfinished" if state == "unfinished" else tree.root / "no-pip", "")
    done = tree.run("spark-submit.sh", "train")
    assert done.returncode == 0, done.stderr
    assert not (environment / "old").exists()
    assert sorted(path.name for path in environment.glob(".tidemill*")) == [".tidemill-base"]


def test_a_folder_that_is_no_environment_is_never_deleted(tree: Tree) -> None:
    write(tree.root / "photos/one.jpg", "")
    done = tree.run("spark-submit.sh", "train", TIDEMILL_VENV=str(tree.root / "photos"))
    assert done.returncode == 78
    assert three_lines(done.stderr)[0] == "E_VENV this folder is not a virtual environment"
    assert (tree.root / "photos/one.jpg").exists()


@pytest.mark.parametrize(
    ("says", "status", "code"),
    [
        ("OSError: [Errno 28] No space left on device", 74, "E_DISK"),
        ("OSError: [Errno 13] Permission denied: 'x'", 74, "E_PERMISSION"),
        ("Temporary failure in name resolution", 69, "E_NETWORK"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", 69, "E_INTEGRITY"),
        ("something new", 69, "E_SETUP"),
    ],
)
def test_a_failed_installation_says_why_and_the_next_call_repairs_it(
    tree: Tree, says: str, status: int, code: str
) -> None:
    write(tree.root / "pip-says", f"case $* in *-isolation*) echo {shlex.quote(says)} >&2; exit 1 ;; esac\n")
    failed = tree.run("spark-submit.sh", "train")
    assert (failed.returncode, failed.stdout) == (status, "")
    assert three_lines(failed.stderr)[0].startswith(f"{code} the Python packages cannot be installed")
    assert not (tree.root / ".venv/.tidemill-base").exists()
    # A package whose copying stopped half-way has no list of files yet: pip must not take it for installed.
    packages = tree.root / ".venv/lib/python3.11/site-packages"
    write(packages / "half-1.dist-info/METADATA", "Name: half\n")
    write(packages / "whole-1.dist-info/RECORD", "whole.py,,\n")
    (tree.root / "pip-says").unlink()
    assert tree.run("spark-submit.sh", "train").returncode == 0
    assert sorted(path.name for path in packages.glob("*.dist-info")) == ["whole-1.dist-info"]


def test_two_set_ups_at_once_are_one(tree: Tree) -> None:
    write(tree.root / "pip-says", "sleep 0.3\n")
    both = [tree.start("spark-submit.sh", "train"), tree.start("spark-submit.sh", "ingest")]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert installs(tree) == EVERYTHING
    assert sum("another set-up is running; waiting for it" in text for text in said) == 1


def test_a_signal_ends_the_set_up_at_once_and_leaves_no_stamp(tree: Tree) -> None:
    write(tree.root / "pip-says", 'echo $$ >"$TREE/pip-process"; exec sleep 60\n')
    process = tree.start("spark-submit.sh", "train")
    marker = tree.root / "pip-process"
    deadline = time.monotonic() + 20
    while not (marker.exists() and marker.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
    assert not (tree.root / ".venv/.tidemill-base").exists()


# ----------------------------------------------------------------------------------------------------------- JARs


def test_the_jars_are_fetched_once_and_checked(tree: Tree) -> None:
    assert tree.run("spark-submit.sh", "train").returncode == 0
    (folder,) = (tree.root / ".cache/jars").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["io.delta_delta-spark_4.2_2.13-4.4.0.jar", "second.jar"]
    assert not (tree.root / ".cache/ivy").exists()
    assert sum(call.startswith("java") for call in tree.calls) == 1
    assert tree.run("spark-submit.sh", "train").returncode == 0
    assert sum(call.startswith("java") for call in tree.calls) == 1


def test_a_jar_with_another_content_is_refused(tree: Tree) -> None:
    write(tree.root / "second.jar", "tampered\n")
    done = tree.run("spark-submit.sh", "train")
    assert done.returncode == 69
    assert three_lines(done.stderr)[0] == "E_INTEGRITY a JAR is not the locked one"
    assert [path.name for path in (tree.root / ".cache/jars").iterdir()] == [".new"]


def test_a_folder_of_jars_replaces_fetching_them(tree: Tree) -> None:
    wrong = tree.run("spark-submit.sh", "train", TIDEMILL_JARS=str(tree.root / "jobs"))
    assert wrong.returncode == 78
    assert three_lines(wrong.stderr)[0].startswith("E_JARS no Delta JAR in the folder")
    write(tree.root / "given/delta-spark_4.2_2.13-4.4.0.jar", "")
    done = tree.run("spark-submit.sh", "train", TIDEMILL_JARS=str(tree.root / "given"))
    assert done.returncode == 0, done.stderr
    assert not any(call.startswith("java") for call in tree.calls)
    assert f"{tree.root}/given/*" in shlex.split(variables(done.stdout)["PYSPARK_SUBMIT_ARGS"])


def test_what_spark_needs_for_s3_is_fetched_where_tables_lie_there(tree: Tree) -> None:
    s3 = {"TIDEMILL_TABLES": "s3://bucket/tables", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "here"}
    done = tree.run("spark-submit.sh", "train", **s3)
    got = variables(done.stdout)
    assert len(list((tree.root / ".cache/jars").iterdir())) == 2
    assert got["SPARK_DIST_CLASSPATH"] == f"{got['TIDEMILL_S3_JARS']}/*"
    words = shlex.split(got["PYSPARK_SUBMIT_ARGS"])
    assert "spark.hadoop.fs.s3a.path.style.access=true" in words
    assert "spark.hadoop.fs.s3a.endpoint.region=here" in words
    write(tree.root / "shared/lake/address", "s3://bucket/tables\n")
    for said in (("--root", str(tree.root / "shared")), (f"--root={tree.root / 'shared'}",)):
        assert "SPARK_DIST_CLASSPATH" in variables(tree.run("spark-submit.sh", "train", *said).stdout)
    nested = variables(tree.run("spark-submit.sh", "train", **s3, TIDEMILL_JARS=got["TIDEMILL_JARS"]).stdout)
    assert nested["TIDEMILL_S3_JARS"] == got["TIDEMILL_S3_JARS"] != got["TIDEMILL_JARS"]
    without = variables(tree.run("spark-submit.sh", "train").stdout)
    assert "SPARK_DIST_CLASSPATH" not in without
    assert not any("s3a" in word for word in shlex.split(without["PYSPARK_SUBMIT_ARGS"]))
    write(tree.root / "given/delta-spark_4.2_2.13-4.4.0.jar", "")
    refused = tree.run("spark-submit.sh", "train", TIDEMILL_JARS=str(tree.root / "given"), **s3)
    assert (refused.returncode, three_lines(refused.stderr)[0][:33]) == (78, "E_JARS tables lie in S3, and its ")


# ---------------------------------------------------------------------------------------------------- environment


def test_a_job_gets_the_same_environment_whoever_starts_it(tree: Tree) -> None:
    done = tree.run(
        "spark-submit.sh",
        "train",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONOPTIMIZE="2",
        PYTHONPATH="/theirs",
        LC_ALL="de_DE.UTF-8",
        TZ="Asia/Tokyo",
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="true",
        SPARK_HOME="/other/spark",
        SSL_CERT_FILE="/etc/company.pem",
    )
    got = variables(done.stdout)
    root = tree.root
    expected = {
        "SPARK_HOME": f"{root}/.venv/lib/python3.11/site-packages/pyspark",
        "JAVA_HOME": f"{root}/jvm/java-17",
        "PYSPARK_PYTHON": f"{root}/.venv/bin/python",
        "PYSPARK_DRIVER_PYTHON": f"{root}/.venv/bin/python",
        "PYTHONPATH": f"{root}/lib:{root}:/theirs",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "FEAST_USAGE": "False",
        "GIT_PYTHON_REFRESH": "quiet",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SSL_CERT_FILE": "/etc/company.pem",
    }
    assert {name: got.get(name) for name in expected} == expected
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE"} & set(got)
    (jars,) = (root / ".cache/jars").iterdir()
    log = f'"-Dlog4j2.configurationFile={root}/conf/log4j2.properties"'
    assert shlex.split(got["PYSPARK_SUBMIT_ARGS"]) == [
        "--properties-file",
        f"{root}/conf/spark/local.conf",
        "--conf",
        f"spark.driver.extraJavaOptions={log} -Dtidemill.log.level=WARN",
        "--driver-class-path",
        f"{jars}/*",
        "--conf",
        f"spark.sql.warehouse.dir={root}/.cache/warehouse",
        "pyspark-shell",
    ]


def test_on_a_cluster_the_jars_travel_with_the_job(tree: Tree) -> None:
    write(tree.root / "conf/spark/cluster.conf", "spark.master  spark://head:7077\n")
    master = {"TIDEMILL_MASTER": "spark://other:7077"}
    done = tree.run("spark-submit.sh", "train", "--env", "cluster", TIDEMILL_VERBOSE="1", **master)
    got = variables(done.stdout)
    words = shlex.split(got["PYSPARK_SUBMIT_ARGS"])
    (jars,) = (tree.root / ".cache/jars").iterdir()
    assert words[1] == f"{tree.root}/conf/spark/cluster.conf"
    assert words[words.index("--jars") + 1] == f"{jars}/io.delta_delta-spark_4.2_2.13-4.4.0.jar,{jars}/second.jar"
    assert "--driver-class-path" not in words
    assert words[words.index("--master") + 1] == "spark://other:7077"
    assert f"spark.executorEnv.PYTHONPATH={tree.root}/lib:{tree.root}" in words
    assert any("-Dtidemill.log.level=INFO" in word for word in words)
    assert "SPARK_LOCAL_IP" not in got


def test_the_jvm_says_nothing_on_standard_output_and_one_notice_less(tree: Tree) -> None:
    script = (
        "source conf/spark/spark-env.sh\n"
        "echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2\n"
        "echo 'WARNING: something else' >&2\n"
        "echo printed\n"
        "exit 7\n"
    )

    def run(**changed: str) -> subprocess.CompletedProcess[str]:
        environment = tree.environment(SPARK_CONF_DIR="x", **changed)
        return subprocess.run(
            ["bash", "-c", script],
            cwd=tree.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    quiet, loud = run(), run(TIDEMILL_VERBOSE="1")
    assert (quiet.returncode, quiet.stdout) == (7, "")
    assert sorted(quiet.stderr.splitlines()) == ["WARNING: something else", "printed"]
    assert "WARNING: Using incubator modules: jdk.incubator.vector" in loud.stderr


# --------------------------------------------------------------------------------------------------------- test.sh


USUAL = "not soak and not orchestrators and not cluster"


def checks(tree: Tree) -> list[str]:
    wanted = re.compile(r"(ruff|mypy|lint-imports)\b|-P -m pytest")
    return [re.sub(r"--junit-xml=\S+", "--junit-xml=X", call).rstrip() for call in tree.calls if wanted.match(call)]


def test_test_sh_runs_linters_and_tests(tree: Tree) -> None:
    done = tree.run("test.sh")
    assert done.returncode == 0, done.stderr
    assert any("requirements-dev.lock" in call for call in tree.calls)
    linters = ["ruff check .", "ruff format --check .", "mypy", "lint-imports"]
    slowest = "--durations=15 --durations-min=10"
    folders = ("tests/e2e", "tests/serving", "tests/bench")
    parts = (" ".join(f"--ignore={folder}" for folder in folders), " ".join(folders))
    halves = [f"-P -m pytest -m {USUAL} --junit-xml=X {half} {slowest}" for half in parts]
    assert checks(tree)[: len(linters)] == linters
    assert sorted(checks(tree)[len(linters) :]) == halves
    tree.forget_calls()
    write(tree.root / "mypy-fails", "")
    failed = tree.run("test.sh")
    assert (failed.returncode, failed.stderr) == (1, "failed before any test ran: mypy\n")
    assert checks(tree) == linters
    tree.forget_calls()
    assert tree.run("test.sh", "tests/core", "-k", "time").returncode == 0
    assert checks(tree) == [f"-P -m pytest -m {USUAL} --junit-xml=X tests/core -k time"]


def test_behind_a_switch_a_skip_is_a_failure(tree: Tree) -> None:
    write(tree.root / "junit.xml", '<testcase><skipped type="pytest.xfail"/></testcase>')
    for mark in ("soak", "orchestrators", "cluster"):
        done = tree.run("test.sh", f"--{mark}", "-x")
        assert done.returncode == 0, done.stderr
        assert checks(tree) == [f"-P -m pytest -m {mark} --junit-xml=X -x"]
        tree.forget_calls()
    write(tree.root / "junit.xml", '<testcase><skipped type="pytest.skip" message="no broker"/></testcase>')
    for switch in ("--soak", "--orchestrators", "--cluster", "--no-skips"):
        done = tree.run("test.sh", switch)
        assert (done.returncode, done.stderr) == (1, "failed: a test was skipped, and nothing may be\n")
    assert tree.run("test.sh").returncode == 0


def test_the_tests_environment_serves_the_jobs_too(tree: Tree) -> None:
    assert tree.run("test.sh", "-k", "x").returncode == 0
    tree.forget_calls()
    assert tree.run("spark-submit.sh", "train").stderr == ""
    assert installs(tree) == []


# --------------------------------------------------------------------------------------------- servers for the tests


def given(tree: Tree, **changed: str) -> dict[str, str]:
    """What the tests are told about servers, with the tree's root cut off."""
    done = tree.run("test.sh", "servers", **changed)
    assert done.returncode == 0, done.stderr
    wanted = re.compile(r"TIDEMILL_(NO_)?(KAFKA|POSTGRES|REDIS|PROMETHEUS|CHROMIUM)(?!_DIRS)")
    return {
        name: value.replace(f"{tree.root}/", "") for name, value in variables(done.stdout).items() if wanted.match(name)
    }


def test_kafka_is_fetched_once_and_for_tests_only(tree: Tree) -> None:
    assert tree.run("spark-submit.sh", "train").returncode == 0
    assert not (tree.root / ".cache/kafka").exists()
    told = given(tree)
    folder = tree.root / told["TIDEMILL_KAFKA_JARS"]
    assert (folder / "second.jar").exists()
    tree.forget_calls()
    assert given(tree) == told
    assert len(tree.calls) == 1


def test_without_kafka_the_tests_are_told_why_and_a_false_one_is_refused(tree: Tree) -> None:
    assert tree.run("spark-submit.sh", "train", TIDEMILL_TABLES="s3://bucket/tables").returncode == 0
    java = tree.root / "jvm/java-17/bin/java"
    write(java, "#!/bin/sh\necho unknown host >&2; exit 1\n", 0o755)
    told = given(tree, TIDEMILL_KAFKA_JARS="/stale")
    assert "TIDEMILL_KAFKA_JARS" not in told
    assert told["TIDEMILL_NO_KAFKA"] == "its JARs cannot be fetched, see .cache/setup.log"
    write(java, JAVA, 0o755)
    write(tree.root / "second.jar", "tampered\n")
    done = tree.run("test.sh", "servers")
    assert done.returncode == 69
    assert three_lines(done.stderr)[0] == "E_INTEGRITY a JAR is not the locked one"


def test_servers_come_from_debian_where_that_is_allowed(tree: Tree) -> None:
    nothing = "only Debian and Ubuntu packages can be installed from here"
    assert [given(tree)[name] for name in ("TIDEMILL_NO_POSTGRES", "TIDEMILL_NO_REDIS")] == [nothing, nothing]
    apt_get = """#!/bin/sh
        echo "apt-get $*" >>"$CALLS"
        case $* in
          *postgresql) mkdir -p "$TREE/postgres/15/bin" && cp "$0" "$TREE/postgres/15/bin/initdb" ;;
          *redis-tools) cp "$0" "$TREE/bin/redis-check-rdb" ;;
          *headless-shell) cp "$0" "$TREE/bin/chromium-headless-shell" ;;
          *download*) touch prometheus_1.deb ;;
        esac
    """
    write(tree.root / "bin/apt-get", apt_get, 0o755)
    write(tree.root / "bin/sudo", '#!/bin/sh\nshift\ncase $1 in true) ;; *) exec "$@" ;; esac\n', 0o755)
    programs = "promtool prometheus prometheus-alertmanager prometheus-pushgateway"
    unpack = f"""#!/bin/sh
        templates=$3/usr/share/prometheus/alertmanager
        mkdir -p "$3/usr/bin" "$templates" && touch "$templates/default.tmpl"
        for one in {programs}; do cp "$0" "$3/usr/bin/$one"; done
    """
    write(tree.root / "bin/dpkg-deb", unpack, 0o755)
    forbidden = given(tree, TIDEMILL_NO_INSTALL="1")
    for name in ("PROMETHEUS", "CHROMIUM", "POSTGRES", "REDIS"):
        assert forbidden[f"TIDEMILL_NO_{name}"] == "TIDEMILL_NO_INSTALL forbids installing it"
    tree.forget_calls()
    told = given(tree)
    assert (told["TIDEMILL_NO_POSTGRES"], told["TIDEMILL_POSTGRES_BIN"]) == ("", "postgres/15/bin")
    # The tools, not the service: nothing is there that the system would start.
    assert (told["TIDEMILL_NO_REDIS"], told["TIDEMILL_REDIS"]) == ("", ".cache/redis/redis-server")
    told_of = (told["TIDEMILL_NO_PROMETHEUS"], told["TIDEMILL_PROMETHEUS_BIN"])
    assert told_of == ("", ".cache/prometheus/usr/bin")
    assert (tree.root / "templates/default.tmpl").exists()  # where Debian's Alertmanager looks for them
    assert (told["TIDEMILL_NO_CHROMIUM"], told["TIDEMILL_CHROMIUM"]) == ("", "bin/chromium-headless-shell")
    options = "install -y --no-install-recommends -o DPkg::Lock::Timeout=300"
    assert tree.calls[:2] == ["apt-get update", f"apt-get {options} postgresql"]
    assert tree.calls[2:4] == ["apt-get update", f"apt-get {options} redis-tools"]
    packages = programs.partition(" ")[2]  # unpacked: their services never start
    assert tree.calls[4:6] == ["apt-get update", f"apt-get download {packages}"]
    assert tree.calls[6:8] == ["apt-get update", f"apt-get {options} chromium-headless-shell"]
    tree.forget_calls()
    assert given(tree) == told
    assert len(tree.calls) == 1


# ---------------------------------------------------------------------------------------- orchestrators for the tests


def test_an_orchestrator_is_installed_once_for_each_lock_file(tree: Tree) -> None:
    lock = tree.root / LUIGI
    write(tree.root / "junit.xml", "")
    assert tree.run("test.sh", "-k", "x").returncode == 0
    folder = tree.root / ".cache/orchestrators/luigi"
    assert not folder.exists()
    assert tree.run("test.sh", "--orchestrators").returncode == 0
    assert (folder / ".lock").read_text() == lock.read_text()
    assert [call for call in tree.calls if call.endswith(f"--require-hashes -r {lock}")] != []
    tree.forget_calls()
    assert tree.run("test.sh", "--orchestrators").returncode == 0
    assert len(tree.calls) == 1
    write(lock, "luigi==2 \\\n    --hash=sha256:00\n")
    write(tree.root / "pip-says", "echo 'connection refused' >&2; exit 1")
    assert tree.run("test.sh", "--orchestrators").returncode == 69
    (tree.root / "pip-says").unlink()
    assert tree.run("test.sh", "--orchestrators").returncode == 0
    assert "luigi==2" in (folder / ".lock").read_text()


# ------------------------------------------------------------------------------------------------ peers of the benches


@pytest.mark.parametrize(
    ("arguments", "installed"),
    [
        (["--size", "small"], []),
        (["--what", "start"], []),
        (["--size=small", "--what", "peer_a import"], ["peer_a"]),
        (["--what=peer_b"], ["peer_b"]),
        ([], ["peer_a", "peer_b"]),
        (["--size", "full"], ["peer_a", "peer_b"]),
    ],
)
def test_a_peer_is_installed_where_it_is_going_to_run(tree: Tree, arguments: list[str], installed: list[str]) -> None:
    for name in ("probe", "other"):
        write(tree.root / f"bench/{name}.py", f'"""The bench {name}."""\n')
    for name in ("peer_a", "peer_b"):
        write(tree.root / f"bench/peers/probe/{name}.lock", f"{name}==1 \\\n    --hash=sha256:00\n")
    assert tree.run("bench.sh", "other", *arguments).returncode == 0
    done = tree.run("bench.sh", "probe", *arguments)
    assert done.returncode == 0, done.stderr
    assert tree.calls[-1] == f"-P {tree.root}/bench/probe.py {' '.join(arguments)}".rstrip()
    assert sorted(path.name for path in (tree.root / ".cache").glob("peers/*/*")) == installed
    tree.forget_calls()
    assert tree.run("bench.sh", "probe", *arguments).returncode == 0
    assert len(tree.calls) == 1


# ------------------------------------------------------------------------------------------------------- lock files


def pins(name: str) -> set[str]:
    return {line.rstrip(" \\") for line in (REPO / name).read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)}


FOLDERS = ("tests/orchestration/locks", "bench/peers/*")
OTHERS = sorted(str(path.relative_to(REPO)) for folder in FOLDERS for path in REPO.glob(f"{folder}/*.lock"))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", *OTHERS])
def test_a_lock_file_has_hashes_and_no_address(name: str) -> None:
    text = (REPO / name).read_text()
    assert re.findall(r"://|--index|--extra-index|--find-links|--trusted-host|(?<=[\s=])/\S+", text) == []
    assert all("==" in pin for pin in pins(name))
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)[1:]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_tests_lock_file_holds_the_base() -> None:
    assert pins("requirements.lock") - pins("requirements-dev.lock") == set()
    names = {pin.split("==")[0] for pin in pins("requirements.lock")}
    assert {"pyspark", "hatchling", "editables", "setuptools", "wheel"} <= names


def test_the_jars_come_from_one_unnamed_place_and_fit_the_package() -> None:
    settings = re.sub(r"<!--.*?-->", "", (REPO / "conf/ivysettings.xml").read_text(), flags=re.DOTALL)
    assert re.findall(r"<ibiblio [^>]*>", settings) == ['<ibiblio name="central" m2compatible="true"/>']
    made_from = ("conf/ivy.xml", "conf/ivy-s3.xml", "tests/servers/kafka.xml")
    locks = ("jars.lock", "jars-s3.lock", "tests/servers/kafka.lock")
    assert "://" not in settings + "".join((REPO / name).read_text() for name in (*made_from, *locks))
    assert {"delta-spark==4.4.0", "pyspark==4.2.0"} <= pins("requirements.lock")
    assert 'name="delta-spark_4.2_2.13" rev="4.4.0"' in (REPO / "conf/ivy.xml").read_text()
    assert 'name="spark-sql-kafka-0-10_2.13" rev="4.2.0"' in (REPO / "conf/ivy.xml").read_text()
    jars = {line.split()[1] for line in (REPO / "jars.lock").read_text().splitlines()[1:]}
    assert jars > {
        "io.delta_delta-spark_4.2_2.13-4.4.0.jar",
        "org.apache.kafka_kafka-clients-3.9.2.jar",
        "org.apache.spark_spark-sql-kafka-0-10_2.13-4.2.0.jar",
        "org.postgresql_postgresql-42.7.8.jar",
    }


@pytest.mark.parametrize(
    ("lock", "some"),
    [("jars.lock", {"kafka-clients", "commons-pool2"}), ("jars-s3.lock", {"hadoop-aws", "s3", "sts"})],
)
def test_no_jar_is_in_pyspark_already(lock: str, some: set[str]) -> None:
    def names(files: Iterable[str]) -> set[str]:
        return {re.split(r"-[0-9]", file)[0] for file in files}

    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    brought = names(path.name for path in (Path(spec.origin).parent / "jars").glob("*.jar"))
    locked = names(line.split("_", 1)[1] for line in (REPO / lock).read_text().splitlines()[1:])
    assert {"spark-core_2.13", "lz4-java"} <= brought
    assert some <= locked
    assert locked & brought == set()
