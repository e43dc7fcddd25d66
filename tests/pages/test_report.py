"""The report page: what it says, in which order, and that nothing on it can run, fetch or break out."""

import base64
import dataclasses
import hashlib
import math
import re
import xml.etree.ElementTree as ET

import pytest
from tidemill.pages.courses import Course, CoursePoint
from tidemill.pages.report import (
    RMSE,
    Balance,
    CalibrationBin,
    Candidate,
    Count,
    Curve,
    Decision,
    DriftRow,
    Expected,
    Fact,
    PerformancePoint,
    Promotion,
    Report,
    TrackPoint,
    Verdict,
    render_report,
)
from tidemill.pages.slices import SliceRow, Slices
from tidemill.pages.sources import SourceRow

SVG = "{http://www.w3.org/2000/svg}"
HTML = "{http://www.w3.org/1999/xhtml}"
EMPTY = Report(
    title="Churn",
    use_case="churn",
    as_of="2011-11-01T00:00:00Z",
    run_id="run-1",
    generated="2011-11-02T03:04:05Z",
    verdict="ok",
    verdict_reason="All is well.",
)
HOSTILE = (
    "</td></style><script>alert('x')</script><img src=\"http://evil.example/a.png\" onerror='x'>&\x00\ud800\u202e"
    + "W" * 300
)


def drift(feature: str, value: float | None, verdict: Verdict = "ok") -> DriftRow:
    return DriftRow(feature, value, verdict, 1.0, 2.0, 0.0, 0.5, ("a", "b"), (1, 3), (2, 2))


FULL = dataclasses.replace(
    EMPTY,
    verdict="warn",
    verdict_reason="One feature moved.",
    facts=(Fact("Scored", "4338 accounts"),),
    retraining=Decision("retrain", ("The model is 92 days old.",)),
    performance=(
        PerformancePoint("2011-10-01T00:00:00Z", 1200, 0.75, 0.70, 0.031),
        PerformancePoint("2011-09-01T00:00:00Z", 1100, 0.78, 0.71, 0.030),
    ),
    evaluated_on="the gate rows of 2011-10-01",
    roc=(Curve(((0, 0), (0.2, 0.7), (1, 1)), "challenger"),),
    calibration=(CalibrationBin(0.1, 0.12, 300), CalibrationBin(0.4, 0.35, 20)),
    candidates=(
        Candidate("Boosted trees", "depth 4", 0.81, 0.80, chosen=True),
        Candidate("One feature", "days since last order", 0.71, 0.70, baseline=True),
    ),
    promotion=Promotion("Promoted", ("Better by 0.02.",), "churn 3", "churn 4"),
    drift=(drift("orders", 0.01), drift("visits", 0.3, "warn")),
    drift_note="PSI warns from 0.1.",
    balance=Balance(100, 90, 7, 3, (("price is negative", 2), ("no customer", 5))),
    counts=(Count("silver.invoices", 90, "16 buckets"),),
    versions=(Fact("silver.invoices", "version 14"),),
    next_steps=("tidemill explain run-1",),
)


POINTS = tuple(CoursePoint(f"2011-{m:02d}-01T00:00:00Z", m / 20, "warn" if m > 6 else "ok") for m in range(1, 10))
WHOLE = dataclasses.replace(
    FULL,
    fallen=("ROC AUC 0.71 on 900 labels; 0.79 had been expected",),
    slices=Slices(
        "2011-10-01T00:00:00Z",
        SliceRow("", None, 1200, 0.75, 0.72, 0.78),
        (SliceRow("plan", "basic", 700, 0.66, 0.62, 0.70), SliceRow("plan", None, 150, 0.77, 0.70, 0.83)),
    ),
    courses=(Course("visits", 0.6, POINTS), Course("orders", 0.1, (CoursePoint(POINTS[0].as_of, None, "ok"),))),
    sources=(
        SourceRow("silver.invoices", "2011-10-31T00:00:00Z", 24.0, 48.0),
        SourceRow("silver.visits", "2011-10-20T00:00:00Z", 288.0, 48.0),
        SourceRow("silver.notes", None, None, 48.0),
    ),
)


def parse(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))  # noqa: S314 - our own page


def words(node: ET.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def banner(page: str) -> str:
    return words(next(one for one in parse(page).iter(f"{HTML}section") if one.get("aria-label") == "Verdict"))


def section(page: str, name: str) -> str:
    found = [one for one in parse(page).iter(f"{HTML}section") if one.get("aria-labelledby") == name]
    return words(found[0])


@pytest.mark.parametrize("report", [EMPTY, FULL, WHOLE], ids=["empty", "full", "whole"])
def test_page_is_self_contained_and_well_formed(report: Report) -> None:
    page = render_report(report)
    root = parse(page)
    assert "<script" not in page
    links = re.findall(r"https?://[^\"<\s]+", page)
    assert set(links) <= {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}
    assert not [one for one in root.iter() for name in one.attrib if name in {"src", "style"} or name.startswith("on")]
    targets = {one.get("href", "").removeprefix("#") for one in root.iter(f"{HTML}a")}
    assert targets == {one.get("id") for one in root.iter() if one.get("id")}


def test_policy_allows_the_style_sheet_by_its_hash_and_nothing_else() -> None:
    root = parse(render_report(FULL))
    style = next(root.iter(f"{HTML}style")).text or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [one.get("content") for one in root.iter(f"{HTML}meta") if one.get("http-equiv")]
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]


def test_sections_stand_in_reading_order() -> None:
    headings = [words(one) for one in parse(render_report(FULL)).iter() if one.tag in {f"{HTML}h1", f"{HTML}h2"}]
    assert headings == [
        "Churn", "Population and model", "Realised performance", "Expected and realised", "Models compared", "Drift",
        "Freshness", "Data quality", "Versions", "Next steps",
    ]  # fmt: skip


def test_freshness_slices_and_drift_over_time_are_told() -> None:
    page = render_report(WHOLE)
    sources = section(page, "sources")
    assert "Later than agreed: silver.visits, silver.notes." in sources
    assert "silver.invoices OK 2011-10-31 24 48" in sources
    assert "silver.visits Warning 2011-10-20 288 48" in sources
    assert "silver.notes Alert holds no row n/a 48" in sources
    slices = section(page, "slices")
    assert "surely worse than of all together (0.7500) for plan = basic." in slices
    assert "plan is missing 150 0.7700 (0.7000 to 0.8300)" in slices
    courses = section(page, "courses")
    assert "Moved without a break: visits since 2011-07-01." in courses
    assert "visits 60 % 0.050 → 0.450" in courses
    assert 'aria-label="2011-07-01: Warning"' in page
    assert "They surely fall short: ROC AUC 0.71" in section(page, "track")


def test_what_is_not_known_of_sources_slices_and_time_is_not_made_up() -> None:
    empty = render_report(EMPTY)
    assert section(empty, "sources") == "Freshness Of no source it is known how far it reaches."
    assert 'id="slices"' not in empty
    assert 'id="courses"' not in empty
    fine = dataclasses.replace(WHOLE, courses=WHOLE.courses[1:], sources=WHOLE.sources[:1], metric=RMSE)
    page = render_report(fine)
    assert "None of them moves now." in section(page, "courses")
    assert "<svg" not in page.partition('id="courses"')[2].partition("<table")[0].partition("Oldest")[0]
    assert "Every source reaches as far as its contract asks." in section(page, "sources")
    # Of an error the greater is worse; the slice of missing plans meets what all have.
    assert "RMSE is surely worse than of all together (0.7500) for no slice." in section(page, "slices")


@pytest.mark.parametrize(
    ("verdict", "word", "advice"),
    [
        ("ok", "OK.", "Nothing needs doing now."),
        ("warn", "Warning.", "Please look at what is marked below before the next run."),
        ("alert", "Alert.", "Please look at what is marked below before anyone acts on these scores."),
        ("insufficient", "Not enough data.", "Too few rows to judge by: wait for more, or widen the window."),
    ],
)
def test_verdict_has_a_word_a_reason_and_advice(verdict: Verdict, word: str, advice: str) -> None:
    page = render_report(dataclasses.replace(EMPTY, verdict=verdict))
    assert banner(page) == f"{word} All is well. What to do: {advice}"


def test_alerts_and_what_is_expected_are_told() -> None:
    lines = ("alert, drift, shop.visits: its level is 1.00 sd above the usual", f"warn, stale, silver.{HOSTILE}: late")
    expected = Expected(0.81, 0.79, 0.83, "expected of the scores")
    page = render_report(dataclasses.replace(FULL, alerts=lines, expected=expected))
    assert "2 alerts" in page
    assert lines[0] in page
    assert HOSTILE not in page
    assert "ROC AUC is put at 0.8100 (0.7900 to 0.8300): expected of the scores." in section(page, "performance")
    refused = dataclasses.replace(FULL, expected=Expected(None, None, None, "refused: too few"))
    assert "ROC AUC is not estimated; refused: too few." in section(render_report(refused), "performance")
    assert "alerts</strong>" not in render_report(FULL)


def test_advice_and_retraining_are_told_with_the_verdict() -> None:
    report = dataclasses.replace(FULL, advice="Ask the data team.", retraining=Decision("none", ("No label matured.",)))
    assert banner(render_report(report)) == (
        "Warning. One feature moved. What to do: Ask the data team. Retraining is not needed. No label matured."
    )


def test_sections_tell_their_values() -> None:
    page = render_report(FULL)
    assert section(page, "facts") == "Population and model Scored 4338 accounts"
    assert "those of 2011-10-01: ROC AUC 0.7500 on 1 200 rows, 0.050 better than the baseline" in section(
        page, "performance"
    )
    assert "Measured on the gate rows of 2011-10-01." in section(page, "performance")
    models = section(page, "models")
    assert "Boosted trees depth 4 0.8100 0.8000 ✓ chosen One feature" in models
    assert "Promoted: challenger churn 4, champion before churn 3. Better by 0.02." in models
    assert "visits Warning 0.300 1 → 2 0 % → 50 % orders OK 0.010" in section(page, "drift")
    quality = section(page, "quality")
    assert "no customer 5 price is negative 2" in quality
    assert "silver.invoices 90 16 buckets" in quality
    assert section(page, "versions") == "Versions silver.invoices version 14"
    assert section(page, "next") == "Next steps tidemill explain run-1"


def test_expected_and_realised_stand_in_one_table_and_one_chart() -> None:
    track = (
        TrackPoint("2011-10-08T00:00:00Z", "4", expected=0.8, expected_low=0.78, expected_high=0.82, promised=0.81),
        TrackPoint("2011-10-01T00:00:00Z", "4", 900, 0.75, 0.72, 0.78, 0.79, 0.77, 0.81, 0.7, 0.81),
    )
    page = render_report(dataclasses.replace(FULL, track=track))
    told = section(page, "track")
    assert "of 2011-10-01 ROC AUC came to 0.7500; 0.7900 had been expected; the gate had promised 0.8100." in told
    assert "1 of 2 as-of times wait for their labels." in told
    assert "2011-10-01 4 0.7900 (0.7700 to 0.8100) 0.7500 (0.7200 to 0.7800) 900 0.7000 0.8100" in told
    assert "2011-10-08 4 0.8000 (0.7800 to 0.8200) not matured n/a n/a 0.8100" in told
    charts = [one for one in parse(page).iter(f"{SVG}title") if one.text == "ROC AUC, expected and realised"]
    assert len(charts) == 1
    assert "No label of a stored prediction has matured yet." in section(render_report(FULL), "track")
    many = tuple(TrackPoint(f"2011-10-{day:02d}T00:00:00Z", "4", 9, 0.7) for day in range(1, 15))
    assert "2 earlier as-of times" in section(render_report(dataclasses.replace(FULL, track=many)), "track")


def test_what_comes_out_and_all_features_together_have_sections_of_their_own() -> None:
    report = dataclasses.replace(
        FULL, outputs=(drift("score", 0.4, "alert"),), joint=f"trees tell them apart {HOSTILE}"
    )
    page = render_report(report)
    assert "score Alert 0.400 1 → 2" in section(page, "outputs")
    assert "trees tell them apart" in section(page, "joint")
    assert HOSTILE not in page
    assert 'href="#outputs"' not in render_report(FULL)


def test_empty_sections_say_so() -> None:
    page = render_report(EMPTY)
    assert section(page, "facts").endswith("Nothing was recorded about the population and the model.")
    assert "No outcomes are known yet" in section(page, "performance")
    assert "ROC curve: there is nothing to draw yet." in section(page, "performance")
    assert section(page, "models") == (
        "Models compared No model was trained in this run. Promotion There was no challenger to decide about."
    )
    assert section(page, "drift") == "Drift Drift was not measured in this run."
    assert section(page, "quality") == "Data quality No rows were read in this run."
    assert section(page, "versions") == "Versions No versions were recorded."
    assert section(page, "next") == "Next steps There is nothing more to run."
    assert "<table" not in page


def test_regression_has_no_roc_no_calibration_and_no_positive_rate() -> None:
    point = PerformancePoint("2016-03-01T06:00:00Z", 40, 12.5, 14.0)
    page = render_report(dataclasses.replace(FULL, task="regression", metric=RMSE, performance=(point,)))
    told = section(page, "performance")
    assert "RMSE 12.50 on 40 rows, 1.5 better than the baseline (14.00)." in told
    assert "With a second as-of time there will be a line to draw." in told
    assert "ROC" not in page
    assert "calibration" not in told
    assert "Positive" not in told
    assert "lower is better" in section(page, "models")


def test_hostile_text_stays_text_everywhere() -> None:
    report = Report(
        title=HOSTILE, use_case=HOSTILE, as_of=HOSTILE, run_id=HOSTILE, generated=HOSTILE, verdict="alert",
        verdict_reason=HOSTILE, advice=HOSTILE, facts=(Fact(HOSTILE, HOSTILE),),
        retraining=Decision("retrain", (HOSTILE,)),
        performance=(PerformancePoint(HOSTILE, 1, 0.5), PerformancePoint(HOSTILE, 1, 0.6)),
        evaluated_on=HOSTILE, roc=(Curve(((0, 0), (1, 1)), HOSTILE),),
        candidates=(Candidate(HOSTILE, HOSTILE, None, None, chosen=True),),
        promotion=Promotion(HOSTILE, (HOSTILE,), HOSTILE, HOSTILE),
        drift=(DriftRow(HOSTILE, None, "ok", bins=(HOSTILE,), reference=(1,), current=(1,), reason=HOSTILE),),
        drift_metric=HOSTILE, drift_note=HOSTILE, balance=Balance(1, 0, 1, 0, ((HOSTILE, 1),)),
        counts=(Count(HOSTILE, 1, HOSTILE),), versions=(Fact(HOSTILE, HOSTILE),), next_steps=(HOSTILE,),
    )  # fmt: skip
    page = render_report(report)
    root = parse(page)
    page.encode("utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert not [one for one in root.iter() if one.tag.endswith(("script", "img"))]
    assert sum(1 for _ in root.iter(f"{HTML}style")) == 1
    assert "</td></style><script>alert('x')</script>" in section(page, "next")


def test_numbers_that_are_not_numbers_read_as_missing() -> None:
    row = DriftRow("orders", math.nan, "insufficient", math.nan, math.nan, None, math.nan)
    points = (PerformancePoint("2011-10-01", 0, math.nan, math.nan, math.nan),)
    page = render_report(
        dataclasses.replace(
            EMPTY,
            drift=(row, drift("visits", math.inf, "alert")),
            performance=points,
            candidates=(Candidate("Boosted trees", "", math.nan, math.nan, chosen=True),),
        )
    )
    assert "nan" not in words(parse(page)).lower().split()
    assert "visits Alert ∞ 1 → 2 0 % → 50 % orders Not enough data n/a n/a n/a" in section(page, "drift")
    assert "No outcomes are known yet" in section(page, "performance")
    assert "Boosted trees, which has no ROC AUC on the gate rows yet." in section(page, "models")


def test_drift_is_sorted_by_severity_and_folds_after_twelve() -> None:
    rows = (
        *(drift(f"fine_{index:02d}", index / 100) for index in range(14)),
        drift("unknown", None, "insufficient"),
        drift("unknown_metric", None, "alert"),
        drift("worst", 0.9, "alert"),
        drift("warned", 5.0, "warn"),
    )
    root = parse(render_report(dataclasses.replace(EMPTY, drift=rows)))
    details = next(root.iter(f"{HTML}details"))
    names = [words(one) for one in root.iter(f"{HTML}th") if one.get("scope") == "row"]
    assert names[:5] == ["worst", "unknown_metric", "warned", "unknown", "fine_13"]
    assert len(names) == 18
    assert words(details).startswith("The other 6 features")
    assert [words(one) for one in details.iter(f"{HTML}th") if one.get("scope") == "row"] == [
        "fine_05", "fine_04", "fine_03", "fine_02", "fine_01", "fine_00",
    ]  # fmt: skip
    charts = [words(one) for one in root.iter(f"{HTML}figcaption")]
    assert charts[0] == "Alert worst"
    assert len(charts) == 12


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (("2011-01-01T00:00:00Z", "2011-03-01T00:00:00Z"), ["2011-01-01", "2011-03-01"]),
        (
            ("2011-01-01T00:00:00Z", "2011-01-02T06:00:00Z", "2011-01-03T00:00:00Z"),
            ["2011-01-01", "2011-01-02 06:00", "2011-01-03"],
        ),
        (("2011-01-01", "2011-01-02", "2011-03-01"), ["2011-01-01", "2011-03-01"]),
        (("one", "three", "two"), ["one", "three", "two"]),
        (("2011-01-01", "2011-01-01"), ["2011-01-01", "2011-01-01"]),
    ],
)
def test_times_are_laid_out_to_scale_and_labelled_where_there_is_room(
    times: tuple[str, ...], labels: list[str]
) -> None:
    points = tuple(PerformancePoint(time, 10, 0.5) for time in times)
    root = parse(render_report(dataclasses.replace(EMPTY, performance=points)))
    shown = [one.text for one in root.iter(f"{SVG}text") if one.get("text-anchor") == "middle"]
    assert shown == [*labels, "as-of time"]


def test_performance_is_told_in_time_order_and_folds_after_twelve() -> None:
    points = tuple(
        PerformancePoint(f"{year}-01-01T00:00:00Z", 10, 0.5 + year / 10_000) for year in range(2014, 2000, -1)
    )
    root = parse(render_report(dataclasses.replace(EMPTY, performance=points)))
    rows = [words(one) for one in root.iter(f"{HTML}th") if one.get("scope") == "row"]
    assert rows == [f"{year}-01-01" for year in [*range(2003, 2015), 2001, 2002]]
    assert words(next(root.iter(f"{HTML}summary"))) == "2 earlier as-of times"


def test_a_page_with_many_features_stays_small() -> None:
    rows = tuple(drift(f"view.feature_{index}", index / 1000) for index in range(500))
    assert len(render_report(dataclasses.replace(FULL, drift=rows))) < 500_000


def test_rendering_twice_gives_the_same_page() -> None:
    assert render_report(FULL) == render_report(FULL)


def test_histograms_must_be_as_long_as_their_bins() -> None:
    with pytest.raises(ValueError, match="drift of orders: 2 bins, 1 reference and 2 current values"):
        DriftRow("orders", 0.1, "ok", bins=("a", "b"), reference=(1,), current=(1, 2))


def test_unknown_verdicts_are_refused() -> None:
    with pytest.raises(ValueError, match="no verdict 'fine'; use one of ok, warn, alert, insufficient"):
        dataclasses.replace(EMPTY, verdict="fine")  # type: ignore[arg-type]
