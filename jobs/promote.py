"""Challenger against champion on the same rows: moves the alias, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F
from tidemill.cli.job import main
from tidemill.cli.models import promotions
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.failpoints import failpoint
from tidemill.core.time import Run, decode_times, parse_time
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.read import read
from tidemill.data.schema import delta_schema
from tidemill.models.promotion import PROMOTE, Evidence, champion_at, decide
from tidemill.models.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from tidemill.models.tables import PROMOTIONS, training_sets_table

if TYPE_CHECKING:
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.models.registry import Version


def run(context: Context) -> Result:
    """Decides once about each challenger; an older run never moves the alias."""
    use_case, lake = context.use_case, context.lake
    registry = Registry(context.root, context.config.services.tracking)
    number = registry.alias(use_case.name, CHALLENGER)
    if number is None:
        return Result(SKIPPED, notes=("there is no challenger to promote",))
    challenger = registry.version(use_case.name, number)
    batch = derived_batch(PROMOTIONS, {"use_case": use_case.name, "challenger": number})
    if ledgered(lake, PROMOTIONS, batch) is not None:
        _move_alias(context, registry)
        return Result(SKIPPED, model=_model(context, challenger))
    card = registry.document(challenger, "card.json")
    champion = champion_at(promotions(context), use_case.name, context.as_of)
    represented, champion_value = False, None
    if champion is not None:
        context.progress.say("scoring the gate with the champion")
        champion_value, represented = _champion_value(
            context, registry, registry.version(use_case.name, champion), card
        )
    evidence = Evidence(use_case.metric, card["gate_value"], card["baseline"]["gate_value"], champion_value)
    decision = decide(evidence)
    reasons = [*decision.reasons]
    if represented:
        reasons.append(
            "the champion had seen the gate's outcomes and was represented by its recipe, fitted before them"
        )
    row = {
        "use_case": use_case.name,
        "as_of": context.as_of,
        "decision": decision.decision,
        "challenger_version": number,
        "champion_version": champion,
        "previous_version": champion if decision.decision == PROMOTE else None,
        "metric": evidence.metric,
        "challenger_value": evidence.challenger,
        "champion_value": champion_value,
        "baseline_value": evidence.baseline,
        "gate_rows": card["gate_rows"],
        "represented": represented,
        "reasons": reasons,
        "decided_at": context.now,
    }
    commit(lake, PROMOTIONS, batch, pa.Table.from_pylist([row], schema=delta_schema(PROMOTIONS.columns)))
    failpoint("promote.decided")
    _move_alias(context, registry)
    facts = {"decision": f"{decision.decision}: {'; '.join(reasons)}"}
    return Result(OK, model=_model(context, challenger), facts=facts)


def _move_alias(context: Context, registry: Registry) -> None:
    """Lets the alias follow the ledger: the champion of the newest as-of time of all, and the one before it."""
    name = context.use_case.name
    made = [p for p in promotions(context) if p["use_case"] == name and p["decision"] == PROMOTE]
    newest = max(made, key=lambda p: (p["as_of"], p["decided_at"]), default=None)
    if newest is None or registry.alias(name, CHAMPION) == newest["challenger_version"]:
        return
    if newest["previous_version"] is not None:
        registry.set_alias(name, PREVIOUS, newest["previous_version"])
    registry.set_alias(name, CHAMPION, newest["challenger_version"])


def _champion_value(
    context: Context, registry: Registry, champion: Version, card: dict[str, Any]
) -> tuple[float, bool]:
    """The champion's metric on the challenger's gate rows, and whether its recipe had to stand in for it."""
    from tidemill.models.champion import gate_value

    own = registry.document(champion, "card.json")
    rows = read(context.spark, context.lake, training_sets_table(context.use_case))
    rows = rows.where(F.col("training_set_id") == card["training_set_id"])
    embargoed = parse_time(own["trained_until"]) <= _gate_start(card)
    model = registry.load(champion) if embargoed else None
    return gate_value(rows, context.use_case, own, model, context.config.train), not embargoed


def _gate_start(card: dict[str, Any]) -> datetime:
    return decode_times([Run(**run) for run in card["times"]["gate"]])[0]


def _model(context: Context, challenger: Version) -> dict[str, str]:
    champion = champion_at(promotions(context), context.use_case.name, context.as_of)
    if champion is None:
        return {"name": challenger.name, "version": challenger.version, "alias": CHALLENGER}
    return {"name": challenger.name, "version": champion, "alias": CHAMPION}


if __name__ == "__main__":
    main("promote", run)
