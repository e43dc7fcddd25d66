"""The leakage audit of what a use case is about to be trained on: made once, then read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tidemill.cli.plan import gold_builder, training_times
from tidemill.core.errors import Exit, TidemillError
from tidemill.core.failpoints import failpoint
from tidemill.core.parallel import side_by_side
from tidemill.data import ledger
from tidemill.data.commit import commit, derived_batch, ledgered
from tidemill.data.contract import MOMENTS
from tidemill.data.read import layout_of, read, read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.features.asof_choice import join_gold
from tidemill.features.audit import FAIL, Finding, accept, failed, judge_alone, judge_moved
from tidemill.features.derived import Joined
from tidemill.features.disguise import build_alone
from tidemill.features.gold import current_stamps, read_labels, read_view, stamps
from tidemill.features.leakage import Doubts, as_gold_variant, build_variants, count_moved, read_moved
from tidemill.features.tables import labels_table
from tidemill.features.window_path import has_versions
from tidemill.models.specs import BINARY, MULTICLASS
from tidemill.models.tables import AUDITS
from tidemill.models.training_set import training_set_inputs
from tidemill.stats.alone import Alone, alone, alone_of_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidemill.cli.context import Context
    from tidemill.data.sources import Source
    from tidemill.data.tables import Lake
    from tidemill.features.leakage import Moved
    from tidemill.features.specs import FeatureView

_RULES = 3  # another number audits again what was audited by older rules


@dataclass(frozen=True)
class Audited:
    """An audit.

    Args:
        findings: of it.
        made: whether this run made it.
        batch_id: of its rows in `ops.audits`; empty where nothing was audited.
    """

    findings: list[Finding]
    made: bool
    batch_id: str


def audit(context: Context) -> Audited:
    """The audit of the training rows at T; without findings where nothing has matured."""
    use_case, lake = context.use_case, context.lake
    times = training_times(context)
    if not times:
        return Audited([], made=False, batch_id="")
    doubts = {s.name: _doubts(context, s) for s in use_case.sources}
    batch = derived_batch(
        AUDITS,
        {
            **training_set_inputs(lake, use_case, times),
            "name": use_case.name,
            "rules": _RULES,
            "limits": context.config.audit.model_dump(),
            "times": {name: list(d.times) for name, d in doubts.items()},
            **context.again,
        },
    )
    if ledgered(lake, AUDITS, batch) is not None:
        return Audited(findings_of(lake, batch.batch_id), made=False, batch_id=batch.batch_id)
    found = accept(_findings(context, times, doubts), context.config.audit.accepted)
    failpoint("audit.judged")
    rows = [{"use_case": use_case.name, "batch_id": batch.batch_id, **asdict(f)} for f in found]
    commit(lake, AUDITS, batch, pa.Table.from_pylist(rows, schema=delta_schema(AUDITS.columns)))
    return Audited(found, made=True, batch_id=batch.batch_id)


def findings_of(lake: Lake, batch_id: str) -> list[Finding]:
    """The findings of an earlier audit; none where there was no such audit."""
    if version_of(lake, AUDITS) is None:
        return []
    rows = read_arrow(lake, AUDITS, where=pc.field("batch_id") == batch_id)
    return [Finding(**row) for row in rows.drop_columns(["use_case", "batch_id"]).to_pylist()]


def refuse_leaks(context: Context, findings: Sequence[Finding]) -> None:
    """Ends where a feature has seen what it should not have, or where nothing says whether it has.

    Raises:
        TidemillError: E_LEAK, or E_NOT_AUDITED where no feature leaks (both data), naming the features.
    """
    bad = sorted(failed(findings), key=lambda f: f.verdict != FAIL)
    if not bad:
        return
    leaks = [f for f in bad if f.verdict == FAIL]
    named = leaks or bad
    names = ", ".join(dict.fromkeys(f.feature for f in named))
    code, does, do = ("E_LEAK", "leaks", "leak") if leaks else ("E_NOT_AUDITED", "was not checked", "were not checked")
    raise TidemillError(
        code,
        f"{named[0].feature} {does}: {named[0].reason}" + (f" (all that {do}: {names})" if len(named) > 1 else ""),
        where=f"view {named[0].view}, check {named[0].check!r}, use case {context.use_case.name!r}, ops.audits",
        next_step="docs/leakage.md says what each check means and what to do",
        exit_code=Exit.DATA,
    )


def _findings(context: Context, times: Sequence[datetime], doubts: dict[str, Doubts]) -> list[Finding]:
    use_case, settings = context.use_case, context.config.audit
    step = max(1, len(times) // settings.times)
    cuts = sorted(list(times)[::-1][::step][: settings.times])
    sample = _sample(context, cuts)
    context.progress.say(f"{len(sample)} entities at {len(cuts)} as-of time(s)")

    def check(view: FeatureView) -> list[Finding]:
        moved = _moved(context, view, cuts, doubts, sample)
        if not any(item.compared for item in moved):  # few have a row of this view, and none of them was sampled
            moved = _moved(context, view, cuts, doubts, _sample(context, cuts, view)) or moved
        return judge_moved(view.table_name, moved)

    moved = [f for found in side_by_side(check, use_case.views, context.config.parallel_tables) for f in found]
    context.progress.say("each feature beside the label")
    key = use_case.entity.key
    spine = read_labels(context.spark, context.lake, use_case.name, use_case.label, times)
    rows = join_gold(context.lake, spine.where(F.col(key).isin(list(sample))), use_case.views, times).frame
    beside = alone_of_classes if use_case.task == MULTICLASS else partial(alone, binary=use_case.task == BINARY)
    told = build_alone(rows, use_case.features, beside).toLocalIterator()
    found = {row["feature"]: Alone(*[row[n] for n in ("rows", "strength", "same", "nulls")]) for row in told}
    views = {f.name: view.table_name for view in use_case.views for f in view.columns}
    return [*moved, *judge_alone(views, found, settings)]


def _moved(
    context: Context,
    view: FeatureView,
    cuts: Sequence[datetime],
    doubts: Mapping[str, Doubts],
    sample: dict[str, int],
) -> list[Moved]:
    if not sample:
        return []
    gold = read_view(context.spark, context.lake, view, cuts).where(F.col(view.entity.key).isin(list(sample)))
    silver = {source.name: _histories(context, view, source, gold, sample) for source in view.sources}
    corrected = {s.name for s in view.sources if has_versions(context.lake, context.silver(s))}
    computed = build_variants(silver, view, stamps(view, cuts), doubts, corrected)
    rows = computed.where(F.col("key").isin(list(sample))).unionByName(as_gold_variant(gold, view))
    counts = count_moved(rows, view, doubts, current_stamps(gold_builder(context), view, cuts)).first()
    return read_moved({} if counts is None else counts.asDict(), view, doubts)


def _histories(
    context: Context, view: FeatureView, source: Source, gold: DataFrame, sample: dict[str, int]
) -> DataFrame:
    """The versions of a source, of the sampled entities and of those that their gold rows point to."""
    table, key = context.silver(source), source.entity.key
    rows = read(context.spark, context.lake, table).select(*[f"`{name}`" for name in table.names])
    joined = [item for item in view.features if isinstance(item, Joined)]
    pointing = [item.via for item in joined if item.view.source == source]
    deeper = [item for other in joined for item in other.view.features if isinstance(item, Joined)]
    if any(source in item.view.sources for item in deeper) or (pointing and source == view.source):
        return rows  # no gold row of this view says who is pointed to in the end
    if source == view.source:
        buckets, _ = layout_of(context.lake, table)
        chosen = F.col("bucket").isin(sorted({hashed % buckets for hashed in sample.values()}))
        return rows.where(chosen & F.col(key).cast("string").isin(list(sample)))
    others = reduce(DataFrame.union, [gold.select(F.col(via).alias("_via")) for via in pointing])
    return rows.join(F.broadcast(others), F.col(key) == F.col("_via"), "left_semi")


def _sample(context: Context, cuts: Sequence[datetime], view: FeatureView | None = None) -> dict[str, int]:
    """Entities of the population, each with its hash: one bucket after another, so that few files are read.

    Of a view, those alone that have a row of it at one of the times.
    """
    use_case, lake = context.use_case, context.lake
    key = use_case.entity.key
    buckets, _ = layout_of(lake, labels_table(use_case.name, use_case.label))
    keys = read_labels(context.spark, lake, use_case.name, use_case.label, cuts).select(key).distinct()
    if view is not None:
        keys = keys.join(read_view(context.spark, lake, view, cuts), key, "left_semi")
    chosen = keys.select(F.col(key).cast("string").alias("key"), F.xxhash64(F.col(key).cast("string")).alias("hash"))
    chosen = chosen.orderBy(F.pmod("hash", F.lit(buckets)), "hash").limit(context.config.audit.entities)
    return {row["key"]: row["hash"] for row in chosen.toLocalIterator()}


def _doubts(context: Context, source: Source) -> Doubts:
    """Times that a row must have been written after, and the order in which its versions landed."""
    own = {source.event_time, source.known_time}
    times = [c.name for c in context.contract(source).columns if c.logical in MOMENTS and not c.planned]
    landed: tuple[str, ...] = ()
    if has_versions(context.lake, context.silver(source)):
        entries = ledger.entries(context.root, context.silver(source).label)
        landed = tuple(dict.fromkeys(e.batch_id for e in entries if e.cause != "compact"))
    return Doubts(tuple(name for name in times if name not in own), landed)
