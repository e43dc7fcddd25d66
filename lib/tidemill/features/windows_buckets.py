"""Window features computed bucket by bucket with Arrow and NumPy: no row leaves its worker before it is aggregated.

What an as-of time sees is decided by masks over arrays, once an as-of time, so late rows, corrections and deletes are
as exact as in `features/pairs.py`. The events that it sees are cut into segments between the edges of the windows, each
entity's by themselves; an aggregate looks at each segment once, and a window is put together from its segments, from
the newest to the oldest. So a window's answer holds nothing of what lies outside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tidemill.data.ordered_rows import read_pieces
from tidemill.features.algebra import Array, Cut, State
from tidemill.features.silver_events import Events, events_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.data.buckets import BucketFiles
    from tidemill.features.algebra import Algebra
    from tidemill.features.window_plan import Plan, Windowed

_BATCH_ROWS = 1 << 14
_MICROS_A_DAY = 86_400_000_000
Answers = list[list[State]]  # of each item the state of each of its windows: arrays with one entry an entity


@dataclass(frozen=True)
class _Carried:
    """The last entity of a piece, which the next one may go on with."""

    keys: pa.Array
    first_known: Array
    answers: list[Answers]  # one an as-of time


def bucket_rows(files: BucketFiles, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The features of a bucket's entities at every as-of time.

    Args:
        files: of the bucket.
        plan: what to compute.

    Yields:
        Grain: entity and `event_timestamp`; an entity has a row as soon as any of its events was known before the
        as-of time. A feature without a value is null.
    """
    pieces = read_pieces(files.paths, files.rows, plan.schema, plan.key, plan.piece_rows, whole_entities=plan.versions)
    columns = sorted({item.column for item in plan.items if item.column is not None})
    conditions = {condition.text: condition for item in plan.items for condition in item.conditions}
    ordered = any(item.algebra.ordered for item in plan.items)
    held: list[pa.RecordBatch] = []
    for batch in _rows_of_pieces(
        (events_of(p, columns, conditions.values(), versions=plan.versions, ordered=ordered) for p in pieces), plan
    ):
        held.append(batch)
        if sum(b.num_rows for b in held) >= _BATCH_ROWS:
            yield from _as_one(held)
            held = []
    yield from _as_one(held)


def _as_one(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """One batch of several: each costs its way to the JVM."""
    return pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []


def _rows_of_pieces(pieces: Iterator[Events], plan: Plan) -> Iterator[pa.RecordBatch]:
    """The rows of each entity, once all of its pieces have been seen."""
    carried: _Carried | None = None
    for events in pieces:
        first = events.first_known
        if carried is not None and not carried.keys.equals(events.keys[:1]):
            for at, answers in zip(plan.as_ofs, carried.answers, strict=True):
                yield _batch(carried.keys, carried.first_known, answers, plan, at)
            carried = None
        if carried is not None:
            first = np.append(np.minimum(first[:1], carried.first_known), first[1:])
        ready, open_ = (slice(None), slice(0)) if events.last else (slice(-1), slice(-1, None))
        kept: list[Answers] = []
        for number, at in enumerate(plan.as_ofs):
            answers = _answers_at(events, plan, at)
            if carried is not None:
                answers = _joined(carried.answers[number], answers, plan)
            kept.append(_sliced(answers, open_))
            yield _batch(events.keys[ready], first[ready], _sliced(answers, ready), plan, at)
        carried = None if events.last else _Carried(events.keys[-1:], first[-1:], kept)


def _sliced(answers: Answers, part: slice) -> Answers:
    return [[tuple(values[part] for values in state) for state in states] for states in answers]


@np.errstate(all="ignore")
def _joined(older: Answers, newer: Answers, plan: Plan) -> Answers:
    """The answers of a piece, its first entity's put together with what was seen of it before."""
    found: Answers = []
    for item, before, states in zip(plan.items, older, newer, strict=True):
        both = [item.algebra.combine(a, tuple(v[:1] for v in b)) for a, b in zip(before, states, strict=True)]
        found.append(
            [tuple(np.append(x, y[1:]) for x, y in zip(a, b, strict=True)) for a, b in zip(both, states, strict=True)]
        )
    return found


@np.errstate(all="ignore")
def _answers_at(events: Events, plan: Plan, at: int) -> Answers:
    """What an as-of time sees of a piece; what several aggregates need is computed once."""
    seen = events.after < at
    if events.until is not None:
        seen &= events.until >= at
    if plan.lookback is not None:
        seen &= events.times >= at - plan.lookback
    rows = np.flatnonzero(seen)
    segments: dict[tuple[int, ...], tuple[Array, Array]] = {}
    cuts: dict[tuple[Any, ...], Cut] = {}
    found: dict[tuple[Any, ...], list[State]] = {}
    answers: Answers = []
    for item in plan.items:
        longest_first = tuple(sorted(item.windows, reverse=True))
        if longest_first not in segments:
            segments[longest_first] = _segments(events, rows, at, longest_first)
        judged = (item.condition and item.condition.text, item.truth and item.truth.text)
        source = (longest_first, item.column, *judged, item.algebra.timed)
        if source not in cuts:
            cuts[source] = _cut(events, *segments[longest_first], item, plan)
        how = (*source, item.algebra.reduce)
        if how not in found:
            found[how] = _windows(item.algebra.reduce(cuts[source]), item.algebra, len(longest_first) or 1)
        answers.append([found[how][longest_first.index(w)] for w in item.windows] or found[how])
    return answers


def _segments(events: Events, rows: Array, at: int, longest_first: tuple[int, ...]) -> tuple[Array, Array]:
    """The rows within the longest window, and the number of each one's segment: by entity, then the oldest first."""
    if not longest_first:
        return rows, events.codes[rows]
    edges = np.array([at - window for window in longest_first], np.int64)
    within = np.searchsorted(edges, events.times[rows], side="right") - 1
    inside = within >= 0
    if not inside.all():
        rows, within = rows[inside], within[inside]
    return rows, events.codes[rows] * len(edges) + within


def _cut(events: Events, rows: Array, segments: Array, item: Windowed, plan: Plan) -> Cut:
    column = None if item.column is None else events.columns[item.column]
    counts: Array | None = None
    if column is not None and column.there is not None:
        counts = column.there[rows]
    if item.condition is not None:
        holds = events.holds[item.condition.text][rows]
        counts = holds if counts is None else counts & holds
    if counts is not None:
        rows, segments = rows[counts], segments[counts]
    many = len(events.keys) * (len(item.windows) or 1)
    if item.truth is not None:
        values = events.holds[item.truth.text][rows]
    else:
        values = rows if column is None else column.values[rows]
    times = events.times[rows] if item.algebra.timed else None
    return Cut(values, np.bincount(segments, minlength=many), _scale(plan, item.column), times)


def _windows(state: State, algebra: Algebra, many: int) -> list[State]:
    """From the states of segments those of windows, longest first: each is its oldest segment and the next window."""
    parts = [tuple(values[number::many] for values in state) for number in range(many)]
    found = [parts[-1]]
    for part in reversed(parts[:-1]):
        found.append(algebra.combine(part, found[-1]))
    return found[::-1]


@np.errstate(all="ignore")
def _batch(keys: pa.Array, first_known: Array, answers: Answers, plan: Plan, at: int) -> pa.RecordBatch:
    """The finished rows of the entities that have one at an as-of time."""
    there = np.flatnonzero(first_known < at)
    if len(there) < len(keys):
        keys = keys.take(pa.array(there))
        answers = [[tuple(v[there] for v in state) for state in states] for states in answers]
    moment = pa.repeat(pa.scalar(at, pa.int64()), len(keys)).cast(plan.result.field(1).type)
    columns = [keys, moment]
    for item, states in zip(plan.items, answers, strict=True):
        for state in states:
            kind = plan.result.field(len(columns)).type
            if item.days:
                seen = state[0] > 0
                found: tuple[Array, Array | None] = (at - np.where(seen, state[1], at)) / _MICROS_A_DAY, seen
            else:
                found = item.algebra.final(state, _scale(plan, item.column))
            values, valid = found
            mask = None if valid is None or valid.all() else ~valid
            columns.append(pa.array(values, kind, mask=mask, from_pandas=False))
    return pa.RecordBatch.from_arrays(columns, schema=plan.result)


def _scale(plan: Plan, column: str | None) -> int:
    kind = None if column is None else plan.schema.field(column).type
    return kind.scale if kind is not None and pa.types.is_decimal(kind) else 0
