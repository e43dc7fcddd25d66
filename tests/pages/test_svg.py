"""Charts: what is drawn, what is said where nothing can be, and that hostile text stays text."""

import itertools
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from tidemill.pages.axes import round_ticks, thinned
from tidemill.pages.marks import verdict_mark
from tidemill.pages.markup import breakable, clean, element
from tidemill.pages.svg import bar_pairs, calibration_chart, line_chart
from tidemill.pages.values import CalibrationBin, Curve, Verdict

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title><script>alert('x')</script>\"&\x00\x1b\ud800🌊"
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def parse(markup: Markup) -> ET.Element:
    return ET.fromstring(markup)  # noqa: S314 - our own markup


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in root.iter() if name in one.get("class", "").split()]


def line(*points: tuple[float, float], label: str = "champion") -> Curve:
    return Curve(points, label)


def test_line_chart_has_title_description_axis_names_and_outer_ticks() -> None:
    chart = line_chart(
        [line((0, 0.7), (10, 0.78)), line((0, 0.7), (10, 0.71), label="baseline")],
        title="ROC AUC over as-of times",
        x_label="as-of time",
        y_label="ROC AUC",
        x_ticks=((0, "2011-01-01"), (10, "2011-02-01")),
    )
    root = parse(chart)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "ROC AUC over as-of times"
    assert root.findtext(f"{SVG}desc") == (
        "ROC AUC by as-of time. champion: from 0.7 to 0.78, last 0.78; baseline: from 0.7 to 0.71, last 0.71."
    )
    assert texts(root) == [
        "ROC AUC", "0.70", "0.72", "0.74", "0.76", "0.78", "2011-01-01", "2011-02-01", "as-of time",
        "champion", "baseline",
    ]  # fmt: skip


def test_points_lie_where_their_values_say() -> None:
    root = parse(line_chart([line((0, 0), (0.5, 0.75), (1, 1))], title="t", x_label="x", y_label="y", unit_square=True))
    path = by_class(root, "line")[0].get("d")
    # The unit square spans 38..348 by 292..42: 12 pixels and four characters at the left, 12 at the right.
    assert path == "M38 292L193 104.5L348 42"
    diagonal = by_class(root, "diagonal")[0]
    assert [diagonal.get(key) for key in ("x1", "y1", "x2", "y2")] == ["38", "292", "348", "42"]


def test_series_differ_without_colour() -> None:
    curves = [line((0, number), (1, number), label=str(number)) for number in range(4)]
    root = parse(line_chart(curves, title="t", x_label="x", y_label="y"))
    drawn = by_class(root, "line")[::2]  # each is followed by its legend
    assert [one.get("stroke-dasharray") for one in drawn] == ["none", "7 4", "2 3", "9 3 2 3"]
    markers = [(one.tag.removeprefix(SVG), one.get("fill")) for one in by_class(root, "marker")[::3]]
    assert markers == [("circle", "currentColor"), ("rect", "none"), ("path", "currentColor"), ("path", "none")]


def test_a_missing_point_leaves_a_gap() -> None:
    points = ((0, 1.0), (1, 2.0), (2, math.nan), (3, 2.0), (4, 1.0))
    root = parse(line_chart([line(*points)], title="t", x_label="x", y_label="y"))
    path = by_class(root, "line")[0].get("d") or ""
    assert path.count("M") == 2
    assert path.count("L") == 2


@pytest.mark.parametrize("points", [(), ((0, math.nan),), ((math.inf, 1),)])
def test_a_line_without_points_is_a_sentence(points: tuple[tuple[float, float], ...]) -> None:
    chart = line_chart([line(*points)], title="ROC curve", x_label="x", y_label="y", unit_square=True)
    assert chart == '<p class="nothing">ROC curve: there is nothing to draw yet.</p>'


def test_a_long_curve_is_thinned_and_loses_its_markers() -> None:
    points = tuple((index / 100_000, (index / 100_000) ** 0.5) for index in range(100_001))
    chart = line_chart([Curve(points, "champion")], title="t", x_label="x", y_label="y", unit_square=True)
    assert len(chart) < 15_000
    assert by_class(parse(chart), "marker") == []
    assert thinned([(0, 0), (0.1, 0), (0.2, 0), (1, 0), (1.1, 0)]) == [(0, 0), (1, 0), (1.1, 0)]


def test_bars_are_shares_of_each_side() -> None:
    root = parse(bar_pairs(("low", "high"), (30, 10), (0.5, 0.5), title="Spread of orders", x_label="bin"))
    assert [one.text for one in root.iter(f"{SVG}title")] == [
        "Spread of orders",
        "low: reference 75\u00a0%, current 50\u00a0%",
        "high: reference 25\u00a0%, current 50\u00a0%",
    ]
    assert root.findtext(f"{SVG}desc") == "Largest change in low: 75\u00a0% before, 50\u00a0% now."
    # 110 pixels stand for the 80 % of the highest tick: 75 %, 25 %, and the legend's mark of 10.
    assert [one.get("height") for one in by_class(root, "bar-reference")] == ["103.1", "34.4", "10"]
    assert [one.get("height") for one in by_class(root, "bar-current")] == ["68.8", "68.8", "10"]
    assert {one.get("fill") for one in by_class(root, "bar-reference")} == {"none"}
    assert {one.get("fill") for one in by_class(root, "bar-current")} == {"currentColor"}
    assert texts(root)[:2] == ["share of rows", "0\u00a0%"]
    assert texts(root)[-5:] == ["low", "high", "bin", "reference", "current"]


def test_bins_that_are_not_numbers_count_nothing() -> None:
    root = parse(bar_pairs(("a", "b", "c"), (1, math.nan, -3), (1, 1, math.inf), title="t", x_label="bin"))
    tips = [one.text for one in root.iter(f"{SVG}title")][1:]
    assert tips == [
        "a: reference 100\u00a0%, current 50\u00a0%",
        "b: reference 0\u00a0%, current 50\u00a0%",
        "c: reference 0\u00a0%, current 0\u00a0%",
    ]


@pytest.mark.parametrize(
    ("reference", "current", "sentence"),
    [
        ((0, 0), (1, 2), "orders: there are no reference rows to draw."),
        ((1, 2), (math.nan, 0), "orders: there are no current rows to draw."),
        ((0, 0), (0, 0), "orders: there are no reference and no current rows to draw."),
    ],
)
def test_a_side_without_rows_is_a_sentence(
    reference: tuple[float, ...], current: tuple[float, ...], sentence: str
) -> None:
    chart = bar_pairs(("a", "b"), reference, current, title="orders", x_label="bin")
    assert chart == f'<p class="nothing">{sentence}</p>'


def test_no_bins_are_a_sentence() -> None:
    chart = bar_pairs((), (), (), title="orders", x_label="bin")
    assert chart == '<p class="nothing">orders: there are no reference and no current rows to draw.</p>'


@pytest.mark.parametrize(
    ("bins", "shown"),
    [
        (("monthly", "yearly"), ["monthly", "yearly"]),
        (("a category with a long name",) * 4, ["a category …"] * 4),
        (tuple(f"[{low}0, {low}9)" for low in range(6)), [f"[{low}0, {low}9)" for low in range(6)]),
        (tuple(f"bin {low:02d}" for low in range(10)), [f"bin {low:02d}" for low in range(10)]),
        (
            tuple(f"[{low}0.5, {low}9.5)" for low in range(10)),
            ["[00.5, 09.5)", "[30.5, 39.5)", "[60.5, 69.5)", "[90.5, 99.5)"],
        ),
    ],
)
def test_bin_labels_never_run_into_each_other(bins: tuple[str, ...], shown: list[str]) -> None:
    ones = (1.0,) * len(bins)
    root = parse(bar_pairs(bins, ones, ones, title="t", x_label="bin"))
    ticks = [one for one in root.iter(f"{SVG}text") if one.get("text-anchor") == "middle"][:-1]
    assert [one.text for one in ticks] == shown
    spans = sorted((float(one.get("y", 0)), float(one.get("x", 0)), len(one.text or "")) for one in ticks)
    for (line_before, before, length_before), (line_after, after, length_after) in itertools.pairwise(spans):
        assert line_before < line_after or after - before >= 3 * (length_before + length_after)


def test_calibration_places_dots_by_area() -> None:
    bins = (CalibrationBin(0.1, 0.2, 900), CalibrationBin(0.4, 0.3, 100), CalibrationBin(math.nan, 0.5, 7))
    root = parse(calibration_chart(bins, title="Predicted and observed"))
    dots = by_class(root, "dot")
    # 0..0.4 spans 31.5..348 by 277..27; the smaller bin has a ninth of the area.
    assert [(one.get("cx"), one.get("cy"), one.get("r")) for one in dots] == [
        ("110.6", "152", "9"),
        ("348", "89.5", "3"),
    ]
    assert root.findtext(f"{SVG}desc") == ("2 bins. Farthest from the diagonal: predicted 0.4, happened 0.3, 100 rows.")
    assert dots[0].findtext(f"{SVG}title") == "900 rows: predicted 0.1, happened 0.2"


def test_calibration_without_rows_is_a_sentence() -> None:
    chart = calibration_chart((CalibrationBin(0.5, 0.5, 0),), title="Calibration")
    assert chart == '<p class="nothing">Calibration: there is nothing to draw yet.</p>'


def test_hostile_text_stays_text() -> None:
    charts = [
        line_chart([line((0, 1), (1, 2), label=HOSTILE)], title=HOSTILE, x_label=HOSTILE, y_label=HOSTILE),
        bar_pairs((HOSTILE, "b"), (1, 2), (2, 1), title=HOSTILE, x_label=HOSTILE),
        calibration_chart((CalibrationBin(0.5, 0.5, 3),), title=HOSTILE),
        line_chart([], title=HOSTILE, x_label="x", y_label="y"),
    ]
    for chart in charts:
        root = parse(chart)
        assert "<script" not in chart
        assert not [one for one in root.iter() if "script" in one.tag]
        chart.encode("utf-8")
    assert parse(charts[0]).findtext(f"{SVG}title") == "</title><script>alert('x')</script>\"&���🌊"


@given(st.lists(st.tuples(ANY_FLOAT, ANY_FLOAT), max_size=8))
def test_any_points_give_well_formed_markup(points: list[tuple[float, float]]) -> None:
    chart = line_chart([Curve(tuple(points), "any")], title="t", x_label="x", y_label="y")
    parse(chart)
    assert "nan" not in chart
    assert "inf" not in chart


@given(st.lists(st.tuples(st.text(max_size=30), ANY_FLOAT, ANY_FLOAT), min_size=1, max_size=40))
def test_any_bins_give_well_formed_markup(rows: list[tuple[str, float, float]]) -> None:
    bins, reference, current = zip(*rows, strict=True)
    parse(bar_pairs(bins, reference, current, title="t", x_label="bin"))
    parse(calibration_chart([CalibrationBin(a, b, 5) for _, a, b in rows], title="t"))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.68, 0.78, ["0.68", "0.70", "0.72", "0.74", "0.76", "0.78"]),
        (0.8, 0.8, ["0.76", "0.78", "0.80", "0.82", "0.84"]),
        (0.0, 0.0, ["-0.6", "-0.4", "-0.2", "0.0", "0.2", "0.4", "0.6"]),
        (-3.0, 1234.0, ["-500", "0", "500", "1\u202f000", "1\u202f500"]),
    ],
)
def test_ticks_are_round_and_hold_both_ends(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in round_ticks(low, high)] == labels


@pytest.mark.parametrize("verdict", ["ok", "warn", "alert", "insufficient"])
def test_each_verdict_has_its_own_shape(verdict: Verdict) -> None:
    root = parse(verdict_mark(verdict))
    assert root.get("aria-hidden") == "true"
    shapes = {"ok": "circle", "warn": "path", "alert": "path", "insufficient": "circle"}
    assert root[0].tag == f"{SVG}{shapes[verdict]}"


def test_elements_escape_children_and_attributes() -> None:
    made = element("a", "<b>", element("i", "&"), class_='"x"', text_anchor="end", x=1.25)
    assert made == '<a class="&#34;x&#34;" text-anchor="end" x="1.2">&lt;b&gt;<i>&amp;</i></a>'


def test_clean_keeps_what_xml_can_carry() -> None:
    assert clean("tab\t🌊 é\u200fok") == "tab\t🌊 é\u200fok"
    assert clean("a\u202eb\u2066c") == "a�b�c"
    assert clean("\x00\x0b\ud800\ufffe\x7f") == "����\x7f"


def test_long_names_break_after_their_joints() -> None:
    assert breakable("a_b.c/<d>.") == "a_<wbr/>b.<wbr/>c/<wbr/>&lt;d&gt;."
