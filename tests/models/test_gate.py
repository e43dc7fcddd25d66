"""The gate on made-up evidence: each bad challenger is refused for its own reason, and a better one is promoted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tidemill.core.config import load_config
from tidemill.core.home import HOME
from tidemill.models.comparison import Calibration, Comparison, SliceGain
from tidemill.models.gate import decide
from tidemill.models.guardrails import Evidence, Packaged, lost_share
from tidemill.models.paired import Gain

if TYPE_CHECKING:
    from tidemill.core.gate_config import Promote

LIMITS = load_config(HOME / "conf", "local").promote
RAILS = ["calibration", "brier", "slices", "overfit", "leakage", "package"]


def gain(one: float, other: float, half: float | None, rows: int = 2_000, sign: int = 1) -> Gain:
    """A gain with an interval of that half width."""
    value = sign * (one - other)
    low, high = (None, None) if half is None else (value - half, value + half)
    return Gain(rows, one, other, value, low, high, "delong")


GOOD = Evidence(
    metric="roc_auc",
    challenger=0.78,
    baseline=0.65,
    trivial=0.5,
    train=0.84,
    compared=Comparison(
        baseline=gain(0.78, 0.65, 0.04),
        champion=gain(0.78, 0.74, 0.03),
        brier=gain(0.150, 0.152, 0.004, sign=-1),
        calibration=Calibration(0.03, 0.02),
        slices=(
            SliceGain("plan", "basic", gain(0.79, 0.75, 0.05, 900)),
            SliceGain("plan", None, gain(0.70, 0.72, 0.06, 300)),  # worse, as chance may have it
        ),
    ),
    moved=0.0,
    leaks=(),
    packaged=Packaged(500, 3e-16, 1e-9),
    numbers=900,
    champion_numbers=1_000,
)


def changed(evidence: Evidence = GOOD, **compared: Any) -> Evidence:
    return replace(evidence, compared=replace(evidence.compared, **compared))


def refused(evidence: Evidence, limits: Promote = LIMITS) -> tuple[str, str]:
    """The one check that stops a challenger, and its reason, which is among the decision's."""
    made = decide(evidence, limits)
    stopped = [check for check in made.checks if not check.passed]
    assert made.decision == "keep"
    assert len(stopped) == 1
    assert stopped[0].reason in made.reasons
    return stopped[0].name, stopped[0].reason


def test_a_better_challenger_is_promoted_and_every_check_is_kept() -> None:
    made = decide(GOOD, LIMITS)
    assert made.decision == "promote"
    assert [check.name for check in made.checks] == ["baseline", "champion", *RAILS]
    assert made.reasons == (
        "roc_auc 0.7800 beats the one-feature baseline's 0.6500",
        (
            "roc_auc 0.7800 against the champion's 0.7400 on the same 2,000 rows: a gain of +0.0400 (+0.0100 to "
            "+0.0700 at 95%), which is more than chance"
        ),
        "no guardrail stops it: calibration, brier, slices, overfit, leakage, package",
    )


def test_the_first_challenger_has_the_baseline_to_beat() -> None:
    first = replace(changed(champion=None, brier=None), champion_numbers=None)
    made = decide(first, LIMITS)
    assert made.decision == "promote"
    assert "there is no champion yet" in made.reasons
    assert refused(replace(first, challenger=0.64, train=0.65)) == (
        "baseline",
        "roc_auc 0.6400 does not beat the one-feature baseline's 0.6500",
    )
    assert refused(replace(first, challenger=0.65, train=0.65))[0] == "baseline"
    assert decide(replace(first, challenger=float("nan")), LIMITS).decision == "keep"


@pytest.mark.parametrize(
    ("champion", "numbers", "decision"),
    [
        (gain(0.78, 0.80, 0.01), 900, "keep"),
        (gain(0.78, 0.77, 0.02), 900, "keep"),  # better, as chance may have it
        (gain(0.78, 0.77, None), 900, "keep"),
        (gain(0.78, 0.78, 0.0), 900, "keep"),
        (gain(0.78, 0.77, 0.02), 500, "promote"),  # half as large
        (gain(0.78, 0.77, None), 500, "promote"),
        (gain(0.78, 0.78, 0.0), 500, "promote"),
        (gain(0.78, 0.78, 0.0), 501, "keep"),
        (gain(0.78, 0.785, 0.02), 100, "keep"),  # much simpler, but worse
    ],
)
def test_better_by_more_than_chance_or_not_worse_and_simpler(champion: Gain, numbers: int, decision: str) -> None:
    made = decide(replace(changed(champion=champion), numbers=numbers), LIMITS)
    assert made.decision == decision
    assert [check.name for check in made.checks if not check.passed] == ([] if decision == "promote" else ["champion"])


def test_a_worse_challenger_is_refused_with_the_figures() -> None:
    assert refused(changed(champion=gain(0.78, 0.80, 0.01)))[1] == (
        "roc_auc 0.7800 against the champion's 0.8000 on the same 2,000 rows: a gain of -0.0200 (-0.0300 to -0.0100 at "
        "95%), which is not more than chance"
    )
    simpler = decide(replace(changed(champion=gain(0.78, 0.77, 0.02)), numbers=400), LIMITS)
    assert simpler.checks[1].reason.endswith(
        "not worse, and simpler: its graph holds 400 numbers, the champion's 1,000"
    )


def test_an_over_fitted_challenger_is_refused() -> None:
    assert refused(replace(GOOD, train=0.999, challenger=0.72)) == (
        "overfit",
        (
            "it is over-fitted: roc_auc 0.9990 on the rows of the fit is 0.7200 on the gate, which loses 56% of it, "
            "more than 50%"
        ),
    )


def test_a_leaky_challenger_is_refused() -> None:
    assert refused(replace(GOOD, leaks=("refunds_sum_30d", "closed"))) == (
        "leakage",
        "it leaks: the audit names refunds_sum_30d, closed",
    )
    assert refused(replace(GOOD, leaks=None)) == ("leakage", "no leakage audit of its training rows is known")


def test_a_mis_calibrated_challenger_is_refused() -> None:
    assert refused(changed(calibration=Calibration(0.17, 0.02))) == (
        "calibration",
        (
            "it is mis-calibrated: its probabilities are off by 0.1700 on average (expected calibration error), more "
            "than 0.1000"
        ),
    )
    assert decide(changed(calibration=Calibration(0.17, 0.19)), LIMITS).decision == "promote"  # so few rows
    assert decide(replace(changed(calibration=Calibration(0.17, 0.02)), moved=0.08), LIMITS).decision == "promote"
    assert refused(changed(brier=gain(0.160, 0.150, 0.004, sign=-1))) == (
        "brier",
        "it is worse calibrated: Brier score 0.1600 against the champion's 0.1500, more than chance",
    )


def test_a_slice_breaking_challenger_is_refused() -> None:
    slices = (*GOOD.compared.slices, SliceGain("plan", "team", gain(0.60, 0.70, 0.05, 240)))
    assert refused(changed(slices=slices)) == (
        "slices",
        "it breaks a slice: where plan is 'team', roc_auc 0.6000 against the champion's 0.7000 on 240 rows",
    )
    unknown = (SliceGain("plan", None, gain(0.60, 0.70, None, 240)),)
    assert decide(changed(slices=unknown), LIMITS).decision == "promote"
    first = changed(champion=None, brier=None, slices=(SliceGain("plan", None, gain(0.60, 0.70, 0.05, 240)),))
    assert "where plan is null, roc_auc 0.6000 against the one-feature baseline's 0.7000" in refused(first)[1]


def test_an_unusable_package_is_refused() -> None:
    assert refused(replace(GOOD, packaged=Packaged(0, None, 1e-9, "No module named 'fancy'"))) == (
        "package",
        "the packaged model cannot be used: No module named 'fancy'",
    )
    assert refused(replace(GOOD, packaged=Packaged(500, 0.25, 1e-9)))[1] == (
        "the packaged model is another one: 500 rows scored by a clean process differ from Spark's scores by 2.5e-01 "
        "at most, more than 1e-09"
    )


def test_a_decision_names_all_that_is_wrong() -> None:
    made = decide(replace(GOOD, leaks=("closed",), train=1.0, challenger=0.6), LIMITS)
    assert [check.name for check in made.checks if not check.passed] == ["baseline", "overfit", "leakage"]
    assert len(made.reasons) == 4  # the gain over the champion stands among them, too


def test_approval_keeps_a_good_challenger_waiting_and_a_bad_one_out() -> None:
    asked = LIMITS.model_copy(update={"approval": True})
    made = decide(GOOD, asked)
    assert (made.decision, made.reasons[-1]) == ("wait", "it waits for approval")
    assert refused(replace(GOOD, leaks=("closed",)), asked)[0] == "leakage"


def test_an_error_is_better_where_it_is_smaller() -> None:
    found = Comparison(gain(9.0, 12.0, 1.0, sign=-1), gain(9.0, 10.0, 0.5, sign=-1), None, None, ())
    evidence = replace(GOOD, metric="rmse", challenger=9.0, baseline=12.0, train=7.0, compared=found)
    assert decide(evidence, LIMITS).decision == "promote"
    assert refused(replace(evidence, train=4.0))[0] == "overfit"
    assert refused(replace(evidence, baseline=8.0))[0] == "baseline"


@pytest.mark.parametrize(
    ("metric", "train", "gate", "trivial", "lost"),
    [
        ("roc_auc", 1.0, 0.75, 0.5, 0.5),
        ("roc_auc", 0.7, 0.8, 0.5, -0.5),
        ("roc_auc", 0.5, 0.5, 0.5, 0.0),
        ("log_loss", 0.25, 0.5, 1.25, 0.25),
        ("log_loss", 0.001, 0.003, 1.001, 0.002),
        ("log_loss", 0.5, 0.4, 1.0, -0.2),
        ("rmse", 5.0, 10.0, 20.0, 0.5),
        ("rmse", 10.0, 8.0, 20.0, -0.25),
        ("rmse", 0.0, 0.0, 20.0, 0.0),
    ],
)
def test_the_share_that_is_lost(metric: str, train: float, gate: float, trivial: float, lost: float) -> None:
    assert lost_share(metric, train, gate, trivial) == pytest.approx(lost)
