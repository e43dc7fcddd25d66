"""The population of an as-of time, scored by registered graphs: bucket by bucket where it can be, else on a frame.

Both ways give rows to the same lines of `scoring_work`: they differ in how rows come together, and in nothing else.
However many graphs score, the population is found, and the features that any of them reads are read, once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tidemill.data.read import layout_of
from tidemill.data.worker_rows import RowsApart
from tidemill.features.asof_buckets import lookup_of
from tidemill.features.asof_choice import BY_BUCKETS, BY_SPARK, Joined, join_gold, wanted_of, why_not_looked_up
from tidemill.features.conditions import NotArrowError
from tidemill.features.labels import build_population
from tidemill.features.members import members_of
from tidemill.features.pairs import AS_OF
from tidemill.models.onnx_scoring import DESCRIPTION, GRAPH
from tidemill.models.reasons import features_of, read_parts
from tidemill.models.scoring_work import BucketWork, Contender, Graph, scored_by_all
from tidemill.models.tables import CONTRIBUTIONS, PREDICTION, PROBABILITIES, REASONS, SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import DataFrame

    from tidemill.data.tables import Table
    from tidemill.features.gold import Builder
    from tidemill.models.use_case import UseCase


_MADE = (SCORE, PREDICTION, PROBABILITIES, REASONS, CONTRIBUTIONS)


@dataclass(frozen=True)
class Predictions:
    """The rows of batches of predictions, one a contender, not yet computed.

    Args:
        rows: with the columns of the table.
        path: how they come about, for the record of a run.
    """

    rows: DataFrame | RowsApart
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
    builder: Builder, use_case: UseCase, at: datetime, contenders: Sequence[Contender], table: Table
) -> Predictions:
    """The predictions for the population at an as-of time, by several versions in one pass.

    Args:
        builder: the tables, and the session.
        use_case: says the population and the features.
        at: the as-of time.
        contenders: what scores, each with those columns of the table beside that are the same in all its rows.
        table: of the predictions: grain entity, `event_timestamp` and contender, with `score`, and `prediction` at the
            threshold.

    Raises:
        TidemillError: E_NO_TABLE (no input) where a view was never built; E_TABLE_DAMAGED (data).
    """
    try:
        return Predictions(_by_buckets(builder, use_case, at, contenders), BY_BUCKETS)
    except NotArrowError as reason:
        why = str(reason)
    rows = build_scoring_rows(builder, use_case, [at]).frame
    kept, read = [use_case.entity.key, AS_OF], _read_by(contenders)
    types = dict(table.columns)
    made = (*kept, *_MADE, *(name for name, _ in contenders[0].beside))
    schema = ", ".join(f"`{name}` {types[name]}" for name in made)
    needed = rows.select(*kept, *(f"`{f.name}`" for f in use_case.features if f.name in read))
    frame = needed.mapInArrow(partial(scored_by_all, contenders=tuple(contenders), kept=kept), schema)
    frame = frame.select(*table.names).sortWithinPartitions(*table.partitions, *table.sort)
    return Predictions(frame, f"{BY_SPARK}: {why}")


def _by_buckets(builder: Builder, use_case: UseCase, at: datetime, contenders: Sequence[Contender]) -> RowsApart:
    # First: the types of columns are parsed in a session, and where the job runs alone nobody has started one.
    spark, lake, population = builder.spark(), builder.lake, use_case.label.population
    silver = builder.silver[population.source.name]
    read = _read_by(contenders)
    wanted = [
        replace(whole, columns=tuple(column for column in whole.columns if column[1] in read))
        for whole in wanted_of(lake, use_case.views, [at])
    ]
    reason = why_not_looked_up(wanted)
    if reason:
        raise NotArrowError(reason)
    members = members_of(lake, silver, population, [at])
    if len({layout_of(lake, t)[0] for t in (silver, *(w.table for w in wanted))}) > 1:
        raise NotArrowError(f"{silver.label} and gold are cut into different numbers of buckets")
    work = BucketWork(
        use_case.entity.key,
        members.plan,
        tuple(lookup_of(w) for w in wanted if w.columns),
        tuple(feature for view in use_case.views for feature in view.columns if feature.name in read),
        tuple(contenders),
    )
    return RowsApart(spark, [(file, file.size) for file in members.files], work)


def _read_by(contenders: Sequence[Contender]) -> set[str]:
    """The features that any of the graphs reads, or what explains its scores."""
    found: set[str] = set()
    for contender in contenders:
        graph = contender.graph
        found |= {item["name"] for item in json.loads(graph.description)["inputs"]}
        found |= set() if graph.explainer is None else set(features_of(dict(graph.explainer)))
    return found
