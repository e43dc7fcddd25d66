"""Declarations of features that are made from others: values only, no Spark."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tidemill.core.errors import nearest
from tidemill.core.frozen import WORDS, declared
from tidemill.features.declarations import Aggregate, Feature, Recency, Tenure, invalid
from tidemill.features.expressions import Node, column, names_in, parse
from tidemill.features.histories import TYPES, Attribute, Gaps, Streak

if TYPE_CHECKING:
    from tidemill.features.specs import FeatureView

CALENDAR_PARTS = ("hour", "weekday", "is_weekend", "day", "day_of_year", "week", "month", "quarter")


@declared
@dataclass(frozen=True)
class Ratio:
    """One feature of the view divided by another; null where the other is null or zero."""

    over: str
    under: str
    name: str | None = None

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name or f"{self.over}_per_{self.under}", "double"),)


@declared
@dataclass(frozen=True)
class Difference:
    """One feature of the view minus another; null where either is null."""

    left: str
    right: str
    name: str | None = None

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name or f"{self.left}_minus_{self.right}", "double"),)


@declared
@dataclass(frozen=True)
class Log1p:
    """The natural logarithm of one plus a feature's size, with the feature's sign: `sign(x) * ln(1 + |x|)`."""

    of: str

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(f"{self.of}_log", "double"),)


@declared
@dataclass(frozen=True)
class Calendar:
    """Parts of the as-of time itself, in UTC.

    `hour` 0 to 23, `weekday` 0 (Monday) to 6, `is_weekend` 1 on Saturday and Sunday, `day` of the month, `day_of_year`,
    `week` of ISO 8601, `month` 1 to 12, `quarter` 1 to 4.
    """

    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in CALENDAR_PARTS:
                raise invalid(
                    "E_FEATURE", f"there is no calendar part {part!r}", "Calendar", nearest(part, CALENDAR_PARTS)
                )

    def features(self) -> tuple[Feature, ...]:
        """One feature a part."""
        return tuple(Feature(f"as_of_{part}", "double") for part in self.parts)


@declared
@dataclass(frozen=True)
class Expression:
    """A feature computed from features that stand before it, alike in Spark and in the online service.

    Args:
        text: an expression of `features/expressions.py`.
        name: of the feature.
        type: what it yields, `double` or `string`.
        unit: of the values.
        description: for people.

    Raises:
        TidemillError: E_EXPRESSION (configuration) where the text is none.
    """

    text: str
    name: str
    type: str = "double"
    unit: str = ""
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        _check_type(self.type, f"Expression({self.name!r})")
        parse(self.text)

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        return (Feature(self.name, self.type, None, self.unit, self.description),)


@declared
@dataclass(frozen=True)
class Request:
    """A value that only the caller of the online service knows, such as the amount of the basket to be judged.

    In gold, and so in training and in batch, a stand-in is computed from what was known before T. Features that read it
    are computed from the stand-in there, and from the caller's value in the service, by the same expression.

    Args:
        name: of the feature, and of the field of the request.
        type: `double` or `string`.
        history: the stand-in: an aggregate with one feature, or the text of an expression over features before it.
        unit: of the values.
        description: for people.
    """

    name: str
    type: str
    history: Aggregate | str
    unit: str = ""
    description: str = field(default="", metadata=WORDS)

    def __post_init__(self) -> None:
        place = f"Request({self.name!r})"
        _check_type(self.type, place)
        if isinstance(self.history, str):
            parse(self.history)
            return
        found = self.history.features()
        if len(found) != 1:
            raise invalid(
                "E_FEATURE", f"its history has {len(found)} features", place, "one window and one value stand in"
            )
        if found[0].type != self.type:
            raise invalid(
                "E_FEATURE",
                f"its history is a {found[0].type}, not a {self.type}",
                place,
                f"did you mean Request({self.name!r}, {found[0].type!r}, ...)?",
            )

    def features(self) -> tuple[Feature, ...]:
        """Its one feature."""
        missing = self.history.features()[0].missing if isinstance(self.history, Aggregate) else None
        return (Feature(self.name, self.type, missing, self.unit, self.description),)


@declared
@dataclass(frozen=True)
class Joined:
    """Features of the other entity that this one points to at T, as they stood for T.

    They come from the other view's row stamped T minus that view's delay, which is made for the purpose: it is as new
    as may be, so its ttl never bars it. An entity that is pointed to and was never seen has what its view says of a
    missing history; where nothing is pointed to they are null.

    Args:
        view: of the other entity.
        via: a text feature before this one that holds the other entity's key.
        take: the other view's features to bring over.
        name: begins the derived names `<name>_<feature>`; by default the other view's name.
    """

    view: FeatureView
    via: str
    take: tuple[str, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        known = [f.name for f in self.view.columns]
        for wanted in self.take:
            if wanted not in known:
                raise invalid(
                    "E_FEATURE",
                    f"the view {self.view.name!r} has no feature {wanted!r}",
                    f"Joined({self.view.name!r})",
                    nearest(wanted, known),
                )

    def brought(self) -> tuple[tuple[Feature, Feature], ...]:
        """The other view's features, each with the one that it becomes here."""
        there = {f.name: f for f in self.view.columns}
        stem = self.name or self.view.name
        return tuple((there[n], replace(there[n], name=f"{stem}_{n}", missing=None)) for n in self.take)

    def features(self) -> tuple[Feature, ...]:
        """What it brings over."""
        return tuple(here for _, here in self.brought())


OverEvents = Aggregate | Recency | Tenure | Gaps | Streak | Attribute
Declaration = OverEvents | Ratio | Difference | Log1p | Calendar | Expression | Request | Joined


def tree_of(item: Declaration) -> Node | None:
    """The expression that computes a feature from others, or None where it is computed otherwise."""
    match item:
        case Ratio(over, under):
            return Node("div", (column(over), column(under)))
        case Difference(left, right):
            return Node("sub", (column(left), column(right)))
        case Log1p(of):
            return Node("mul", (Node("sign", (column(of),)), Node("log1p", (Node("abs", (column(of),)),))))
        case Expression(text):
            return parse(text)
        case Request(history=str(text)):
            return parse(text)
        case _:
            return None


def inputs_of(item: Declaration) -> tuple[str, ...]:
    """The features that a derived feature is made from."""
    if isinstance(item, Joined):
        return (item.via,)
    tree = tree_of(item)
    return () if tree is None else names_in(tree)


def _check_type(given: str, place: str) -> None:
    if given not in TYPES:
        raise invalid("E_FEATURE", f"there is no type {given!r}", place, nearest(given, TYPES))
