"""The page of a backtest: well-formed, complete, and nothing on it breaks out."""

import xml.etree.ElementTree as ET
from dataclasses import replace

from tidemill.pages.backtest import AgePoint, Backtest, render_backtest

HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
FOUND = Backtest(
    use_case="<b>retail",
    as_of="2011-11-01T00:00:00Z",
    run_id="run-1",
    generated="2024-01-01T00:00:00Z",
    metric="roc_auc",
    recipe="xgboost: {'max_depth': 3}",
    step="a month",
    trained=("2011-06-01T00:00:00Z", "2011-07-01T00:00:00Z"),
    conclusion="no model up to 1 grid step(s) old does clearly worse than a fresh one",
    ages=(AgePoint(0, 2, 0.71, 0.71, 0.0, None, clear=False), AgePoint(1, 1, 0.70, 0.715, 0.015, 0.001, clear=True)),
)


def test_the_page_tells_every_age() -> None:
    page = render_backtest(FOUND)
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314 - our own page
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter(f"{HTML}tr")]
    assert rows[2] == ["1", "1", "0.7000", "0.7150", "0.01500", "0.001000", "yes"]
    assert [row[-1] for row in rows[1:]] == ["no", "yes"]
    assert len(list(root.iter(f"{SVG}svg"))) == 1
    assert "<b>retail" not in page
    assert "No model up to 1 grid step(s) old" in page
    assert "2011-06-01, 2011-07-01" in page


def test_one_age_is_no_line() -> None:
    assert "<svg" not in render_backtest(replace(FOUND, ages=FOUND.ages[:1]))
