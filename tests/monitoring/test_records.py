"""What the monitor job keeps without Spark: alerts with whom they reached, and decisions."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest
from monitoring.test_alerts import SETTINGS
from monitoring.test_drift import LIMITS, made
from monitoring.test_retraining import POLICY
from servers.webhook import webhook
from tidemill.cli import alerting, retraining, telling
from tidemill.cli.context import Context
from tidemill.cli.drifting import Moved
from tidemill.cli.judging import Scored
from tidemill.cli.track import known_performance, track_points, turned_out
from tidemill.core.config import Layout
from tidemill.core.config_monitor import Alerts
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import run_folder, write_json, write_text
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read_arrow
from tidemill.data.schema import delta_schema
from tidemill.data.tables import Lake
from tidemill.monitoring import delivery, drift
from tidemill.monitoring.alerts import Alert
from tidemill.monitoring.retraining import Decision
from tidemill.monitoring.shortfall import Turned, find_shortfalls
from tidemill.monitoring.tables import (
    ALERTS,
    DECISIONS,
    DELIVERIES,
    DRIFT,
    EXPECTED,
    HINDSIGHT,
    PERFORMANCE,
    REALISED,
)
from tidemill.stats.expected import Estimate
from tidemill.stats.intervals import Interval

if TYPE_CHECKING:
    from tidemill.models.registry import Registry

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
LABEL, CUSTOMER = SimpleNamespace(name="churned"), SimpleNamespace(key="customer")
CARD = {"times": {"final": []}, "gate_value": 0.8, "as_of": "2026-02-01T00:00:00Z"}
OF_SCORED = SimpleNamespace(version="3", tags={"as_of": CARD["as_of"]})
MOVED = Alert("alert", "drift", "shop.count", "its level is 1.00 sd above the usual")


def heard_at(port: int, **changed: Any) -> Alerts:
    """Settings with a webhook on this machine."""
    there = {"webhook": f"http://127.0.0.1:{port}/", "allow_hosts": ("127.0.0.1",)}
    return SETTINGS.model_copy(update=there | changed)


def lines_of(root: Path) -> list[dict[str, Any]]:
    """What the file of alerts holds."""
    return [json.loads(line) for line in (root / "alerts.jsonl").read_text("utf-8").splitlines()]


def at(root: Path, day: int, **changed: Any) -> tuple[Context, Scored]:
    """A run at a day, as far as these parts look at it."""
    settings = {"alerts": SETTINGS, "monitor": LIMITS, "retraining": POLICY, **changed}
    context = SimpleNamespace(
        job="pipeline",
        root=root,
        lake=Lake(root, f"2026030{day}T000000Z-monitor-{day}", Layout(buckets=1, period="all")),
        config=SimpleNamespace(**settings),
        use_case=SimpleNamespace(name="shop", metric="roc_auc", sources=(), label=LABEL, entity=CUSTOMER),
        as_of=FIRST + timedelta(days=day),
        now=FIRST + timedelta(days=day, hours=1),
    )
    batches = (derived_batch(table, {"day": day}) for table in (DRIFT, PERFORMANCE))
    scored = Scored("champion", cast("Any", SimpleNamespace(version="3")), CARD, (), ("p",), 500, *batches)
    return cast("Context", context), scored


def test_an_alert_is_sent_once_and_kept_each_time(tmp_path: Path) -> None:
    with webhook() as (port, got):
        told = heard_at(port)
        for day in (0, 1):
            context, scored = at(tmp_path, day, alerts=told)
            write_text(run_folder(tmp_path, context.lake.run_id) / "report.html", "")
            assert telling.tell_and_keep(context, [MOVED], scored.judged) == ()
    assert len(got) == 1
    assert "shop.count" in got[0][1]["text"]
    assert got[0][1]["text"].endswith("20260300T000000Z-monitor-0/report.html")
    rows = read_arrow(at(tmp_path, 2)[0].lake, ALERTS).to_pylist()
    assert sorted((row["as_of"].day, row["sent"]) for row in rows) == [(1, True), (2, False)]
    assert (
        (run_folder(tmp_path, "20260300T000000Z-monitor-0") / "alerts.txt").read_text("utf-8").startswith("[tidemill")
    )


def test_the_same_time_judged_again_sends_nothing_again(tmp_path: Path) -> None:
    with webhook() as (port, got):
        for late in ("p", "q"):
            context, scored = at(tmp_path, 0, alerts=heard_at(port))
            scored = replace(scored, drift_batch=derived_batch(DRIFT, {"day": 0, "predictions": late}))
            telling.tell_and_keep(context, [MOVED], scored.judged)
    assert len(got) == 1


def test_what_could_not_be_sent_is_said_kept_and_tried_again(tmp_path: Path) -> None:
    inside = SETTINGS.model_copy(update={"webhook": "http://127.0.0.1:9/"})
    for day in (0, 1):
        context, scored = at(tmp_path, day, alerts=inside)
        (said,) = telling.tell_and_keep(context, [MOVED], scored.judged)
        assert said.startswith("'127.0.0.1' is 127.0.0.1, an address of the inside")
    rows = read_arrow(context.lake, ALERTS).to_pylist()
    assert [(row["sent"], row["failure"] is not None) for row in rows] == [(False, True)] * 2


def test_a_channel_that_fails_keeps_nothing_from_another_and_gets_it_later(tmp_path: Path) -> None:
    with webhook() as (port, got), webhook(500) as (broken, _):
        failing = heard_at(broken, file="alerts.jsonl")
        context, scored = at(tmp_path, 0, alerts=failing)
        (said,) = telling.tell_and_keep(context, [MOVED], scored.judged)
        assert "it answers 500" in said
        assert len(lines_of(tmp_path)) == 1
        # The next day nothing is judged, nothing has moved, and the webhook is there again.
        for _ in range(2):
            context, _ = at(tmp_path, 1, alerts=heard_at(port, file="alerts.jsonl"))
            assert telling.tell_again(context, []) == ()
    (message,) = (body["text"] for _, body in got)
    assert f"- {MOVED.line} (as of 2026-03-01)" in message.splitlines()
    assert len(lines_of(tmp_path)) == 1  # which had it
    rows = read_arrow(context.lake, DELIVERIES).to_pylist()
    tried = [(row["channel"], row["as_of"].day, row["sent"]) for row in sorted(rows, key=lambda r: r["made_at"])]
    assert tried == [("webhook", 1, False), ("file", 1, True), ("webhook", 1, True)]


def test_a_run_that_dies_between_two_channels_tells_the_other_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException): ...

    def die(*_: object) -> None:
        raise Killed

    with webhook() as (port, got):
        context, scored = at(tmp_path, 0, alerts=heard_at(port, file="alerts.jsonl"))
        monkeypatch.setattr(delivery, "append", die)
        with pytest.raises(Killed):
            telling.tell_and_keep(context, [MOVED], scored.judged)
        monkeypatch.undo()
        assert telling.tell_and_keep(context, [MOVED], scored.judged) == ()
    assert (len(got), len(lines_of(tmp_path))) == (1, 1)


def test_a_run_with_nothing_to_judge_tells_what_is_new_once(tmp_path: Path) -> None:
    late = Alert("warn", "stale", "silver.orders", "late")
    for _ in range(2):
        context, _ = at(tmp_path, 0, alerts=SETTINGS.model_copy(update={"file": "alerts.jsonl"}))
        assert telling.tell_again(context, [late]) == ()
    assert len(lines_of(tmp_path)) == 1
    assert len(read_arrow(context.lake, ALERTS)) == 1


@pytest.mark.parametrize(
    ("code", "exit_code", "kind"),
    [("E_STALE", Exit.NO_INPUT, "stale"), ("E_NO_POPULATION", Exit.NO_INPUT, "no_data"),
     ("E_BUG", Exit.BUG, "failed_job"), ("E_LEASE", Exit.TRY_AGAIN, ""), ("E_TIME", Exit.USAGE, "")],
)  # fmt: skip
def test_a_run_that_fails_is_told_but_not_what_passes_by_itself(
    code: str, exit_code: Exit, kind: str, tmp_path: Path
) -> None:
    context, _ = at(tmp_path, 0, alerts=SETTINGS.model_copy(update={"file": "alerts.jsonl"}))
    error = TidemillError(code, "something is wrong", where="there", next_step="mend it", exit_code=exit_code)
    for _ in range(2):
        assert telling.tell_failure(context, error) == ()
    found = lines_of(tmp_path) if kind else []
    expected = [f"- alert, {kind}, shop.pipeline.{code}: something is wrong (there); mend it"] if kind else []
    assert [line["text"].splitlines()[1] for line in found] == expected


def test_a_silent_use_case_is_told_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, run in (("old", "20260101T000000Z-pipeline-1"), ("shop", "20260101T000000Z-pipeline-2")):
        write_json(run_folder(tmp_path, run) / "summary.json", {"status": "ok", "use_case": name, "run_id": run})
    context, scored = at(tmp_path, 5)
    found = alerting.find_alerts(context, scored, Moved([made("a", "warn"), made("b", "ok")], "few rows"), ())
    assert [(a.severity, a.kind, a.subject) for a in found] == [
        ("warn", "drift", "shop.a"),
        ("alert", "volume", "shop"),
        ("warn", "silent_job", "old"),
    ]


def test_decisions_look_back_at_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining, "training_times", lambda _: (FIRST,))
    registry = cast("Registry", SimpleNamespace(versions=lambda _: [OF_SCORED]))
    policy = POLICY.model_copy(update={"every_days": None, "mode": "act"})

    def decide(day: int, verdict: drift.VerdictName) -> str:
        context, scored = at(tmp_path, day, retraining=policy)
        found, whole, expected = [made("a", verdict)], drift.Verdict(verdict, ""), Estimate(None, "refused")
        return retraining.decide_retraining(context, registry, scored, found, whole, None, expected).action

    days: list[drift.VerdictName] = ["ok", "alert", "alert"]
    made_of_days = [decide(day, verdict) for day, verdict in enumerate(days)]
    assert made_of_days == ["none", "none", "retrain_and_promote"]
    rows = read_arrow(at(tmp_path, 3)[0].lake, DECISIONS).to_pylist()
    assert sorted((row["as_of"].day, row["action"], row["drift"]) for row in rows)[2] == (
        3,
        "retrain_and_promote",
        "alert",
    )
    held = retraining.why_not_to_train(at(tmp_path, 2, retraining=policy)[0])
    assert held is not None
    assert held.startswith("the decision at 2026-03-02T00:00:00Z was not to retrain: no drift alert")
    assert retraining.why_not_to_train(at(tmp_path, 3, retraining=policy)[0]) is None
    assert retraining.why_not_to_promote(at(tmp_path, 3, retraining=policy)[0]) is None
    advising = policy.model_copy(update={"mode": "advise"})
    assert retraining.why_not_to_train(at(tmp_path, 2, retraining=advising)[0]) is None


def test_a_decision_to_retrain_only_leaves_promotion_to_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining, "training_times", lambda _: (FIRST,))
    registry = cast("Registry", SimpleNamespace(versions=lambda _: [OF_SCORED]))
    policy = POLICY.model_copy(update={"every_days": 1, "mode": "act", "promote": False})
    context, scored = at(tmp_path, 0, retraining=policy)
    assert retraining.why_not_to_promote(context) is None
    verdict, refused = drift.Verdict("ok", ""), Estimate(None, "refused")
    made_of = retraining.decide_retraining(context, registry, scored, [], verdict, None, refused)
    assert made_of.action == "retrain"
    held = retraining.why_not_to_promote(at(tmp_path, 1, retraining=policy)[0])
    assert held == "the decision at 2026-03-01T00:00:00Z was to retrain and not to promote"
    advising = policy.model_copy(update={"mode": "advise"})
    assert retraining.why_not_to_promote(at(tmp_path, 1, retraining=advising)[0]) is None


def test_the_same_rows_are_no_reason_to_train_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matured = [FIRST - timedelta(days=30 * n) for n in (1, 2)]
    monkeypatch.setattr(retraining, "training_times", lambda _: tuple(matured))
    seen = {"start": int(matured[0].timestamp() * 1e6), "step": 1, "count": 1}
    newer = SimpleNamespace(version="4", tags={"as_of": "2026-02-20T00:00:00Z"})
    learnt = {"times": {"final": [seen]}}
    registry = cast("Registry", SimpleNamespace(versions=lambda _: [newer, OF_SCORED], document=lambda *_: learnt))
    policy = POLICY.model_copy(update={"new_times": 1, "cool_down_days": 0})
    verdict, refused = drift.Verdict("ok", ""), Estimate(None, "refused")

    def decide(day: int) -> Decision:
        context, scored = at(tmp_path, day, retraining=policy)
        return retraining.decide_retraining(context, registry, scored, [], verdict, None, refused)

    assert decide(0).action == "retrain_and_promote"  # the challenger, which lost, has learnt from one of the two
    matured.pop()
    assert decide(1) == Decision(
        "none",
        (
            "labels of 1 as-of time(s) have matured since it was trained",
            "but labels of no new as-of time have matured since the last training, and 1 are needed",
        ),
    )


def test_only_labels_that_had_matured_at_t_are_known_at_t(tmp_path: Path) -> None:
    scored_at = [FIRST + timedelta(days=day) for day in (0, 2, 4)]
    context, scored = at(tmp_path, 0)
    assert known_performance(context) is None
    facts = {"use_case": "shop", "as_of": FIRST, "model_version": "3", "metric": "roc_auc", "kind": REALISED}
    rows = [
        {**facts, "event_timestamp": t, "value": 0.9 - 0.1 * n, "baseline": 0.5, "matured_at": t + timedelta(days=3)}
        for n, t in enumerate(scored_at)
    ]
    table = pa.Table.from_pylist(rows, schema=delta_schema(PERFORMANCE.columns))
    commit(context.lake, PERFORMANCE, scored.performance_batch, table)
    found = {day: known_performance(at(tmp_path, day)[0]) for day in (0, 2, 3, 4, 5, 7)}
    assert {day: known and round(known.value, 3) for day, known in found.items()} == {
        0: None, 2: None, 3: 0.9, 4: 0.9, 5: 0.8, 7: 0.7,
    }  # fmt: skip


def test_expected_and_realised_stand_beside_each_other(tmp_path: Path) -> None:
    context, scored = at(tmp_path, 4)
    t, later = FIRST, FIRST + timedelta(days=3)
    facts = {"use_case": "shop", "as_of": t, "model_version": "3", "metric": "roc_auc", "matured_at": later}
    judged = {**facts, "event_timestamp": t, "kind": REALISED, "rows": 9, "judged_at": later, "promised": 0.8}
    judged["baseline"] = 0.6
    rows = [
        {**facts, "event_timestamp": t, "kind": EXPECTED, "value": 0.7, "low": 0.6, "high": 0.8},
        {**facts, "event_timestamp": later, "kind": EXPECTED, "value": 0.75},
        {**judged, "value": 0.5, "judged_at": t + timedelta(days=2)},
        {**judged, "value": 0.65},
        {**judged, "value": 0.1, "slice": "plan", "slice_value": "pro"},
        {**judged, "value": 0.2, "metric": "ks"},
        {**judged, "value": 0.3, "kind": HINDSIGHT},
        {**judged, "value": 0.4, "use_case": "other"},
    ]
    table = pa.Table.from_pylist(rows, schema=delta_schema(PERFORMANCE.columns))
    commit(context.lake, PERFORMANCE, scored.performance_batch, table)
    first, second = track_points(context)
    assert (first.as_of, first.expected, first.realised, first.promised) == ("2026-03-01T00:00:00Z", 0.7, 0.65, 0.8)
    assert (second.as_of, second.expected, second.realised, second.rows) == ("2026-03-04T00:00:00Z", 0.75, None, None)
    assert [point.realised for point in track_points(at(tmp_path, 2)[0])] == [None]
    fresh = [{**judged, "value": 0.6, "judged_at": later + timedelta(hours=1), "judged_rows": "new"}]
    known = known_performance(context, fresh)
    assert known is not None
    assert (known.value, known.promised, known.version, known.judged_rows) == (0.6, 0.8, "3", "new")


def test_scores_that_fall_short_are_an_alert_and_a_changed_concept_is_one_of_the_label(tmp_path: Path) -> None:
    context, scored = at(tmp_path, 9)
    facts = {"use_case": "shop", "as_of": FIRST, "model_version": "3", "metric": "roc_auc", "rows": 900}
    rows: list[dict[str, Any]] = []
    for day, value in enumerate((0.79, 0.72, 0.71)):
        at_day = {
            **facts,
            "event_timestamp": FIRST + timedelta(days=day),
            "matured_at": FIRST + timedelta(days=day + 1),
        }
        ends = {"low": value - 0.02, "high": value + 0.02}
        gate = {"promised": 0.8, "promised_low": 0.78, "promised_high": 0.82}
        rows += [
            {**at_day, "kind": REALISED, "value": value, "baseline": 0.65, **ends, **gate},
            {**at_day, "kind": EXPECTED, "value": 0.79, "low": 0.77, "high": 0.81},
        ]
    table = pa.Table.from_pylist(rows, schema=delta_schema(PERFORMANCE.columns))
    commit(context.lake, PERFORMANCE, scored.performance_batch, table)

    def raised(day: int) -> list[tuple[str, str, str, str]]:
        context, scored = at(tmp_path, day)
        fallen = find_shortfalls("roc_auc", turned_out(context), LIMITS)
        found = alerting.find_alerts(context, scored, Moved([], None), fallen)
        return [(a.severity, a.kind, a.subject, a.text) for a in found]

    assert raised(1) == []
    assert [one[:3] for one in raised(2)] == [
        ("warn", "performance", "shop"),
        ("warn", "concept_change", "shop.churned"),
    ]
    (_, _, _, scores), (_, _, _, concept) = raised(3)
    assert scores == (
        "roc_auc 0.71 (0.69 to 0.73) on 900 labels of 2026-03-03; the gate had promised 0.8 (0.78 to 0.82),"
        " 2 times in a row"
    )
    assert concept.startswith("roc_auc 0.71 (0.69 to 0.73) on 900 labels of 2026-03-03; 0.79 (0.77 to 0.81) had been")


def test_a_model_behind_its_baseline_is_an_alert_where_the_rows_can_tell(tmp_path: Path) -> None:
    context, scored = at(tmp_path, 0)

    def raised(value: float) -> list[tuple[str, str]]:
        one = Turned(FIRST, 900, Interval(value, value - 0.02, value + 0.02), {"baseline": Interval(0.7, 0.7, 0.7)})
        found = alerting.find_alerts(context, scored, Moved([], None), find_shortfalls("roc_auc", [one], LIMITS))
        return [(a.severity, a.kind) for a in found]

    assert {value: raised(value) for value in (0.6, 0.69, 0.8)} == {0.6: [("alert", "performance")], 0.69: [], 0.8: []}
