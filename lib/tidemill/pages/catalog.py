"""The catalogue: one page that says what every source, view, feature, label and model is and where it comes from."""

from dataclasses import dataclass

from tidemill.pages.bars import small_bars
from tidemill.pages.page import render_page


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A column, a feature or a label.

    Attributes:
        name: Its name.
        type: Its type in the table.
        unit: Of its values; may be empty.
        meaning: A sentence.
        origin: The landed columns that it comes from, ``source.column``.
        rows: That were looked at, None where there are none yet.
        null_share: Of those rows, None where it is not known.
        low: Least value, as text.
        high: Largest value, as text.
        labels: Of the bins of its spread; empty where none was counted.
        counts: Rows per bin.
        models: Registered versions that use it.
    """

    name: str
    type: str
    unit: str = ""
    meaning: str = ""
    origin: tuple[str, ...] = ()
    rows: int | None = None
    null_share: float | None = None
    low: str = ""
    high: str = ""
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A source with its columns, or a view with its features.

    Attributes:
        name: Of the source, or the versioned name of the view.
        meaning: A sentence.
        facts: Names and values: owner, entity, freshness, rows and so on; what is not known is left out.
        items: Columns or features, in the order of their declaration.
    """

    name: str
    meaning: str
    facts: tuple[tuple[str, str], ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered version.

    Attributes:
        version: Its number.
        alias: ``champion``, ``challenger``, ``previous``, several of them, or nothing.
        family: Of the model, with its parameters.
        metric: Name of its primary metric.
        value: Of that metric on the gate rows.
        as_of: The moment of the training.
        trained_until: When the last label it learned from was known.
        training_set: Identity of its rows.
        features: How many it was offered.
    """

    version: str
    alias: str
    family: str
    metric: str
    value: float
    as_of: str
    trained_until: str
    training_set: str
    features: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A use case.

    Attributes:
        name: Of the use case.
        meaning: A sentence.
        facts: Names and values: task, entity, as-of times, what the audit found.
        sources: What it reads.
        views: Its features.
        label: What it predicts.
        models: Newest first.
    """

    name: str
    meaning: str
    facts: tuple[tuple[str, str], ...]
    sources: tuple[Group, ...]
    views: tuple[Group, ...]
    label: Item
    models: tuple[Model, ...]


def render_catalog(entries: tuple[Entry, ...], *, generated: str) -> str:
    """Write the page.

    Args:
        entries: The use cases, in the order of the page.
        generated: When it was written, ISO 8601.

    Returns:
        One self-contained HTML file as a string: no script, nothing fetched, every value escaped.
    """
    return render_page("catalog.html.j2", entries=entries, generated=generated, bars=_bars)


def _bars(item: Item) -> str:
    return small_bars(item.labels, item.counts, title=f"Spread of {item.name}")
