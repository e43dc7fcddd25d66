"""The catalogue page: everything that is declared stands on it, and nothing on it can run, fetch or break out."""

import dataclasses
import xml.etree.ElementTree as ET

from markupsafe import Markup
from tidemill.pages.bars import small_bars
from tidemill.pages.catalog import Entry, Group, Item, Model, render_catalog

HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</td><script>alert('x')</script><img src=\"http://evil.example/a.png\" onerror='x'>&\x00\u202e"
FEATURE = Item(
    name="amount_sum_30d",
    type="double",
    unit="GBP",
    meaning="sum of amount in the 30d before",
    origin=("invoices.Quantity", "invoices.UnitPrice"),
    rows=200,
    null_share=0.25,
    low="-3",
    high="17.5",
    labels=("0 to 1", "1 to 2"),
    counts=(150, 50),
    models=("retail 1", "retail 2"),
)
COLUMN = Item(name="quantity", type="int", meaning="Pieces.", origin=("Quantity",), rows=10, null_share=0.0)
MODEL = Model(
    version="2",
    alias="champion",
    family="xgboost: max_depth 3",
    metric="roc_auc",
    value=0.7345,
    as_of="2011-11-01T00:00:00Z",
    trained_until="2011-10-31T00:00:00Z",
    training_set="abc",
    features=12,
)
ENTRY = Entry(
    name="retail",
    meaning="Who stops ordering.",
    facts=(("predicts", "churned, binary"),),
    sources=(Group(name="invoices", meaning="One line.", facts=(("owner", "Ann"),), items=(COLUMN,)),),
    views=(Group(name="purchases_v1", meaning="What was bought.", facts=(("built", "every 1d"),), items=(FEATURE,)),),
    label=Item(name="churned", type="double", meaning="1 where no event falls in the 30d after"),
    models=(MODEL,),
)


def parse(page: str) -> ET.Element:
    return ET.fromstring(page.partition("\n")[2])  # noqa: S314 - our own page


def texts(page: str) -> list[str]:
    cells = {f"{HTML}td", f"{HTML}th", f"{HTML}dd"}
    return [" ".join("".join(node.itertext()).split(" ")).strip() for node in parse(page).iter() if node.tag in cells]


def test_everything_that_is_declared_stands_on_the_page() -> None:
    found = texts(render_catalog((ENTRY,), generated="2024-01-01T00:00:00Z"))
    for text in (
        "amount_sum_30d",
        "sum of amount in the 30d before",
        "double, GBP",
        "25\u00a0%",
        "-3 to 17.5",
        "invoices.Quantity, invoices.UnitPrice",
        "retail 1, retail 2",
        "quantity",
        "Pieces.",
        "churned",
        "Ann",
        "champion",
        "roc_auc 0.7345",
        "labels known by 2011-10-31, set abc",
    ):
        assert text in found, text


def test_a_use_case_without_a_model_says_so() -> None:
    page = render_catalog((dataclasses.replace(ENTRY, models=()),), generated="2024-01-01T00:00:00Z")
    assert "No model has been registered yet." in page


def test_nothing_on_the_page_runs_or_fetches_or_breaks_out() -> None:
    item = Item(
        name=HOSTILE,
        type=HOSTILE,
        unit=HOSTILE,
        meaning=HOSTILE,
        origin=(HOSTILE,),
        low=HOSTILE,
        high=HOSTILE,
        labels=(HOSTILE,),
        counts=(1,),
        models=(HOSTILE,),
    )
    group = Group(name=HOSTILE, meaning=HOSTILE, facts=((HOSTILE, HOSTILE),), items=(item,))
    hostile = Entry(
        name=HOSTILE,
        meaning=HOSTILE,
        facts=((HOSTILE, HOSTILE),),
        sources=(group,),
        views=(group,),
        label=item,
        models=(dataclasses.replace(MODEL, alias=HOSTILE, family=HOSTILE),),
    )
    page = render_catalog((hostile,), generated=HOSTILE)
    body = parse(page)
    tags = {node.tag.rpartition("}")[2] for node in body.iter()}
    assert tags & {"script", "img", "link", "iframe", "form", "object"} == set()
    assert [k for node in body.iter() for k in node.attrib if k.startswith("on") or k in {"src", "style"}] == []
    assert all(n.attrib["href"].startswith("#") for n in body.iter(f"{HTML}a"))
    policies = [n.attrib["content"] for n in body.iter(f"{HTML}meta") if "http-equiv" in n.attrib]
    assert policies[0].startswith("default-src 'none'; style-src 'sha256-")


def test_small_bars_are_an_image_with_a_description() -> None:
    image = ET.fromstring(small_bars(("a", "b", "c"), (1, 3, 0), title="Spread of x"))  # noqa: S314 - our own image
    assert image.attrib["role"] == "img"
    assert [node.text for node in image.findall(f"{SVG}title") + image.findall(f"{SVG}desc")] == [
        "Spread of x",
        "3 bins; most rows, 75\u00a0%, in b.",
    ]
    heights = [float(node.attrib["height"]) for node in image.iter(f"{SVG}rect")]
    assert heights[1] == 26
    assert heights[2] == 0
    assert 8 < heights[0] < 9
    assert small_bars((), (), title="x") == Markup()
