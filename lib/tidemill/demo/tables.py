"""The demo world's blocks as landed tables, with the small faults that deliveries have.

Faults never touch what makes accounts leave, so that features computed from cleaned tables see what the truth saw. Two
rows in a thousand have a blank country, an oddly written plan, a duration `N/A` or a blank severity; two views in a
thousand are a visitor's and have no account; one invoice in a thousand is delivered twice.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tidemill.core.time import to_micros
from tidemill.demo.behaviour import CHANNELS, COUNTRIES, KINDS, PLANS
from tidemill.demo.world import BLOCK, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidemill.demo.behaviour import Ints, Rows
    from tidemill.demo.world import Block, World

    Mask = NDArray[np.bool_]

ACCOUNTS, ACTIVITY, SUPPORT, INVOICES = "accounts", "activity", "support", "invoices"
TABLES = (ACCOUNTS, ACTIVITY, SUPPORT, INVOICES)
STATUSES = ("cancelled", "active")
_IDS = 10_000_000  # room for the numbers of one block's rows
_FAULTY = 0.002
_TWICE = 0.001
_VIEW = KINDS.index("view")
_SECOND = pa.timestamp("s")
_MOMENT = pa.timestamp("us", tz=str(UTC))
_WRITINGS = (str, str.upper, str.title, " {} ".format)


def landed_tables(world: World, number: int, block: Block) -> dict[str, pa.Table]:
    """The four tables of one block by name, rows in the order of time.

    Args:
        world: that the block is of.
        number: of the block.
        block: as simulated.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([world.seed, number, 1])))
    names = [f"A{number * BLOCK + i + 1:07d}" for i in range(world.size(number))]
    return {
        ACCOUNTS: _accounts(rng, names, block.changes, block.country),
        ACTIVITY: _activity(rng, names, number, block.events),
        SUPPORT: _support(rng, names, number, block.tickets),
        INVOICES: _invoices(rng, names, number, block.invoices),
    }


def _accounts(rng: np.random.Generator, names: list[str], rows: Rows, country: Ints) -> pa.Table:
    writing = rng.integers(1, len(_WRITINGS), len(rows["at"])) * _few(rng, rows)
    plans = [write(plan) for write in _WRITINGS for plan in PLANS]
    return pa.table(
        {
            "account_id": _texts(rows["account"], names),
            "changed_at": _times(rows, _SECOND),
            "plan": _texts(rows["plan"] + len(PLANS) * writing, plans),
            "monthly_price": _money(rows["price"]),
            "country": _texts(country[rows["account"]], COUNTRIES, _few(rng, rows)),
            "status": _texts(rows["active"], STATUSES),
        }
    )


def _activity(rng: np.random.Generator, names: list[str], number: int, rows: Rows) -> pa.Table:
    strangers = _few(rng, rows) & (rows["kind"] == _VIEW)
    seconds = pa.array(rows["duration"]).cast(pa.string())
    return pa.table(
        {
            "event_id": _numbers(number, rows),
            "account_id": _texts(rows["account"], names, strangers),
            "occurred_at": _times(rows, _MOMENT),
            "kind": _texts(rows["kind"], KINDS),
            "duration": pa.compute.if_else(pa.array(_few(rng, rows)), "N/A", seconds),
        }
    )


def _support(rng: np.random.Generator, names: list[str], number: int, rows: Rows) -> pa.Table:
    return pa.table(
        {
            "ticket_id": _numbers(number, rows),
            "account_id": _texts(rows["account"], names),
            "opened_at": _times(rows, _SECOND),
            "channel": _texts(rows["channel"], CHANNELS),
            "severity": pa.array(rows["severity"], mask=_few(rng, rows)),
        }
    )


def _invoices(rng: np.random.Generator, names: list[str], number: int, rows: Rows) -> pa.Table:
    once = pa.table(
        {
            "invoice_id": _numbers(number, rows),
            "account_id": _texts(rows["account"], names),
            "invoiced_at": _times(rows, _SECOND),
            "amount": _money(rows["cents"]),
        }
    )
    return once.take(np.repeat(np.arange(len(once)), 1 + _few(rng, rows, _TWICE)))


def _few(rng: np.random.Generator, rows: Rows, share: float = _FAULTY) -> Mask:
    """A random choice of rows, each with a small probability."""
    found: Mask = rng.random(len(rows["at"])) < share
    return found


def _numbers(number: int, rows: Rows) -> pa.Array:
    return pa.array(number * _IDS + 1 + np.arange(len(rows["at"])))


def _texts(index: Ints, values: Sequence[str], blank: Mask | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32(), mask=blank), pa.array(values, pa.string()))


def _times(rows: Rows, kind: pa.DataType) -> pa.Array:
    seconds = pa.array(to_micros(START) // 1_000_000 + rows["at"])
    return seconds.cast(_SECOND).cast(kind)


def _money(cents: Ints) -> pa.Array:
    """Decimal text with two digits."""
    return pa.array([f"{whole}.{rest:02d}" for whole, rest in zip(*np.divmod(cents, 100), strict=True)])
