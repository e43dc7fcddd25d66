"""Features that only the caller of the online service knows, and what is computed from them, in plain Python.

Needs the declaration alone, thawed from its JSON form: no Spark and no use-case file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError, nearest
from tidemill.features.derived import Request, inputs_of, tree_of
from tidemill.features.expression_values import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidemill.features.specs import FeatureView

Value = float | str | None


def request_fields(views: Iterable[FeatureView]) -> tuple[Request, ...]:
    """The values that a caller may give, in the order of their declaration."""
    return tuple(item for view in views for item in view.features if isinstance(item, Request))


def with_request(
    views: Iterable[FeatureView], stored: Mapping[str, Value], given: Mapping[str, object]
) -> dict[str, Value]:
    """The features of one entity with the caller's values in the place of their stand-ins.

    What reads a given value, directly or not, is computed again by the expression that gold was computed by. What is
    not given keeps its stand-in; a value that is given as None is null.

    Args:
        views: the use case's views.
        stored: the entity's features as the online store has them.
        given: the caller's values by name.

    Raises:
        TidemillError: E_REQUEST (usage) where a name or a value is not one that the views ask for.
    """
    if not given:
        return dict(stored)
    every = tuple(views)
    asked = {item.name: item for item in request_fields(every)}
    for name, value in given.items():
        if name not in asked:
            raise _refused(name, f"no view asks for a value {name!r}", nearest(name, asked))
        _check_value(asked[name], value)
    row = dict(stored)
    for view in every:
        changed: set[str] = set()
        for item in view.features:
            if isinstance(item, Request) and item.name in given:
                name, value = item.name, _typed(given[item.name])
            elif (tree := tree_of(item)) is not None and changed & set(inputs_of(item)):
                name, value = item.features()[0].name, value_of(tree, row)
            else:
                continue
            row[name] = value
            changed.add(name)
    return row


def _check_value(item: Request, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number if item.type == "double" else isinstance(value, str)):
        wanted = "a number" if item.type == "double" else "a text"
        raise _refused(item.name, f"{item.name!r} is {wanted}, not {value!r}", f"give {wanted}, or null")


def _typed(value: object) -> Value:
    return value if value is None or isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _refused(name: str, what: str, next_step: str) -> TidemillError:
    return TidemillError("E_REQUEST", what, where=f"request, {name!r}", next_step=next_step, exit_code=Exit.USAGE)
