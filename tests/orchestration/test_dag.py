"""The order of the jobs as data, and the commands that show it and go on with a run."""

import ast
import json
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemill.cli.arguments import parse_arguments, words_of
from tidemill.cli.console import main
from tidemill.core.errors import TidemillError
from tidemill.core.home import HOME
from tidemill.orchestration.dag import FLOWS, JOBS, ORDER, OUTSIDE, Flow, as_mermaid, flow_named, pipeline_steps
from tidemill.orchestration.metaflow import metaflow_source
from tidemill.orchestration.steps import Target

EVERYTHING = [
    ["audit", "train"],
    ["build_features", "audit"],
    ["build_features", "materialize"],
    ["generate", "ingest"],
    ["ingest", "refine"],
    ["promote", "score"],
    ["refine", "build_features"],
    ["score", "monitor"],
    ["train", "promote"],
]
Console = Callable[..., tuple[int, str, str]]


def before(job: str) -> set[str]:
    """All that comes before a job, however far."""
    needs = next(j.needs for j in JOBS if j.name == job)
    return {*needs, *(far for need in needs for far in before(need))}


def reached(edges: set[tuple[str, str]], end: str) -> set[str]:
    return {far for a, b in edges if b == end for far in {a, *reached(edges, a)}}


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Console:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tidemill", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_every_job_is_in_the_order_or_beside_it() -> None:
    files = {path.stem for path in (HOME / "jobs").glob("[a-z]*.py")}
    assert files == {*ORDER, *OUTSIDE, "pipeline"}
    assert all(before(job) <= set(ORDER[:place]) for place, job in enumerate(ORDER))
    assert pipeline_steps(generated=True) == ORDER
    assert pipeline_steps(generated=False) == ORDER[1:]


@given(st.sets(st.sampled_from(ORDER), min_size=1))
def test_a_part_of_the_jobs_keeps_their_order(part: set[str]) -> None:
    flow = Flow("part", tuple(job for job in ORDER if job in part), "")
    edges = set(flow.edges)
    assert all(reached(edges, job) == before(job) & part for job in part)
    # No edge that others imply already: only what comes directly before is asked for.
    assert all(b not in reached(edges - {(a, b)}, a) and a not in reached(edges - {(a, b)}, b) for a, b in edges)


def test_flows_that_run_by_themselves() -> None:
    assert {flow.name: flow.cron for flow in FLOWS} == {
        "everything": None,
        "daily_scoring": "0 5 * * *",
        "weekly_report": "0 7 * * 1",
        "monthly_retraining": "0 9 1 * *",
    }
    assert flow_named("daily_scoring").edges == (
        ("build_features", "materialize"),
        ("build_features", "score"),
        ("ingest", "refine"),
        ("refine", "build_features"),
    )
    for name in ("weekly_report", "monthly_retraining"):
        flow = flow_named(name)
        assert flow.edges == tuple(sorted(pairwise(flow.jobs)))
    with pytest.raises(TidemillError, match="there is no flow 'daily'") as error:
        flow_named("daily")
    assert (error.value.code, error.value.exit_code) == ("E_FLOW", 64)


def test_the_command_shows_text_json_and_mermaid(console: Console) -> None:
    code, out, _ = console("dag", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["retried"] == [69, 75, 137, 143]
    assert found["beside"] == ["maintain", "replay", "reproduce", "backtest"]
    assert {flow["flow"]: flow["edges"] for flow in found["flows"]}["everything"] == EVERYTHING
    assert found["flows"][0]["jobs"][4] == {"job": "materialize", "needs": ["build_features"]}
    assert console("dag", "weekly_report", "--mermaid")[1] == (
        "%% weekly_report\nflowchart LR\n  ingest\n  build_features --> score\n  ingest --> refine\n"
        "  refine --> build_features\n  score --> monitor\n"
    )
    code, out, _ = console("dag", "daily_scoring")
    assert out.splitlines()[:6] == [
        "daily_scoring, at 0 5 * * * (UTC): new data to scores and online values",
        "  ingest",
        "  refine          after ingest",
        "  build_features  after refine",
        "  materialize     after build_features",
        "  score           after build_features",
    ]
    code, _, err = console("dag", "dayly_scoring")
    assert code == 64
    assert "did you mean 'daily_scoring'?" in err


def test_mermaid_charts_have_the_edges_of_the_flow() -> None:
    for flow in FLOWS:
        edges = re.findall(r"^  (\w+) --> (\w+)$", as_mermaid(flow), re.MULTILINE)
        assert tuple(edges) == flow.edges


def test_a_program_for_metaflow_has_the_edges_of_the_flow() -> None:
    for flow in FLOWS:
        text = metaflow_source(flow, Target("/opt/tidemill/spark-submit.sh", "/data/var"))
        made = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
        steps = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
        after = {step.name: re.findall(r"self\.(\w+)", ast.unparse(step.body[-1]))[1:] for step in steps}
        edges = {(a, b) for a, follows in after.items() for b in follows}
        assert tuple(sorted(e for e in edges if not {"start", "joined", "end"} & {*e})) == flow.edges
        joins = {step.name for step in steps if len(step.args.args) > 1}
        assert joins == {b for _, b in edges if len([e for e in edges if e[1] == b]) > 1}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--use-case", "shop", "--repo", "/a b", "--as-of", "2024-01-11", "--rebuild", "--json"],
        ["--from", "2024-01-11", "--until", "2024-02-10", "--set", "train.seed=1", "--set", "sources={}"],
    ],
)
def test_the_words_of_a_command_can_be_had_again(words: list[str]) -> None:
    found = parse_arguments("train", words)
    kept = {k: v for k, v in vars(found).items() if v is not None}
    assert parse_arguments("train", words_of(kept)) == found


def test_resume_runs_the_recorded_command_again(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def execute(program: str, words: list[str]) -> None:
        assert program == words[0]
        ran.append(words)

    monkeypatch.setattr(os, "execv", execute)
    run = tmp_path / "runs" / "20240111T000000Z-train-abcdef"
    run.mkdir(parents=True)
    arguments = {"use_case": "shop", "env": "local", "as_of": "2024-01-11", "set": ["a=1"], "rebuild": False}
    record = {"job": "train", "arguments": {**arguments, "root": "/where/it/was"}}
    (run / "record.json").write_text(json.dumps(record), encoding="utf-8")
    code, _, err = console("resume", "20240111T000000Z-train-abcdeg", "--root", str(tmp_path))
    assert (code, "did you mean '20240111T000000Z-train-abcdef'?" in err) == (66, True)
    assert console("resume", run.name, "--root", str(tmp_path))[0] == 0
    words = ["train", "--use-case", "shop", "--env", "local", "--as-of", "2024-01-11", "--set", "a=1", "--root"]
    assert ran == [[str(HOME / "spark-submit.sh"), *words, str(tmp_path)]]
