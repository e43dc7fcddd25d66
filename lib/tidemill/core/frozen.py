"""Frozen values as JSON, and back: what a registered model carries instead of the file it was declared in.

Every declaration is a frozen dataclass of plain fields, other such dataclasses, tuples, mappings and lengths. The JSON
form names the class of each value, so that reading it needs the classes but not the use-case file.
"""

from __future__ import annotations

from dataclasses import Field, fields, is_dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tidemill.core.time import Grid, length_micros

C = TypeVar("C", bound=type)

_CLASSES: dict[str, type] = {"Grid": Grid}

# The metadata of a field that its class did not have at first. At its default it is left out of the JSON form, so that
# what was declared before keeps its form, and with it its digest and its tables.
LATER = {"later": True}
# The same for words that people read: they are no part of what a declaration means.
WORDS = {"later": True, "words": True}


def declared(cls: C) -> C:
    """Marks a frozen dataclass as part of the JSON form; its class name is its tag.

    Raises:
        ValueError: where two classes have the same name.
    """
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise ValueError(f"two declared classes are named {cls.__name__}")
    return cls


def freeze(value: Any, *, words: bool = True) -> Any:
    """The JSON form of a declaration: dictionaries, lists, strings, numbers and nulls only.

    Args:
        value: a declaration, or what one is made of.
        words: whether fields marked as words are kept; a digest of what is meant leaves them out.

    Raises:
        TypeError: where a value is of a kind that has no JSON form.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, timedelta):
        return {"$length_us": length_micros(value)}
    if isinstance(value, tuple | list):
        return [freeze(item, words=words) for item in value]
    if isinstance(value, dict):
        return {str(key): freeze(item, words=words) for key, item in value.items()}
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        kept = [field for field in fields(value) if not _left_out(field, getattr(value, field.name), words=words)]
        found = {field.name: freeze(getattr(value, field.name), words=words) for field in kept}
        return {"$value": type(value).__name__, **found}
    raise TypeError(f"{type(value).__name__} has no JSON form in a declaration: {value!r}")


def _left_out(field: Field[Any], value: Any, *, words: bool) -> bool:
    if not words and field.metadata.get("words"):
        return True
    return bool(field.metadata.get("later")) and bool(value == field.default)


def thaw(form: Any) -> Any:
    """The declaration whose JSON form this is: `thaw(freeze(v)) == v`.

    Raises:
        ValueError: where the form names a class that is not declared.
    """
    if isinstance(form, list):
        return tuple(thaw(item) for item in form)
    if not isinstance(form, dict):
        return form
    if "$length_us" in form:
        return timedelta(microseconds=form["$length_us"])
    if "$value" not in form:
        return {key: thaw(item) for key, item in form.items()}
    name = form["$value"]
    if name not in _CLASSES:
        raise ValueError(f"the JSON form names the unknown value {name!r}")
    return _CLASSES[name](**{key: thaw(item) for key, item in form.items() if key != "$value"})
