"""Declarations to Feast's registry, the newest gold rows to its online store, then a comparison of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from tidemill.cli.job import HOME, main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.time import format_time, parse_time
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.schema import delta_schema
from tidemill.features.gold import read_view, view_batches
from tidemill.features.parity import compare
from tidemill.monitoring.tables import PARITY

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Registers the views, loads the rows of T unless a later time was loaded before, and compares."""
    use_case, at = context.use_case, context.as_of
    batches = {view.table_name: view_batches(context.lake, view, [at]) for view in use_case.views}
    inputs = {"use_case": use_case.name, "as_of": format_time(at), "gold": batches, **context.again}
    batch = derived_batch(PARITY, inputs)
    entries = [e for e in ledger.entries(context.root, PARITY.label) if e.inputs["use_case"] == use_case.name]
    if ledgered(context.lake, PARITY, batch) is not None:
        return Result(SKIPPED)
    newer = [e.inputs["as_of"] for e in entries if parse_time(e.inputs["as_of"]) > at]
    if newer:
        return Result(SKIPPED, notes=(f"the online store already speaks for {max(newer)} and was left as it is",))
    from tidemill.features import feast_store
    from tidemill.features.feast_objects import feast_objects

    session = context.spark
    context.progress.say("registering with Feast")
    store = feast_store.open_store(feast_store.repository_yaml(context.repo, HOME / "feature_repo"), context.root)
    objects = feast_objects(use_case.name, use_case.description, use_case.views, context.lake)
    feast_store.apply_objects(store, objects, context.root)
    failpoint("materialize.registered")
    context.progress.say("loading the online store")
    feast_store.materialize(store, use_case.views, at)
    failpoint("materialize.loaded")
    key, rows = use_case.entity.key, []
    for view in use_case.views:
        context.progress.say(f"comparing {view.name}")
        gold = read_view(session, context.lake, view, [at]).orderBy(F.xxhash64(key), key)
        sample = [row.asDict() for row in gold.limit(context.config.materialize.parity_sample).toLocalIterator()]
        online = feast_store.online_rows(store, use_case.name, key, [row[key] for row in sample]) if sample else []
        rows += [
            {"use_case": use_case.name, "view": view.table_name, "as_of": at, **found.__dict__}
            for found in compare(sample, online, [f.name for f in view.columns])
        ]
    commit(context.lake, PARITY, batch, pa.Table.from_pylist(rows, schema=delta_schema(PARITY.columns)))
    wrong = [r for r in rows if r["equal"] != r["compared"]]
    if wrong:
        raise TidemillError(
            "E_PARITY",
            f"{len(wrong)} feature(s) differ between the online store and gold, {wrong[0]['feature']} among them",
            where=f"ops.parity, use case {use_case.name!r} as of {format_time(at)}",
            next_step="run materialize --rebuild; if they still differ, report it",
            exit_code=Exit.DATA,
        )
    return Result(OK, {"compared": sum(r["compared"] for r in rows), "equal": sum(r["equal"] for r in rows)})


if __name__ == "__main__":
    main("materialize", run)
