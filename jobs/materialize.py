"""Declarations to Feast's registry, the newest gold rows to its online store, then a comparison of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tidemill.cli.exporting import leave, leave_online
from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.serving import online_place, registered_store
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time, parse_time
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.schema import delta_schema
from tidemill.features.gold import online_batches
from tidemill.features.parity import compare_all, newest_gold
from tidemill.monitoring.metrics import parity_metrics
from tidemill.monitoring.tables import PARITY, REFRESHES

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Registers the views, loads the rows of T unless a later time was loaded before, and compares."""
    use_case, at, place = context.use_case, context.as_of, online_place(context)
    batches = {view.table_name: online_batches(context.lake, view, at) for view in use_case.views}
    batch = derived_batch(PARITY, {**place, "as_of": format_time(at), "gold": batches, **context.again})
    if ledgered(context.lake, PARITY, batch) is not None:
        return Result(SKIPPED)
    before = [e.inputs for table in (PARITY, REFRESHES) for e in ledger.entries(context.root, table.label)]
    newer = [i["as_of"] for i in before if place.items() <= i.items() and parse_time(i["as_of"]) > at]
    if newer:
        return Result(SKIPPED, notes=(f"the online store already speaks for {max(newer)} and was left as it is",))
    from tidemill.features import feast_store

    session = context.spark
    context.progress.say("registering with Feast")
    store = registered_store(context)
    context.progress.say("loading the online store")
    loads = feast_store.materialize(store, use_case.views, at)
    failpoint("materialize.loaded")
    key, rows = use_case.entity.key, []

    def online(gold: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return feast_store.online_rows(store, use_case.name, key, [row[key] for row in gold], times=True)

    asked = context.config.materialize
    for view in use_case.views:
        context.progress.say(f"comparing {view.name}")
        sample = None if asked.parity_sample == "all" else asked.parity_sample
        gold = newest_gold(session, context.lake, view, at, sample)
        found = compare_all((row.asDict() for row in gold.toLocalIterator()), online, [f.name for f in view.columns])
        rows += [(view.table_name, parity) for parity in found]
        leave_online(context, view, at - view.delay)
        told = [(parity.compared, parity.equal) for parity in found]
        leave(context, parity_metrics(use_case.name, view.table_name, at, told, asked.parity_threshold))
    same = {"use_case": use_case.name, "as_of": at}
    table = [{**same, "view": view, **parity.__dict__} for view, parity in rows]
    commit(context.lake, PARITY, batch, pa.Table.from_pylist(table, schema=delta_schema(PARITY.columns)))
    wrong = [parity for _, parity in rows if parity.share < asked.parity_threshold]
    if wrong:
        worst = min(wrong, key=lambda parity: parity.share)
        raise TidemillError(
            "E_PARITY",
            f"{len(wrong)} feature(s) differ between the online store and gold; {worst.feature} is equal for"
            f" {worst.equal} of {worst.compared} entities",
            where=f"ops.parity, use case {use_case.name!r} as of {format_time(at)}",
            next_step="run materialize --rebuild; if they still differ, report it",
            exit_code=Exit.DATA,
        )
    counts = {name: sum(getattr(parity, name) for _, parity in rows) for name in ("compared", "equal")}
    counts |= {name: sum(getattr(load, name) for load in loads) for name in ("written", "removed")}
    paths = {load.view: load.path for load in loads}
    return Result(OK, counts, facts={"materialized_by": paths} if paths else {})


if __name__ == "__main__":
    main("materialize", run)
