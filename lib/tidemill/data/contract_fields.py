"""Fields of a contract file: what is read of them, and refused by a ValueError that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.core.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def choice(options: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    """An option that takes one of some words; the first is the default."""
    value = str(options.get(name, known[0]))
    one_of(name, value, known)
    return value


def texts(items: Any) -> tuple[str, ...]:
    """One text, or several; a truth value is a text that was meant otherwise."""
    found = [items] if isinstance(items, str | int | float) else list(items)
    if any(isinstance(item, bool) for item in found):
        raise ValueError("YAML takes true, false, yes, no, on and off for truth values: put such texts in quotes")
    return tuple(str(item) for item in found)


def one_of(field: str, value: str, known: tuple[str, ...]) -> None:
    """Refuses a word that is none of those known."""
    if value not in known:
        raise ValueError(f"{field} {value!r} is not known; {nearest(value, known)}")


def different(what: str, names: Iterable[str]) -> None:
    """Refuses two of one name."""
    found = list(names)
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"two {what} are named {name!r}")


def some(items: Sequence[Any], what: str) -> None:
    """Refuses what has nothing in it."""
    if not any(item is not None for item in items):
        raise ValueError(f"nothing stands under {what}")


def only(items: list[Any] | None, what: str) -> Any:
    """The one entry."""
    if not items or len(items) != 1:
        raise ValueError(f"exactly one entry is expected under {what}, there are {len(items or ())}")
    return items[0]


def custom(items: list[Any] | None) -> dict[str, Any]:
    """Custom properties by name."""
    return {item.property: item.value for item in items or ()}
