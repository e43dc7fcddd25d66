"""A view checked as a whole when it is made: everything that is wrong with it is said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError, nearest
from tidemill.features.declarations import invalid
from tidemill.features.derived import Expression, Joined, Request, inputs_of, tree_of
from tidemill.features.expression_types import sql_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.features.derived import Declaration
    from tidemill.features.specs import FeatureView

_OWN: tuple[str, ...] = ("event_timestamp", "created_timestamp", "batch_id", "period", "bucket")
_OWN += ("label", "part", "training_set_id")
# What models add to their rows: a feature of that name would be overwritten, or read in its place.
_OWN += ("weight", "features", "scaled", "score", "prediction", "probability", "probabilities", "rawprediction")


def check_view(view: FeatureView) -> None:
    """Refuses a view that cannot be computed.

    Raises:
        TidemillError: E_VIEW, E_FEATURE or E_EXPRESSION (configuration); of several faults the first one's code, and
            what is wrong and what to do about each.
    """
    faults = list(_faults(view))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        whats = [f"{fault.where}: {fault.what}" for fault in faults]
        raise invalid(
            faults[0].code,
            f"{len(faults)} things are wrong: " + "; ".join(dict.fromkeys(whats)),
            f"feature view {view.name!r}",
            "; ".join(dict.fromkeys(fault.next_step for fault in faults)),
        )


def _faults(view: FeatureView) -> Iterator[TidemillError]:
    where = f"feature view {view.name!r}"
    if view.source.entity != view.entity:
        yield invalid("E_VIEW", "a view's entity is that of its source", where, "use the source's entity")
    types: dict[str, str] = {}
    asked: set[str] = set()  # what depends on a value that only the caller knows
    for item in view.features:
        yield from _faults_of_inputs(item, types, asked, where)
        if isinstance(item, Request) or asked & set(inputs_of(item)):
            asked |= {f.name for f in item.features()}
        taken = {name.casefold() for name in (*types, view.entity.key, *_OWN)}
        for feature in item.features():
            if feature.name in types:
                yield invalid(
                    "E_FEATURE", f"the feature {feature.name!r} is declared twice", where, "give one of them a name"
                )
            elif feature.name.casefold() in taken:
                yield invalid(
                    "E_FEATURE",
                    f"the feature {feature.name!r} has the name of another column",
                    where,
                    "give it a name of its own; upper and lower case are one to Spark",
                )
            elif not feature.name.isidentifier():
                yield invalid(
                    "E_FEATURE",
                    f"{feature.name!r} is no name of a feature",
                    where,
                    "use letters, digits and _, a letter first",
                )
            types[feature.name] = feature.type


def _faults_of_inputs(
    item: Declaration, types: Mapping[str, str], asked: set[str], where: str
) -> Iterator[TidemillError]:
    unknown = [name for name in inputs_of(item) if name not in types]
    for name in unknown:
        yield invalid("E_FEATURE", f"there is no feature {name!r} before its use", where, nearest(name, types))
    if unknown:
        return
    tree = tree_of(item)
    if tree is not None:
        yield from _faults_of_types(item, types, where)
    if isinstance(item, Joined):
        if types[item.via] != "string":
            texts = [name for name, kind in types.items() if kind == "string"]
            yield invalid("E_FEATURE", f"{item.via!r} is a number, not a key", where, nearest(item.via, texts))
        if item.via in asked:
            yield invalid(
                "E_FEATURE",
                f"{item.via!r} is known only when it is asked for, and a join happens before",
                where,
                "join by what is known at T",
            )


def _faults_of_types(item: Declaration, types: Mapping[str, str], where: str) -> Iterator[TidemillError]:
    tree, feature = tree_of(item), item.features()[0]
    if tree is None:
        return
    place = f"{where}, {feature.name!r}"
    try:
        found = sql_type(tree, types, place)
    except TidemillError as fault:
        yield fault
        return
    if found != feature.type and isinstance(item, Expression | Request):
        yield invalid(
            "E_EXPRESSION", f"it yields a {found}, not a {feature.type}", place, f"did you mean type={found!r}?"
        )
