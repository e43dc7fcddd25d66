"""Frozen values as JSON, and back: what a registered model carries instead of the file it was declared in.

Every declaration is a frozen dataclass of plain fields, other such dataclasses, tuples, mappings and lengths. The JSON
form names the class of each value, so that reading it needs the classes but not the use-case file.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tidemill.core.time import Grid, length_micros

C = TypeVar("C", bound=type)

_CLASSES: dict[str, type] = {"Grid": Grid}


def declared(cls: C) -> C:
    """Marks a frozen dataclass as part of the JSON form; its class name is its tag.

    Raises:
        ValueError: where two classes have the same name.
    """
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise ValueError(f"two declared classes are named {cls.__name__}")
    return cls


def freeze(value: Any) -> Any:
    """The JSON form of a declaration: dictionaries, lists, strings, numbers and nulls only.

    Raises:
        TypeError: where a value is of a kind that has no JSON form.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, timedelta):
        return {"$length_us": length_micros(value)}
    if isinstance(value, tuple | list):
        return [freeze(item) for item in value]
    if isinstance(value, dict):
        return {str(key): freeze(item) for key, item in value.items()}
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        found = {field.name: freeze(getattr(value, field.name)) for field in fields(value)}
        return {"$value": type(value).__name__, **found}
    raise TypeError(f"{type(value).__name__} has no JSON form in a declaration: {value!r}")


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
