"""What judgements leave for the index, and what the index makes of several."""

from dataclasses import replace
from typing import Any

from monitoring.test_drift import made
from tidemill.monitoring.alerts import Alert
from tidemill.monitoring.drift import Verdict, VerdictName
from tidemill.monitoring.overview import entry_of, overview
from tidemill.monitoring.retraining import Decision
from tidemill.pages.track import TrackPoint
from tidemill.pages.values import RMSE
from tidemill.stats.expected import Estimate

GENERATED = "2026-03-01T00:00:00Z"


def entry(day: int, run: str, verdict: VerdictName = "ok", moved: tuple[str, ...] = (), **facts: str) -> dict[str, Any]:
    at = f"2026-01-{day:02d}T00:00:00Z"
    told = {"use_case": "shop", "as_of": at, "run_id": run, "generated": GENERATED, "page": f"{run}/x.html"}
    matured = TrackPoint(at, "1", rows=5, realised=0.8)
    return entry_of(
        facts=told | {"task": "binary", "version": "1"} | facts,
        found=[*(replace(made(name, "warn"), reason="its level is up") for name in moved), made("calm", "ok")],
        verdict=Verdict(verdict, "what was found"),
        decision=Decision("none" if verdict == "ok" else "retrain", ("it is time",)),
        alerts=[Alert("warn", "drift", f"shop.{name}", "it moved") for name in moved],
        points=[matured, TrackPoint(GENERATED, "1", expected=0.8)],
        expected=Estimate(None, "too few rows"),
    )


def test_what_changed_is_told_against_the_judgement_before() -> None:
    found = overview([entry(1, "r1"), entry(2, "r2", "warn", ("a", "b"), version="2"), entry(3, "r3", version="2")], "")
    first, second, third = (one.changes for one in found.judgements)
    assert first == ("This is the first report.",)
    assert second == (
        "Verdict: OK → Warning.", "Scored by version 2, before by 1.", "a: its level is up.", "b: its level is up.",
        "Retraining: none → retrain.",
    )  # fmt: skip
    assert third == ("Verdict: Warning → OK.", "As usual again: a, b.", "Retraining: retrain → none.")


def test_a_time_that_was_judged_again_is_told_once_by_the_newest_run() -> None:
    found = overview([entry(1, "r2", "warn", ("a",)), entry(1, "r1"), entry(2, "r3")], GENERATED)
    assert [(one.as_of[8:10], one.verdict, one.page) for one in found.judgements] == [
        ("01", "warn", "r2/x.html"), ("02", "ok", "r3/x.html"),
    ]  # fmt: skip
    assert [point.as_of[8:10] for point in found.realised] == ["01", "02"]


def test_what_to_do_names_retraining_and_alerts_and_not_too_many() -> None:
    names = tuple(f"f{n}" for n in range(7))
    (one,) = overview([entry(1, "r1", "warn", names)], GENERATED).judgements
    assert one.todo[0] == "Please look at what is marked in the report before the next run."
    assert one.todo[1] == "Retraining is advised: it is time."
    assert one.todo[2] == "Told: warn, drift, shop.f0: it moved"
    assert one.todo[-1] == "2 more alerts are in the report."
    assert one.changes[-1] == "2 more features moved."


def test_how_sure_is_told_by_chance_or_said_to_be_unknown() -> None:
    def sure(**tails: float | None) -> str:
        one = entry(1, "r1", "warn", tuple(tails))
        for name, tail in tails.items():
            one["moved"][name]["tail"] = tail
        return overview([one], GENERATED).judgements[0].sure

    assert sure() == "What was found."
    assert sure(a=None) == "What was found. By stated limits: without quiet days nothing is known of chance."
    assert sure(a=0.001, b=0.0002).endswith("The surest of them: chance does that on one quiet day in 5,000.")
    assert sure(a=0.0).endswith("on quiet days chance practically never does that.")


def test_errors_are_better_low() -> None:
    assert overview([entry(1, "r1", task="regression")], GENERATED).metric is RMSE
