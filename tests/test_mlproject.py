"""`MLproject`: an entry point a job, whose command is one that the job understands."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from tidemill.cli.arguments import parse_arguments
from tidemill.core.config import load_config
from tidemill.core.home import HOME

JOBS = sorted(path.stem for path in (HOME / "jobs").glob("*.py") if path.stem != "__init__")
# MLflow's own reading of the file, in a process of its own: it warns about itself when it is imported.
READ = """
import json, sys
from mlflow.projects._project_spec import load_project
points = load_project(sys.argv[1])._entry_points
print(json.dumps([{n: p.compute_command(g, None) for n, p in points.items()} for g in json.loads(sys.argv[2])]))
"""
ASKED = {"use_case": "retail", "as_of": "2011-11-01", "root": "it's here", "set": "train.seed=3"}
ELASTIC = {"alpha": "0.5", "l1_ratio": "0.1"}


@cache
def commands() -> list[dict[str, list[str]]]:
    """The words of every entry point's command, as MLflow fills it in: with nothing given, ASKED and ELASTIC."""
    given = json.dumps([{}, ASKED, ELASTIC])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, str(HOME), given], capture_output=True, text=True, check=True
    )
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return [{name: shlex.split(command) for name, command in one.items()} for one in found]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    assert words[0] == "./spark-submit.sh"
    return words[1], vars(parse_arguments(words[1], words[2:]))


def test_the_entry_points_are_the_jobs() -> None:
    assert sorted(commands()[0]) == sorted([*JOBS, "main"])


@pytest.mark.parametrize("job", JOBS)
def test_an_entry_point_is_its_job(job: str) -> None:
    found, arguments = parsed(commands()[1][job])
    assert (found, arguments["to"]) == (("pipeline", "train") if job == "train" else (job, None))
    assert [arguments[name] for name in ("use_case", "as_of", "root", "env")] == [*list(ASKED.values())[:3], "local"]
    assert arguments["set"] == ["train.seed=3"]
    assert not parsed(commands()[0][job])[1]["as_of"]  # then it is the use case's own


def test_the_main_entry_point_trains_the_elastic_net_of_the_demo() -> None:
    job, arguments = parsed(commands()[2]["main"])
    assert (job, arguments["to"], arguments["use_case"]) == ("pipeline", "train", "churn")
    only = load_config(HOME / "conf", "local", arguments["set"]).train.only
    assert only == {"logistic_regression": {"regParam": 0.5, "elasticNetParam": 0.1}}
