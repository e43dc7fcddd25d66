"""The pages in a real browser, on a phone and on a desk: nothing is asked for, said or too wide."""

from dataclasses import replace
from pathlib import Path

import pytest
from pages.test_backtest_page import FOUND as BACKTEST
from pages.test_overview import FOUND, MANY
from pages.test_report import EMPTY, HOSTILE, WHOLE, drift
from servers.chromium import Chromium
from tidemill.pages.backtest import render_backtest
from tidemill.pages.overview import render_overview
from tidemill.pages.report import render_report

PAGES = {
    "report": render_report(WHOLE),
    "report of little": render_report(EMPTY),
    "report of long names": render_report(replace(WHOLE, use_case=HOSTILE, drift=(drift("x" * 200, 0.4, "alert"),))),
    "index": render_overview(FOUND),
    "long index": render_overview(MANY),
    "backtest": render_backtest(BACKTEST),
}


@pytest.fixture(params=list(PAGES))
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGES[request.param], encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "media", "dark"), [(360, "screen", False), (360, "screen", True),
                                                      (1280, "screen", False), (760, "print", False)])  # fmt: skip
def test_a_page_fits_and_is_quiet(page: Path, width: int, media: str, dark: bool, chromium: Chromium) -> None:
    found = chromium.look_at(page, width, media=media, dark=dark)
    assert found.asked == [page.as_uri()]
    assert found.said == []
    assert (found.over, found.beyond) == (0, [])


def test_the_index_leads_to_reports_beside_it(chromium: Chromium, tmp_path: Path) -> None:
    index = tmp_path / "churn.html"
    index.write_text(PAGES["index"], encoding="utf-8")
    links = {Path(link.removeprefix("file://")) for link in chromium.look_at(index, 360).links}
    assert links == {tmp_path / f"run-{day}" / f"report-{day}.html" for day in (1, 2, 3)}


def test_what_a_page_does_is_seen(chromium: Chromium, tmp_path: Path) -> None:
    """The looking itself: a page that asks, complains and is too wide is found out."""
    bad = tmp_path / "bad.html"
    wide = "<div style='width: 900px'>wide</div><script>console.error('words')</script><img src='nothing.png'>"
    bad.write_text(f"<!DOCTYPE html><meta name='viewport' content='width=device-width'>{wide}", encoding="utf-8")
    found = chromium.look_at(bad, 360)
    assert found.asked == [bad.as_uri(), (tmp_path / "nothing.png").as_uri()]
    assert any("words" in line for line in found.said)
    assert found.over > 0
    assert [line.split()[0] for line in found.beyond] == ["DIV"]
