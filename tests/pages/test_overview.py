"""The index of reports: every judgement with what changed, how sure, what to do; and nothing on it breaks out."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from tidemill.pages.overview import Judgement, Overview, render_overview
from tidemill.pages.values import ROC_AUC, Expected, PerformancePoint, Verdict

HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
QUIET = "Nothing needs doing now."


def judged(day: int, verdict: Verdict = "ok", *changes: str, todo: tuple[str, ...] = (QUIET,)) -> Judgement:
    """A judgement of a day of January, or of later months as days go on."""
    at = f"2026-{1 + (day - 1) // 28:02d}-{1 + (day - 1) % 28:02d}"
    return Judgement(
        as_of=f"{at}T00:00:00Z",
        page=f"run-{day}/report-{day}.html",
        verdict=verdict,
        changes=changes,
        sure="None of 3 features has moved beyond what is usual.",
        todo=todo,
        expected=Expected(0.80 + day / 1000, 0.78, 0.84, "expected of the scores"),
    )


WARNED = judged(3, "warn", "Verdict: OK → Warning.", "visits: its level is up.", todo=("Look.", "Told: warn, drift."))
FOUND = Overview(
    use_case="churn",
    generated="2026-01-04T00:00:00Z",
    metric=ROC_AUC,
    judgements=(judged(1), judged(2), WARNED),
    realised=(PerformancePoint("2026-01-01T00:00:00Z", 900, 0.81, 0.70),),
)
MANY = replace(
    FOUND, judgements=(*(judged(day) for day in range(1, 121)), replace(WARNED, as_of="2026-06-01T00:00:00Z"))
)


def parse(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))  # noqa: S314 - our own page


def words(node: ET.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def articles(page: str) -> list[str]:
    return [words(one) for one in parse(page).iter(f"{HTML}article")]


def test_each_judgement_tells_what_changed_how_sure_and_what_to_do_newest_first() -> None:
    quiet = "Nothing changed since the report before. None of 3 features has moved beyond what is usual. " + QUIET
    told = "How sure None of 3 features has moved beyond what is usual. What to do Look. Told: warn, drift."
    assert articles(render_overview(FOUND)) == [
        f"2026-01-03 Warning What changed Verdict: OK → Warning. visits: its level is up. {told}",
        f"2026-01-02 OK {quiet}",
        f"2026-01-01 OK {quiet}",
    ]


def test_the_newest_stands_on_top_and_each_leads_to_its_report() -> None:
    root = parse(render_overview(FOUND))
    (now,) = (one for one in root.iter(f"{HTML}section") if one.get("aria-label") == "Now")
    assert words(now).startswith("Warning as of 2026-01-03. None of 3 features has moved")
    pages = [f"run-{day}/report-{day}.html" for day in (1, 2, 3)]
    assert [one.get("href") for one in root.iter(f"{HTML}a")] == [pages[2], *pages, *pages[::-1]]
    strip = next(root.iter(f"{HTML}ol"))
    assert [one.get("aria-label") for one in strip.iter(f"{HTML}a")] == [
        "2026-01-01: OK", "2026-01-02: OK", "2026-01-03: Warning",
    ]  # fmt: skip


def test_performance_is_told_and_drawn_realised_beside_expected() -> None:
    page = render_overview(FOUND)
    assert "those of 2026-01-01: ROC AUC 0.8100 on 900 rows, 0.11 better than the baseline" in page
    assert "Before outcomes are known, ROC AUC is put at 0.8030 (0.7800 to 0.8400): expected of the scores." in page
    charts = [one for one in parse(page).iter(f"{SVG}svg") if one.get("class") == "chart"]
    (desc,) = (words(one) for chart in charts for one in chart.iter(f"{SVG}desc"))
    assert "realised, on matured labels: from 0.81 to 0.81" in desc
    assert "expected, before labels: from 0.801 to 0.803" in desc


def test_with_one_judgement_there_is_no_line_and_nothing_realised_says_so() -> None:
    page = render_overview(replace(FOUND, judgements=FOUND.judgements[:1], realised=()))
    assert "With a second as-of time there will be a line to draw." in page
    assert "No outcomes are known yet" in page


def test_many_judgements_fold_away_but_all_are_there() -> None:
    page = render_overview(MANY)
    assert len(articles(page)) == 12
    folded = next(parse(page).iter(f"{HTML}details"))
    assert words(folded).startswith("109 older reports")
    assert len(list(folded.iter(f"{HTML}a"))) == 109
    assert len(list(next(parse(page).iter(f"{HTML}ol")).iter(f"{HTML}a"))) == 90
    assert len(page.encode()) < 250_000


def test_nothing_breaks_out_and_nothing_is_fetched() -> None:
    hostile = "</dd></style><script>alert('x')</script><img src=\"http://evil.example/a.png\">\x00\u202e" + "W" * 300
    one = replace(WARNED, changes=(hostile,), sure=hostile, todo=(hostile,))
    page = render_overview(replace(FOUND, use_case=hostile, judgements=(one,)))
    tags = {one.tag for one in parse(page).iter()}
    assert not tags & {f"{HTML}script", f"{HTML}img", f"{HTML}link"}
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_an_unknown_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        replace(WARNED, verdict="perhaps")  # type: ignore[arg-type]
