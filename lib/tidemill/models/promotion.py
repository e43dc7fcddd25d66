"""Promotion as its ledger tells it: who was champion when, what came before, and what was decided. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# The aliases that the registry keeps.
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
PROMOTE, KEEP, WAIT, APPROVE, ROLLBACK = "promote", "keep", "wait", "approve", "rollback"
_CROWNS = (PROMOTE, APPROVE, ROLLBACK)  # the decisions that make a champion

Row = dict[str, Any]


def champion_at(promotions: Iterable[Row], use_case: str, at: datetime) -> str | None:
    """The champion's version at a moment: that of the newest decision which made one, with an as-of time up to it.

    A rollback has the as-of time of the decision that it undoes, and is newer: from that time on, the former version is
    champion again, also where a run looks back.
    """
    newest = crown(promotions, use_case, at)
    return None if newest is None else str(newest["challenger_version"])


def crown(promotions: Iterable[Row], use_case: str, at: datetime | None = None) -> Row | None:
    """The decision that made the champion at a moment, or of all times."""
    return max(_crowns(promotions, use_case, at), key=_order, default=None)


def lineage(promotions: Iterable[Row], use_case: str, at: datetime | None = None) -> list[str]:
    """The champions, oldest first, without those that a rollback took back: the last but one is the former."""
    line: list[str] = []
    for row in sorted(_crowns(promotions, use_case, at), key=_order):
        version = str(row["challenger_version"])
        back = row["decision"] == ROLLBACK and version in line
        line = line[: line.index(version) + 1] if back else [*line, version]
    return line


def were_champion(promotions: Iterable[Row], use_case: str) -> set[str]:
    """Every version that was ever champion."""
    return {str(row["challenger_version"]) for row in _crowns(promotions, use_case, None)}


def decided_about(promotions: Iterable[Row], use_case: str, version: str) -> Row | None:
    """The newest decision about a challenger, or None; a rollback is none."""
    about = [
        p
        for p in promotions
        if p["use_case"] == use_case and p["challenger_version"] == version and p["decision"] != ROLLBACK
    ]
    return max(about, key=lambda p: p["decided_at"], default=None)


def outdated(decision: Row, champion: Row | None) -> bool:
    """Whether a decision waits for approval, and the champion that it was made about is another one by now."""
    now = None if champion is None else champion["challenger_version"]
    return bool(decision["decision"] == WAIT and decision["champion_version"] != now)


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two rows are the same decision."""
    return (None if one is None else _identity(one)) == (None if other is None else _identity(other))


def _crowns(promotions: Iterable[Row], use_case: str, at: datetime | None) -> list[Row]:
    made = [p for p in promotions if p["use_case"] == use_case and p["decision"] in _CROWNS]
    return [p for p in made if at is None or p["as_of"] <= at]


def _order(row: Row) -> tuple[datetime, datetime]:
    return row["as_of"], row["decided_at"]


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["decision"], row["challenger_version"], row["as_of"], row["decided_at"]
