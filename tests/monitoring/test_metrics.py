"""Metrics for Prometheus: what a run leaves, the rules in the real promtool, and no name that nobody makes."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import yaml
from monitoring.test_drift import LIMITS
from prometheus_client.parser import text_string_to_metric_families
from servers.fixtures import needed
from tidemill.cli.exporting import leave_success
from tidemill.core.config_monitor import Metrics
from tidemill.core.errors import TidemillError
from tidemill.monitoring.metrics import (
    MonitorGauges,
    job_metrics,
    leave,
    monitor_metrics,
    online_metrics,
    parity_metrics,
    stream_metrics,
    success_metrics,
)
from tidemill.monitoring.service_metrics import ServiceMetrics
from tidemill.orchestration.dag import longest_gap

if TYPE_CHECKING:
    from tidemill.cli.context import Context

CONF = Path(__file__).resolve().parents[2] / "conf"
AT, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)


FILES = Metrics(pushgateway="", timeout=5)


def written(root: Path) -> dict[tuple[str, frozenset[str]], float]:
    gauges = MonitorGauges(
        AT, 1, 500, {"x": (1, 0.12), "y": (-1, None)}, "roc_auc", {"realised": 0.8}, {"warn": 1, "alert": 0},
        {"visits": AT}, {"visits": DAY}, {"expected": 2},
    )  # fmt: skip
    made = (
        monitor_metrics("churn", gauges),
        success_metrics("churn", AT, 7 * DAY),
        job_metrics("churn", "score", AT, 2.5, 66),
        online_metrics("churn", "plan_v1", AT, 2 * DAY),
        parity_metrics("churn", "plan_v1", AT, [(200, 200), (200, 190), (0, 0)], 0.99),
        stream_metrics("visits", {"read": 3}, 0.5),
    )
    for group in made:
        leave(root, FILES, group)
    texts = [(root / "metrics" / f"{group.name}.prom").read_text("utf-8") for group in made]
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
    assert found["tidemill_monitor_period_seconds", frozenset({"churn"})] == 604800
    assert found["tidemill_source_freshness_seconds", frozenset({"churn", "visits"})] == 86400
    assert found["tidemill_performance_verdict", frozenset({"churn", "roc_auc", "expected"})] == 2
    assert found["tidemill_job_exit_code", frozenset({"churn", "score"})] == 66
    assert found["tidemill_job_duration_seconds", frozenset({"churn", "score"})] == 2.5


def test_what_materialize_leaves_of_the_online_values(tmp_path: Path) -> None:
    view, found = frozenset({"churn", "plan_v1"}), written(tmp_path)
    assert found["tidemill_online_value_time_seconds", view] == AT.timestamp()
    assert found["tidemill_online_value_allowed_age_seconds", view] == 2 * 86400
    assert found["tidemill_parity_time_seconds", view] == AT.timestamp()
    assert found["tidemill_parity_compared_values", view] == 400
    assert found["tidemill_parity_least_share", view] == 0.95
    assert found["tidemill_parity_unequal_features", view] == 1


def test_the_schedule_says_how_long_a_job_may_be_silent(tmp_path: Path) -> None:
    assert {job: longest_gap(job).days for job in ("monitor", "materialize", "train")} == {
        "monitor": 7, "materialize": 1, "train": 31,
    }  # fmt: skip
    found = []
    for days in (None, 1):
        config = SimpleNamespace(monitor=LIMITS.model_copy(update={"every_days": days}), metrics=FILES)
        context = SimpleNamespace(config=config, use_case=SimpleNamespace(name="churn"), now=AT, root=tmp_path)
        leave_success(cast("Context", context))
        text = (tmp_path / "metrics" / "success_churn.prom").read_text("utf-8")
        found += re.findall(r"^tidemill_monitor_period_seconds.* (\S+)$", text, re.MULTILINE)
    assert found == ["604800.0", "86400.0"]


def test_an_address_from_the_environment_stays_out_of_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY", "http://user:secret@gateway.example.org")
    settings = Metrics.model_validate({"pushgateway": "${GATEWAY}", "timeout": 1})
    assert settings.model_dump() == {"pushgateway": "${GATEWAY}", "timeout": 1.0}
    with pytest.raises(ValueError, match="NOWHERE is not set"):
        Metrics.model_validate({"pushgateway": "${NOWHERE}", "timeout": 1})


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::1"])
def test_metrics_that_cannot_be_left_are_an_error_that_names_the_place(address: str, tmp_path: Path) -> None:
    with pytest.raises(TidemillError) as found:
        leave(tmp_path, Metrics(pushgateway=address, timeout=1), success_metrics("churn", AT, DAY))
    assert (found.value.code, found.value.where) == ("E_METRICS", "configuration key metrics.pushgateway")
    (tmp_path / "metrics").write_text("a file where the folder should be", "utf-8")
    with pytest.raises(TidemillError) as found:
        leave(tmp_path, FILES, success_metrics("churn", AT, DAY))
    assert found.value.where == str(tmp_path / "metrics")


def served() -> set[str]:
    """The names of what a service tells of itself."""
    metrics = ServiceMetrics()
    metrics.requested("churn", 200, 0.1)
    metrics.answered("churn", "ok", 60.0)
    metrics.swapped("churn", "3")
    families = text_string_to_metric_families(metrics.text().decode())
    return {s.name for family in families for s in family.samples if not s.name.endswith("_created")}


def test_every_metric_is_documented(tmp_path: Path) -> None:
    made = {name for name, _ in written(tmp_path)}
    made |= {re.sub("_(bucket|sum|count)$", "", name) for name in served()}
    texts = "".join((CONF.parent / "docs" / f"{name}.md").read_text("utf-8") for name in ("monitoring", "serving"))
    assert made - set(re.findall(r"`(tidemill_\w+)`", texts)) == set()


def test_rules_and_dashboards_ask_for_metrics_that_are_made(tmp_path: Path) -> None:
    made = {name for name, _ in written(tmp_path)} | served()
    rules = [yaml.safe_load((CONF / "prometheus" / n).read_text("utf-8")) for n in ("recording.yml", "alerts.yml")]
    every = [rule for file in rules for group in file["groups"] for rule in group["rules"]]
    made |= {rule["record"] for rule in every if "record" in rule}
    boards = [json.loads(path.read_text("utf-8")) for path in sorted((CONF / "grafana").iterdir())]
    panels = [panel for board in boards for panel in board["panels"]]
    asked = " ".join([rule["expr"] for rule in every] + [t["expr"] for p in panels for t in p["targets"]])
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


@pytest.mark.parametrize(
    "name", ["monitor_churn", "success_churn", "job_churn_score", "online_churn_plan_v1", "parity_churn_plan_v1"]
)
def test_the_text_files_are_such_as_prometheus_takes(name: str, promtool: Path, tmp_path: Path) -> None:
    written(tmp_path)
    text = (tmp_path / "metrics" / f"{name}.prom").read_text("utf-8")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
