"""What a change of a contract means for those who read its table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.data.contract import Column, Contract

_WIDER = {("int", "bigint"), ("date", "timestamp")}


@dataclass(frozen=True)
class Change:
    """One difference between two contracts.

    Args:
        breaking: whether a reader that relied on the old contract may be wrong under the new one.
        what: the difference in words.
    """

    breaking: bool
    what: str


def compare_contracts(old: Contract, new: Contract) -> list[Change]:
    """Every difference that matters, breaking ones first.

    Readers see silver: a column that goes, changes its type or meaning, or may now be null breaks them; a new column,
    or a stricter rule, does not.
    """
    found = [*_table_changes(old, new)]
    there = {c.name: c for c in new.columns}
    for column in old.columns:
        other = there.pop(column.name, None)
        if other is None:
            found.append(Change(breaking=True, what=f"column {column.name} is gone"))
        else:
            found += _column_changes(column, other)
    found += [Change(breaking=False, what=f"column {name} is new ({c.type})") for name, c in there.items()]
    return sorted(found, key=lambda change: not change.breaking)


def _table_changes(old: Contract, new: Contract) -> Iterator[Change]:
    if old.timezone != new.timezone:
        yield Change(breaking=True, what=f"times without a zone are {new.timezone} instead of {old.timezone}")
    before, after = {r.name: r for r in old.rules}, {r.name: r for r in new.rules}
    for name in before.keys() - after.keys():
        yield Change(breaking=True, what=f"rule {name} is gone: what it kept out may come")
    for name in after.keys() - before.keys():
        yield Change(breaking=False, what=f"rule {name} is new")
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield Change(breaking=True, what=f"rule {name} says something else, or has another action")
    gone = set(old.unique) - set(new.unique)
    for group in gone:
        yield Change(breaking=True, what=f"{' + '.join(group)} need not be unique any more")
    if old.freshness != new.freshness:
        slower = old.freshness is not None and (new.freshness is None or new.freshness > old.freshness)
        yield Change(breaking=slower, what=f"the agreed freshness is {new.freshness} instead of {old.freshness}")


def _column_changes(old: Column, new: Column) -> Iterator[Change]:
    name = f"column {old.name}"
    if old.type != new.type:
        wider = (old.type, new.type) in _WIDER
        yield Change(breaking=not wider, what=f"{name} is {new.type} instead of {old.type}")
    if old.required != new.required:
        what = "always has a value" if new.required else "may be null"
        yield Change(breaking=old.required, what=f"{name} {what} now")
    if old.unique and not new.unique:
        yield Change(breaking=True, what=f"{name} need not be unique any more")
    if old.key != new.key:
        yield Change(breaking=True, what=f"{name} is {'' if new.key else 'not '}part of the key now")
    if (old.logic, old.epoch, old.format) != (new.logic, new.epoch, new.format):
        yield Change(breaking=True, what=f"{name} is made in another way: its meaning may differ")
    for bound, before, after in (
        ("minimum", old.minimum, new.minimum),
        ("maximum", old.maximum, new.maximum),
        ("length", old.max_length, new.max_length),
        ("pattern", old.pattern, new.pattern),
    ):
        if before != after:
            yield Change(breaking=before is not None, what=f"{name} has the {bound} {after} instead of {before}")
    more = set(new.allowed) - set(old.allowed)
    if old.allowed and (more or not new.allowed):
        yield Change(breaking=True, what=f"{name} may have other values: {', '.join(sorted(more)) or 'any'}")
    if old.physical != new.physical:
        yield Change(breaking=False, what=f"{name} is read from {new.physical} instead of {old.physical}")
