"""The ledger of promotions: how a decision gets into it, about the champion that was seen; the alias follows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.lease import lease
from tidemill.data.commit import commit, derived_batch, settle
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.models.promotion import (
    CHAMPION,
    KEEP,
    PREVIOUS,
    champion_at,
    crown,
    same,
)
from tidemill.models.tables import PROMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tidemill.cli.gating import Gathered
    from tidemill.data.tables import Lake
    from tidemill.models.gate import Decision
    from tidemill.models.promotion import Row
    from tidemill.models.registry import Registry

_WAIT_SECONDS = 30.0


def read_promotions(lake: Lake) -> list[Row]:
    """The ledger of promotions, in no order."""
    return [] if version_of(lake, PROMOTIONS) is None else read_arrow(lake, PROMOTIONS).to_pylist()


def open_promotions(lake: Lake) -> list[Row]:
    """The same for who is about to decide: with what an interrupted run had decided and not ledgered."""
    settle(lake, PROMOTIONS)
    return read_promotions(lake)


def record_decision(lake: Lake, registry: Registry, row: Row, seen: Row | None, inputs: dict[str, Any]) -> Row:
    """Writes a decision about the champion that was seen, and lets the alias follow.

    Args:
        lake: the tables.
        registry: of the aliases.
        row: the decision; its `decided_at` is moved behind those that the ledger holds.
        seen: the decision that had made the champion, when this one was made; None where there was no champion.
        inputs: what makes the decision what it is: the same again is one row.

    Raises:
        TidemillError: E_CHAMPION_MOVED (try again) where another decision has made a champion since.
    """
    name = row["use_case"]
    with _deciding(lake, name):
        rows = open_promotions(lake)
        if not same(crown(rows, name, row["as_of"]), seen):
            raise moved(name, row["challenger_version"])
        last = max((p["decided_at"] for p in rows if p["use_case"] == name), default=None)
        if last is not None:
            row = {**row, "decided_at": max(row["decided_at"], last + timedelta(microseconds=1))}
        batch = derived_batch(PROMOTIONS, {"use_case": name, **inputs})
        commit(lake, PROMOTIONS, batch, pa.Table.from_pylist([row], schema=delta_schema(PROMOTIONS.columns)))
        failpoint("promote.decided")
        _follow(lake, registry, name)
    return row


def follow(lake: Lake, registry: Registry, use_case: str) -> None:
    """Lets the aliases say what the ledger says, where something ended the run that had decided."""
    with _deciding(lake, use_case):
        _follow(lake, registry, use_case)


def decision_row(
    use_case: str, at: datetime, now: datetime, version: str, rows: list[Row], found: Gathered, made: Decision
) -> Row:
    """A decision of the gate as the ledger keeps it, with all its evidence."""
    evidence, gain = found.evidence, found.evidence.compared.champion
    champion = champion_at(rows, use_case, at)
    reasons = list(made.reasons)
    if found.represented:
        reasons.append(f"{found.represented} and was represented by its recipe, fitted before them")
    return {
        "use_case": use_case,
        "as_of": at,
        "decision": made.decision,
        "challenger_version": version,
        "champion_version": champion,
        "previous_version": None if made.decision == KEEP else champion,
        "metric": evidence.metric,
        "challenger_value": evidence.challenger,
        "champion_value": None if gain is None else gain.other,
        "baseline_value": evidence.baseline,
        "gate_rows": found.gate_rows,
        "represented": found.represented is not None,
        "reasons": reasons,
        "decided_at": now,
        "gain": None if gain is None else gain.gain,
        "gain_low": None if gain is None else gain.low,
        "gain_high": None if gain is None else gain.high,
        "method": None if gain is None else gain.method,
        "evidence": json.dumps({"checks": [asdict(check) for check in made.checks], **asdict(evidence)}),
    }


def _follow(lake: Lake, registry: Registry, use_case: str) -> None:
    """The champion of the newest as-of time of all, and the one to which a rollback would go."""
    newest = crown(read_promotions(lake), use_case)
    if newest is None or registry.alias(use_case, CHAMPION) == newest["challenger_version"]:
        return
    if newest["previous_version"] is None:
        registry.drop_alias(use_case, PREVIOUS)
    else:
        registry.set_alias(use_case, PREVIOUS, newest["previous_version"])
    registry.set_alias(use_case, CHAMPION, newest["challenger_version"])


@contextmanager
def _deciding(lake: Lake, use_case: str) -> Iterator[None]:
    with lease(lake.root, f"promotions-{use_case}", owner=lake.run_id, timeout=_WAIT_SECONDS):
        yield


def moved(use_case: str, version: str) -> TidemillError:
    """The error of a decision about a champion that is champion no more."""
    return TidemillError(
        "E_CHAMPION_MOVED",
        f"version {version} of {use_case} was compared with a champion that is champion no more",
        where="ops.promotions",
        next_step="run promote again: it compares with the champion of now",
        exit_code=Exit.TRY_AGAIN,
    )
