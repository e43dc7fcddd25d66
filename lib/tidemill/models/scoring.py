"""The population of an as-of time, scored by a registered graph: bucket by bucket where it can be, else on a frame.

Both ways give rows to the same lines of `scoring_work`: they differ in how rows come together, and in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tidemill.data.read import layout_of
from tidemill.data.worker_rows import WorkerRows
from tidemill.features.asof_buckets import lookup_of
from tidemill.features.asof_choice import BY_BUCKETS, BY_SPARK, Joined, join_gold, wanted_of, why_not_looked_up
from tidemill.features.conditions import NotArrowError
from tidemill.features.labels import build_population
from tidemill.features.members import members_of
from tidemill.features.pairs import AS_OF
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH
from tidemill.models.reasons import read_parts
from tidemill.models.scoring_work import BucketWork, Graph, scored
from tidemill.models.tables import CONTRIBUTIONS, PREDICTION, PROBABILITIES, REASONS, SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import DataFrame

    from tidemill.data.tables import Table
    from tidemill.features.gold import Builder
    from tidemill.models.use_case import UseCase


_MADE = (SCORE, PREDICTION, PROBABILITIES, REASONS, CONTRIBUTIONS)


@dataclass(frozen=True)
class Predictions:
    """The rows of a batch of predictions, not yet computed.

    Args:
        rows: with the columns of the table.
        path: how they come about, for the record of a run.
    """

    rows: DataFrame | WorkerRows
    path: str


def read_graph(folder: Path, threshold: float | None, reasons: int = 0) -> Graph:
    """The graph of a folder, to be taken to workers, with the threshold of its card, and how many reasons to give."""
    parts = read_parts(folder) if reasons else None
    explainer = None if parts is None else tuple(parts.items())
    return Graph(
        (folder / GRAPH).read_bytes(), (folder / DESCRIPTION).read_text("utf-8"), threshold, reasons, explainer
    )


def build_scoring_rows(builder: Builder, use_case: UseCase, times: Sequence[datetime]) -> Joined:
    """The population at the as-of times, as known then, with its gold features."""
    events = builder.events(use_case.label.population.source)
    population = build_population(events, use_case.label, times)
    return join_gold(builder.lake, population, use_case.views, times)


def build_predictions(
    builder: Builder, use_case: UseCase, at: datetime, graph: Graph, table: Table, beside: Mapping[str, str]
) -> Predictions:
    """The predictions for the population at an as-of time.

    Args:
        builder: the tables, and the session.
        use_case: says the population and the features.
        at: the as-of time.
        graph: what scores.
        table: of the predictions: grain entity and `event_timestamp`, with `score`, and `prediction` at the threshold.
        beside: its columns that are the same in all rows.

    Raises:
        TidemillError: E_NO_TABLE (no input) where a view was never built; E_TABLE_DAMAGED (data).
    """
    try:
        return Predictions(_by_buckets(builder, use_case, at, graph, table, beside), BY_BUCKETS)
    except NotArrowError as reason:
        why = str(reason)
    rows = build_scoring_rows(builder, use_case, [at]).frame
    kept = [use_case.entity.key, AS_OF]
    types = dict(table.columns)
    schema = ", ".join(f"`{name}` {types[name]}" for name in (*kept, *_MADE))
    frame = rows.mapInArrow(partial(scored, graph=graph, kept=kept), schema)
    frame = frame.withColumns({name: F.lit(value) for name, value in beside.items()}).select(*table.names)
    return Predictions(frame.sortWithinPartitions(*table.sort), f"{BY_SPARK}: {why}")


def _by_buckets(
    builder: Builder, use_case: UseCase, at: datetime, graph: Graph, table: Table, beside: Mapping[str, str]
) -> WorkerRows:
    # First: the types of columns are parsed in a session, and where the job runs alone nobody has started one.
    spark, lake, population = builder.spark(), builder.lake, use_case.label.population
    silver = builder.silver[population.source.name]
    wanted = wanted_of(lake, use_case.views, [at])
    reason = why_not_looked_up(wanted)
    if reason:
        raise NotArrowError(reason)
    members = members_of(lake, silver, population, [at])
    if len({layout_of(lake, t)[0] for t in (silver, *(w.table for w in wanted))}) > 1:
        raise NotArrowError(f"{silver.label} and gold are cut into different numbers of buckets")
    partition = {name: beside[name] for name in table.partitions}
    work = BucketWork(
        members.plan,
        tuple(lookup_of(w) for w in wanted),
        tuple(feature for view in use_case.views for feature in view.columns),
        graph,
        tuple((name, value) for name, value in beside.items() if name not in partition),
    )
    return WorkerRows(spark, [(file, file.size) for file in members.files], work, partition)
