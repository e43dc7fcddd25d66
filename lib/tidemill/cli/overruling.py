"""What people decide about champions: to approve a challenger that waits, to take a champion back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.promoting import moved, open_promotions, record_decision
from tidemill.core.errors import Exit, TidemillError
from tidemill.models.promotion import APPROVE, ROLLBACK, WAIT, crown, decided_about, lineage, outdated, were_champion

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.data.tables import Lake
    from tidemill.models.promotion import Row
    from tidemill.models.registry import Registry


def approve(
    lake: Lake, registry: Registry, use_case: str, version: str, *, by: str, because: str, now: datetime
) -> Row:
    """Makes a challenger that waits for approval the champion.

    Raises:
        TidemillError: E_NO_DECISION (usage) where it does not wait, E_CHAMPION_MOVED (try again) where the champion
            that it was compared with is champion no more.
    """
    rows = open_promotions(lake)
    waiting = decided_about(rows, use_case, version)
    if waiting is None or waiting["decision"] != WAIT:
        state = "nothing was decided about it" if waiting is None else f"it was decided: {waiting['decision']}"
        raise TidemillError(
            "E_NO_DECISION",
            f"version {version} of {use_case} does not wait for approval: {state}",
            where=f"ops.promotions in {lake.root}",
            next_step=f"tidemill promotions {use_case} shows what waits",
            exit_code=Exit.USAGE,
        )
    champion = crown(rows, use_case)
    if outdated(waiting, champion):
        raise moved(use_case, version)
    row = {
        **waiting,
        "decision": APPROVE,
        "decided_at": now,
        "decided_by": by,
        "because": because,
        "reasons": [f"approved by {by}: {because}"],
    }
    return record_decision(
        lake, registry, row, champion, {"challenger": version, "approves": waiting["champion_version"]}
    )


def roll_back(
    lake: Lake, registry: Registry, use_case: str, to: str | None, *, by: str, because: str, now: datetime
) -> Row:
    """Makes a former version champion again, from the as-of time on at which the present one became champion.

    Args:
        lake: the tables.
        registry: of the aliases.
        use_case: whose champion.
        to: the version; None is the one before.
        by: who says so.
        because: why.
        now: when.

    Raises:
        TidemillError: E_NO_FORMER (no input) where there is none, E_NO_VERSION (usage) where the version was never
            champion or is champion now.
    """
    rows = open_promotions(lake)
    champion, line = crown(rows, use_case), lineage(rows, use_case)
    if champion is None or (to is None and len(line) < 2):
        raise TidemillError(
            "E_NO_FORMER",
            f"{use_case} has no champion"
            if champion is None
            else f"{use_case} has no champion before version {line[-1]}",
            where=f"ops.promotions in {lake.root}",
            next_step=f"tidemill promotions {use_case} shows every decision",
            exit_code=Exit.NO_INPUT,
        )
    version, present = to or line[-2], str(champion["challenger_version"])
    known = were_champion(rows, use_case) - {present}
    if version not in known:
        why = "is champion now" if version == present else "was never champion"
        raise TidemillError(
            "E_NO_VERSION",
            f"version {version} of {use_case} {why}",
            where=f"--to {version}",
            next_step=f"choose one of {', '.join(sorted(known, key=int)) or 'none: there was no other champion'}",
            exit_code=Exit.USAGE,
        )
    before = line[: line.index(version)] if version in line else line
    row = {
        "use_case": use_case,
        "as_of": champion["as_of"],
        "decision": ROLLBACK,
        "challenger_version": version,
        "champion_version": present,
        "previous_version": before[-1] if before else None,
        "metric": champion["metric"],
        "reasons": [f"{by} took back version {present}: {because}"],
        "decided_at": now,
        "decided_by": by,
        "because": because,
    }
    return record_decision(lake, registry, row, champion, {"takes_back": present, "decision": len(rows)})
