"""From a run to a person: real Pushgateway, Prometheus and Alertmanager, with the rules and routes of conf/."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from servers.prometheus import Prometheus
from tidemill.cli.job import run_jobs
from tidemill.core.config_monitor import Metrics
from tidemill.monitoring.metrics import MonitorGauges, leave, monitor_metrics, success_metrics

NOW, DAY = datetime.now(UTC), timedelta(days=1)


def text_of(got: list[tuple[str, Any]]) -> str:
    return "\n".join(f"{m['attachments'][0]['title']}\n{m['attachments'][0]['text']}" for _, m in got)


def awaited(found: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def judged(verdict: int) -> MonitorGauges:
    return MonitorGauges(
        NOW, verdict, 500, {"x": (verdict, 0.5)}, "roc_auc", {}, {"warn": 0, "alert": 1}, {"v": NOW}, {}, {}
    )


def test_a_failed_job_and_drift_reach_the_receiver_and_what_is_solved_is_said(
    alert_path: tuple[Prometheus, list[tuple[str, Any]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers, got = alert_path
    gateway = servers.address("pushgateway")
    root, pushing = tmp_path / "var", Metrics(pushgateway=gateway, timeout=5)
    # Nothing was ingested: the job ends with 66, as a person would see it.
    argv = ["--use-case", "churn", "--root", str(root), "--set", f"metrics.pushgateway={gateway}", "--json"]
    monitor = import_module("jobs.monitor")
    assert run_jobs("monitor", lambda _: [("monitor", monitor.run)], argv) == 66
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "E_NO_TIME"
    assert not (root / "metrics").exists()  # pushed, and nowhere else
    leave(root, pushing, success_metrics("retail", NOW, DAY))
    leave(root, pushing, monitor_metrics("retail", judged(2)))
    awaited(lambda: "TidemillJobFailed" in text_of(got) and "TidemillDrift" in text_of(got), text_of(got))
    said = text_of(got)
    assert "[tidemill] churn: 1 raised, 0 solved" in said
    assert "- firing, alert, TidemillJobFailed: churn: monitor ended with exit code 66. What to do: read its" in said
    assert "- firing, alert, TidemillDrift: retail: what the model relies on has drifted." in said
    assert "TidemillFeatureDrift" not in said  # the greater says it already
    assert {path for path, _ in got} == {"/chat"}
    # The labels that jobs gave are those that Prometheus keeps.
    (sample,) = servers.ask("tidemill_job_exit_code")
    assert (sample["metric"]["use_case"], sample["metric"]["job_name"]) == ("churn", "monitor")
    # What is left again takes the place of what was left, and people hear that it is over.
    leave(root, pushing, monitor_metrics("retail", judged(0)))
    awaited(lambda: "[tidemill] retail: 0 raised, 1 solved" in text_of(got), text_of(got))


def test_a_silent_monitor_job_reaches_the_receiver(
    alert_path: tuple[Prometheus, list[tuple[str, Any]]], tmp_path: Path
) -> None:
    servers, _ = alert_path
    pushing = Metrics(pushgateway=servers.address("pushgateway"), timeout=5)
    leave(tmp_path, pushing, success_metrics("churn", NOW - 3 * DAY, DAY))
    awaited(lambda: _state(servers, "TidemillMonitorSilent") == "pending", "the rule waits an hour, then it fires")
    leave(tmp_path, pushing, success_metrics("churn", NOW, DAY))  # as a skipped run does
    awaited(lambda: _state(servers, "TidemillMonitorSilent") == "", "a new success ends it")


def _state(servers: Prometheus, rule: str) -> str:
    found = servers.ask(f'ALERTS{{alertname="{rule}"}}'.replace('"', "%22").replace("{", "%7B").replace("}", "%7D"))
    return "" if not found else str(found[0]["metric"]["alertstate"])
