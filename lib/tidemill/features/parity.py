"""Parity: what the online store answers, compared with gold, feature by feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Parity:
    """The comparison of one feature over the sampled entities.

    Args:
        feature: its name.
        compared: entities looked at.
        equal: the same value, or null in both.
        different: another value.
        missing: null online where gold has a value.
    """

    feature: str
    compared: int
    equal: int
    different: int
    missing: int


def compare(gold: Sequence[dict[str, Any]], online: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Parity]:
    """Compares rows of the same entities in the same order; values are equal or they are not, to the last bit."""
    found = []
    for name in names:
        pairs = [(g[name], o[name]) for g, o in zip(gold, online, strict=True)]
        equal = sum(1 for g, o in pairs if g == o)
        missing = sum(1 for g, o in pairs if g is not None and o is None)
        found.append(Parity(name, len(pairs), equal, len(pairs) - equal - missing, missing))
    return found
