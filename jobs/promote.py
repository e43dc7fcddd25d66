"""Challenger against champion on the same rows: moves the alias, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.gating import gather
from tidemill.cli.job import main
from tidemill.cli.models import champion
from tidemill.cli.promoting import decision_row, follow, open_promotions, record_decision
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.retraining import why_not_to_promote
from tidemill.core.time import format_time, parse_time
from tidemill.models.gate import decide
from tidemill.models.promotion import CHALLENGER, CHAMPION, crown, decided_about, outdated

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.models.registry import Registry


def run(context: Context) -> Result:
    """Decides once about each challenger; an older run never moves the alias."""
    name, lake = context.use_case.name, context.lake
    registry = context.registry
    number = registry.alias(name, CHALLENGER)
    if number is None:
        return Result(SKIPPED, notes=("there is no challenger to promote",))
    challenger = registry.version(name, number)
    if parse_time(challenger.tags["as_of"]) > context.as_of:
        return Result(SKIPPED, notes=(f"the challenger, version {number}, was trained as of a later time",))
    rows = open_promotions(lake)
    seen, before = crown(rows, name, context.as_of), decided_about(rows, name, number)
    if before is not None and not outdated(before, seen):
        follow(lake, registry, name)
        return Result(SKIPPED, model=_model(context, registry, number))
    held = why_not_to_promote(context)
    if held is not None:
        return Result(SKIPPED, model=_model(context, registry, number), notes=(held,))
    found = gather(context, registry, challenger, champion(context, registry, context.as_of))
    made = decide(found.evidence, context.config.promote)
    row = decision_row(name, context.as_of, context.now, number, rows, found, made)
    again = {} if before is None else {"champion": row["champion_version"], "after": format_time(before["decided_at"])}
    record_decision(lake, registry, row, seen, {"challenger": number, **again})
    facts = {"decision": f"{made.decision}: {'; '.join(row['reasons'])}"}
    return Result(OK, model=_model(context, registry, number), facts=facts)


def _model(context: Context, registry: Registry, challenger: str) -> dict[str, str]:
    best = champion(context, registry, context.as_of)
    if best is None:
        return {"name": context.use_case.name, "version": challenger, "alias": CHALLENGER}
    return {"name": best.name, "version": best.version, "alias": CHAMPION}


if __name__ == "__main__":
    main("promote", run)
