"""Real weather, replayed month by month after a year of it: seasons are no drift, and a thermometer that is off is.

Weather is lively: storms and cold waves are odd days, and are reported as such. What must not be is a month, a spring
say, that is odd because of the time of the year. Gaps in the readings are there, too, and are found for what they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from monitoring.test_drift import LIMITS
from pyarrow import csv
from tidemill.core.config_monitor import Monitor
from tidemill.data.column_sketches import sketch_column
from tidemill.monitoring.drift import MISSING_VALUES, Drift, Watched, compare, day_of_sketch
from tidemill.stats.bins import NUMBER, choose_bins
from tidemill.stats.sketch import Sketch, merge_sketches

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
YEAR, WEEK = 365, 7


@dataclass(frozen=True)
class Place:
    """Weather somewhere.

    Args:
        first: day of the readings.
        columns: readings of each day.
        thermometer: one of the columns.
        off: by how much it will be off: ten degrees.
        limits: the settings.
        months: whole months after the first year.
    """

    first: np.datetime64
    columns: dict[str, list[pa.Array]]
    thermometer: str
    off: float
    limits: Monitor
    months: int


def beijing() -> Place:
    """Twelve stations' hours, from 2013-03-01."""
    names = ("TEMP", "PRES", "WSPM")
    options = csv.ConvertOptions(include_columns=["year", "month", "day", *names], null_values=["NA"])
    table = csv.read_csv(EXAMPLES / "beijing_air" / "prsa_data_20130301_20170228.csv.gz", convert_options=options)
    texts = [pc.utf8_lpad(pc.cast(table[name], pa.string()), 2, "0") for name in ("year", "month", "day")]
    day = pc.cast(pc.binary_join_element_wise(*texts, "-"), pa.date32())
    return Place(*by_day(table, day, names), "TEMP", 10.0, LIMITS, 36)


def bikes() -> Place:
    """The hours of one network of bikes, from 2011-01-01; degrees are shares of 41."""
    names = ("temp", "hum", "windspeed")
    options = csv.ConvertOptions(include_columns=["dteday", *names], column_types={"dteday": pa.string()})
    table = csv.read_csv(EXAMPLES / "bike_sharing" / "hour.csv.gz", convert_options=options)
    day = pc.cast(pc.strptime(table["dteday"], format="%m/%d/%y", unit="s"), pa.date32())
    return Place(*by_day(table, day, names), "temp", 10 / 41, LIMITS.model_copy(update={"minimum_rows": 12}), 12)


def by_day(
    table: pa.Table, day: pa.ChunkedArray, names: tuple[str, ...]
) -> tuple[np.datetime64, dict[str, list[pa.Array]]]:
    number = pc.cast(day, pa.int32()).to_numpy()
    table = table.take(pa.array(np.argsort(number, kind="stable")))
    ends = np.searchsorted(np.sort(number), np.arange(number.min(), number.max() + 2))
    columns = {name: pc.cast(table[name], pa.float64()) for name in names}
    days = {n: [c.slice(a, b - a).combine_chunks() for a, b in pairwise(ends)] for n, c in columns.items()}
    return np.datetime64(int(number.min()), "D"), days


class Replay:
    """Judges days after the first year, against that year."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.bins = {
            name: choose_bins(name, NUMBER, merge_sketches([sketch_column(a) for a in found[:YEAR]]), 10)
            for name, found in place.columns.items()
        }
        self.sketches = {n: [sketch_column(a, self.bins[n]) for a in found] for n, found in place.columns.items()}
        self.whole = {name: merge_sketches(found[:YEAR]) for name, found in self.sketches.items()}
        self.quiet = {n: tuple(day_of_sketch(d, s) for d, s in enumerate(f[:YEAR])) for n, f in self.sketches.items()}

    def days(self, each: int) -> Iterator[tuple[str, int]]:
        """Every so many days with their months; whole months only."""
        size = len(next(iter(self.place.columns.values())))
        month = (self.place.first + np.arange(size)).astype("datetime64[M]")
        for number in range(YEAR + WEEK, size, each):
            yield str(month[number]), number

    def judge(self, number: int, sketch: Callable[[str, int], Sketch]) -> list[Drift]:
        watched = []
        for name in self.place.columns:
            newest = [day_of_sketch(d, sketch(name, d)) for d in range(number - WEEK + 1, number + 1)]
            watched.append(
                Watched(self.bins[name], self.whole[name], sketch(name, number), self.quiet[name], tuple(newest))
            )
        return [d for d in compare(watched, 7, self.place.limits, 365.25) if d.verdict != "ok"]

    def as_it_was(self, name: str, number: int) -> Sketch:
        return self.sketches[name][number]

    def off(self, name: str, number: int) -> Sketch:
        """The same with the thermometer off."""
        if name != self.place.thermometer:
            return self.as_it_was(name, number)
        return sketch_column(pc.add(self.place.columns[name][number], self.place.off), self.bins[name])


@pytest.fixture(scope="module", params=[beijing, bikes], ids=lambda place: str(place.__name__))
def replay(request: pytest.FixtureRequest) -> Replay:
    return Replay(request.param())


def test_no_month_is_drift_because_of_its_season(replay: Replay) -> None:
    judged: dict[str, list[set[str]]] = {}
    for month, number in replay.days(WEEK):
        found = replay.judge(number, replay.as_it_was)
        judged.setdefault(month, []).append({d.bins.column for d in found if d.kind != MISSING_VALUES})
    assert len(judged) == replay.place.months
    weeks = [columns for found in judged.values() for columns in found]
    assert sum(len(columns) for columns in weeks) <= 0.05 * len(weeks) * len(replay.place.columns)
    thermometer = {month: [replay.place.thermometer in columns for columns in found] for month, found in judged.items()}
    assert sum(sum(found) for found in thermometer.values()) <= 0.05 * len(weeks)
    assert [month for month, found in thermometer.items() if sum(found) > len(found) / 2] == []


def test_a_thermometer_that_is_off_is_found(replay: Replay) -> None:
    """In every month, but where summer's heat leaves no room above: all rows are in the last bin already."""
    months: dict[str, bool] = {}
    for month, number in replay.days(WEEK):
        found = {d.bins.column for d in replay.judge(number, replay.off)}
        months[month] = months.get(month, False) or replay.place.thermometer in found
    assert [month for month, found in months.items() if not found and month[-2:] not in {"06", "07", "08"}] == []
    assert sum(months.values()) >= 0.9 * len(months)
