"""Metrics for Prometheus: what a run leaves, the rules in the real promtool, and no name that nobody makes."""

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from servers.fixtures import needed
from tidemill.core.config_monitor import Metrics
from tidemill.core.errors import TidemillError
from tidemill.monitoring import metrics
from tidemill.monitoring.metrics import MonitorGauges, job_metrics, leave, monitor_metrics, success_metrics

CONF = Path(__file__).resolve().parents[2] / "conf"
AT = datetime(2026, 1, 1, tzinfo=UTC)


FILES = Metrics(pushgateway="", timeout=5)


def written(root: Path) -> dict[tuple[str, frozenset[str]], float]:
    gauges = MonitorGauges(
        AT, 1, 500, {"x": (1, 0.12), "y": (-1, None)}, "roc_auc", {"realised": 0.8}, {"warn": 1, "alert": 0},
        {"visits": AT},
    )  # fmt: skip
    made = (monitor_metrics("churn", gauges), success_metrics("churn", AT), job_metrics("churn", "score", AT, 2.5, 66))
    for group in made:
        leave(root, FILES, group)
    texts = [(root / "metrics" / f"{n}.prom").read_text("utf-8") for n in ("monitor_churn", "success_churn")]
    texts.append((root / "metrics" / "job_churn_score.prom").read_text("utf-8"))
    families = [family for text in texts for family in text_string_to_metric_families(text)]
    return {(s.name, frozenset(s.labels.values())): s.value for family in families for s in family.samples}


def test_a_run_leaves_its_gauges(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert found["tidemill_drift_verdict", frozenset({"churn"})] == 1
    assert found["tidemill_feature_drift_index", frozenset({"churn", "x"})] == 0.12
    assert ("tidemill_feature_drift_index", frozenset({"churn", "y"})) not in found
    assert found["tidemill_feature_drift_verdict", frozenset({"churn", "y"})] == -1
    assert found["tidemill_performance", frozenset({"churn", "roc_auc", "realised"})] == 0.8
    assert found["tidemill_alerts", frozenset({"churn", "alert"})] == 0
    assert found["tidemill_source_watermark_time_seconds", frozenset({"churn", "visits"})] == AT.timestamp()
    assert found["tidemill_monitor_last_success_time_seconds", frozenset({"churn"})] == AT.timestamp()
    assert found["tidemill_job_exit_code", frozenset({"churn", "score"})] == 66
    assert found["tidemill_job_duration_seconds", frozenset({"churn", "score"})] == 2.5


def test_an_address_from_the_environment_stays_out_of_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY", "http://user:secret@gateway.example.org")
    settings = Metrics.model_validate({"pushgateway": "${GATEWAY}", "timeout": 1})
    assert settings.model_dump() == {"pushgateway": "${GATEWAY}", "timeout": 1.0}
    with pytest.raises(ValueError, match="NOWHERE is not set"):
        Metrics.model_validate({"pushgateway": "${NOWHERE}", "timeout": 1})


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::1"])
def test_metrics_that_cannot_be_left_are_an_error_that_names_the_place(address: str, tmp_path: Path) -> None:
    with pytest.raises(TidemillError) as found:
        leave(tmp_path, Metrics(pushgateway=address, timeout=1), success_metrics("churn", AT))
    assert (found.value.code, found.value.where) == ("E_METRICS", "configuration key metrics.pushgateway")
    (tmp_path / "metrics").write_text("a file where the folder should be", "utf-8")
    with pytest.raises(TidemillError) as found:
        leave(tmp_path, FILES, success_metrics("churn", AT))
    assert found.value.where == str(tmp_path / "metrics")


def test_rules_and_dashboard_ask_for_metrics_that_are_made(tmp_path: Path) -> None:
    made = {name for name, _ in written(tmp_path)}
    made |= set(re.findall(r'"(tidemill_(?:stream|online)_\w+)"', Path(metrics.__file__).read_text("utf-8")))
    rules = [yaml.safe_load((CONF / "prometheus" / n).read_text("utf-8")) for n in ("recording.yml", "alerts.yml")]
    every = [rule for file in rules for group in file["groups"] for rule in group["rules"]]
    made |= {rule["record"] for rule in every if "record" in rule}
    board = json.loads((CONF / "grafana" / "monitoring.json").read_text("utf-8"))
    asked = " ".join([rule["expr"] for rule in every] + [t["expr"] for p in board["panels"] for t in p["targets"]])
    used = set(re.findall(r"tidemill[_:][\w:]+", asked))
    assert len(used) >= 10
    assert used - made == set()
    assert all({"summary", "action"} == set(rule["annotations"]) for rule in every if "alert" in rule)


@pytest.fixture
def promtool() -> Path:
    return needed("Prometheus", "TIDEMILL_PROMETHEUS_BIN", "TIDEMILL_NO_PROMETHEUS") / "promtool"


def test_the_rules_do_what_they_say_in_promtool(promtool: Path, tmp_path: Path) -> None:
    files = [CONF / "prometheus" / name for name in ("recording.yml", "alerts.yml")]
    checked = subprocess.run([promtool, "check", "rules", *files], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    text = (Path(__file__).parent / "prometheus_rules.yml").read_text("utf-8")
    tests = tmp_path / "rules.yml"
    tests.write_text(text.replace("RECORDING", str(files[0])).replace("ALERTS\n", f"{files[1]}\n", 1), "utf-8")
    done = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["monitor_churn", "success_churn", "job_churn_score"])
def test_the_text_files_are_such_as_prometheus_takes(name: str, promtool: Path, tmp_path: Path) -> None:
    written(tmp_path)
    text = (tmp_path / "metrics" / f"{name}.prom").read_text("utf-8")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
