"""The demo world by the day: sixty quiet days, and each planted fault reported as what it is, where it is."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from monitoring.test_drift import LIMITS
from numpy.typing import NDArray
from tidemill.data.column_sketches import sketch_column
from tidemill.demo.behaviour import DAY
from tidemill.demo.world import World, simulate
from tidemill.monitoring.drift import Drift, Watched, compare, day_of_sketch
from tidemill.stats.bins import NUMBER, TEXT, Bins, choose_bins
from tidemill.stats.sketch import Sketch, merge_sketches

FIRST, QUIET, JUDGED = 240, 90, 60
Columns = dict[str, NDArray[np.float64]]
Fault = Callable[[Columns, int], Columns]


@pytest.fixture(scope="module")
def world() -> dict[int, dict[str, Columns]]:
    """Every day's rows by table, of numbers; what is a text is told by `TEXTS`."""
    made = World(accounts=8_000, months=14, seed=20260101)
    blocks = [simulate(made, number) for number in range(made.blocks)]
    days: dict[int, dict[str, Columns]] = {d: {} for d in range(FIRST, FIRST + QUIET + JUDGED)}
    for table in ("events", "tickets", "invoices"):
        rows = {name: np.concatenate([getattr(b, table)[name] for b in blocks]) for name in getattr(blocks[0], table)}
        day = rows["at"] // DAY
        order = np.argsort(day, kind="stable")
        ends = np.searchsorted(day[order], np.arange(FIRST, FIRST + QUIET + JUDGED + 1))
        for number, (start, end) in enumerate(pairwise(ends)):
            kept = order[start:end]
            days[FIRST + number][table] = {
                name: rows[name][kept].astype(np.float64) for name in WATCHED if name in rows
            }
    return days


WATCHED = {"duration": NUMBER, "kind": TEXT, "cents": NUMBER, "channel": TEXT}


def arrow(name: str, values: NDArray[np.float64]) -> pa.Array:
    if WATCHED[name] == NUMBER:
        return pa.array(values, from_pandas=True)
    return pa.array([f"v{int(v)}" for v in values])


class Monitor:
    """Judges days one after another, as the job does."""

    def __init__(self, world: dict[int, dict[str, Columns]], fault: Fault | None = None) -> None:
        self.world, self.fault = world, fault
        self.bins: dict[str, Bins] = {}
        self.sketches: dict[str, dict[int, Sketch]] = {}
        quiet = {d: self.day(d) for d in range(FIRST, FIRST + QUIET)}
        for name, kind in WATCHED.items():
            whole = merge_sketches([sketch_column(quiet[d][name]) for d in quiet])
            self.bins[name] = choose_bins(name, kind, whole, 10)
            self.sketches[name] = {d: sketch_column(quiet[d][name], self.bins[name]) for d in quiet}
        self.reported = dict.fromkeys(WATCHED, 0)

    def day(self, number: int) -> dict[str, pa.Array]:
        columns = {name: values for table in self.world[number].values() for name, values in table.items()}
        if self.fault is not None and number >= FIRST + QUIET + 10:
            columns = self.fault(columns, number - FIRST - QUIET - 10)
        return {name: arrow(name, values) for name, values in columns.items()}

    def judge(self, number: int) -> dict[str, Drift]:
        watched = []
        quiet = range(FIRST, FIRST + QUIET)
        for name, column in self.day(number).items():
            found = self.sketches[name]
            found[number] = sketch_column(column, self.bins[name])
            newest = [d for d in range(number - 6, number + 1) if d >= FIRST + QUIET]
            watched.append(
                Watched(
                    self.bins[name],
                    merge_sketches([found[d] for d in quiet]),
                    found[number],
                    tuple(day_of_sketch(d, found[d]) for d in quiet),
                    tuple(day_of_sketch(d, found[d]) for d in newest),
                    self.reported[name],
                )
            )
        limits = LIMITS.model_copy(update={"minimum_rows": 30})
        made = {d.bins.column: d for d in compare(watched, 7, limits)}
        for name, drift in made.items():
            self.reported[name] = self.reported[name] + 1 if drift.verdict in {"warn", "alert"} else 0
        return made


def run(world: dict[int, dict[str, Columns]], days: int, fault: Fault | None = None) -> list[dict[str, Drift]]:
    monitor = Monitor(world, fault)
    return [monitor.judge(FIRST + QUIET + d) for d in range(days)]


def test_sixty_days_without_a_fault_are_quiet(world: dict[int, dict[str, Columns]]) -> None:
    found = run(world, JUDGED)
    assert [(d, name) for d, day in enumerate(found) for name, drift in day.items() if drift.verdict != "ok"] == []


def unit(columns: Columns, _: int) -> Columns:
    return {**columns, "duration": columns["duration"] * 60}


def new_category(columns: Columns, _: int) -> Columns:
    kind = columns["kind"].copy()
    kind[::25] = 99
    return {**columns, "kind": kind}


def slow_shift(columns: Columns, days: int) -> Columns:
    return {**columns, "cents": columns["cents"] * (1 + 0.04 * days)}


def missing(columns: Columns, _: int) -> Columns:
    cents = columns["cents"].copy()
    cents[::4] = np.nan
    return {**columns, "cents": cents}


@pytest.mark.parametrize(
    ("fault", "column", "within", "words"),
    [
        (unit, "duration", 1, "its level is"),
        (new_category, "kind", 3, "values that were rare or unknown: 4.0% of rows, usually 0.0%"),
        (missing, "cents", 1, "missing values: 2"),
        (slow_shift, "cents", 25, "its level is"),
    ],
)
def test_a_planted_fault_is_called_by_its_name(
    world: dict[int, dict[str, Columns]], fault: Fault, column: str, within: int, words: str
) -> None:
    found = run(world, 10 + within, fault)
    assert all(drift.verdict == "ok" for day in found[:10] for drift in day.values())
    assert {name for day in found[10:] for name, drift in day.items() if drift.verdict != "ok"} == {column}
    last = found[-1][column]
    assert last.verdict == "alert"
    assert last.reason.startswith(words)
