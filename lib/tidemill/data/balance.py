"""The balance that every step keeps: what was read is accepted, quarantined or a duplicate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidemill.data.ledger import Entry

PARTS = ("read", "accepted", "quarantined", "duplicates")


def add_balances(balances: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several balances; other counts beside them are left out."""
    found = list(balances)
    return {part: sum(balance[part] for balance in found) for part in PARTS}


def check_balance(counts: Mapping[str, int], written: int, where: str) -> None:
    """Holds a step to `read = accepted + quarantined + duplicates`, and its table to what was accepted.

    Raises:
        TidemillError: E_BALANCE (bug).
    """
    read, accepted, quarantined, duplicates = (counts[part] for part in PARTS)
    if read != accepted + quarantined + duplicates or accepted != written or duplicates < 0:
        raise TidemillError(
            "E_BALANCE",
            f"{read} rows were read, but {accepted} accepted, {quarantined} quarantined, {duplicates} duplicates,"
            f" {written} written",
            where=where,
            next_step="keep the input and report this: no row may appear or vanish",
            exit_code=Exit.BUG,
        )


def end_to_end(quarantine: list[Entry], silver: list[Entry]) -> dict[str, int]:
    """One balance a landed row of a source, over ingest and refine, for all that its tables hold.

    Args:
        quarantine: the ledger of the source's quarantine, which settles each landed batch.
        silver: the ledger of its silver table; what a rebuild replaced does not count.
    """
    landed = add_balances(entry.counts for entry in quarantine if set(PARTS) <= entry.counts.keys())
    batches = [entry for entry in silver if entry.cause != "compact"]
    rebuilt = max((i for i, entry in enumerate(batches) if entry.cause == "rebuild"), default=0)
    read, quarantined, accepted = 0, 0, 0
    for entry in batches[rebuilt:]:
        read, quarantined = read + entry.counts["read"], quarantined + entry.counts["quarantined"]
        accepted += entry.rows
    return {
        "read": landed["read"],
        "accepted": accepted,
        "quarantined": landed["quarantined"] + quarantined,
        "duplicates": read - quarantined - accepted,
    }
