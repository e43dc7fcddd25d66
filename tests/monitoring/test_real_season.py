"""Real weather, after a year of it: the next spring is no drift, and a thermometer that is ten degrees off is."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from monitoring.test_drift import LIMITS
from pyarrow import csv
from tidemill.data.column_sketches import sketch_column
from tidemill.monitoring.drift import Drift, Watched, compare, day_of_sketch
from tidemill.stats.bins import NUMBER, choose_bins
from tidemill.stats.sketch import merge_sketches

FILE = Path(__file__).resolve().parents[2] / "examples" / "beijing_air" / "prsa_data_20130301_20170228.csv.gz"
COLUMNS = ("TEMP", "PRES", "WSPM")
YEAR, JUDGED = 365, 30


@pytest.fixture(scope="module")
def days() -> dict[str, list[pa.Array]]:
    """Twelve stations' hours of each day, from 2013-03-01, by column."""
    options = csv.ConvertOptions(include_columns=["year", "month", "day", *COLUMNS], null_values=["NA"])
    table = csv.read_csv(FILE, convert_options=options)
    texts = [pc.utf8_lpad(pc.cast(table[name], pa.string()), 2, "0") for name in ("year", "month", "day")]
    day = pc.cast(pc.cast(pc.binary_join_element_wise(*texts, "-"), pa.date32()), pa.int32()).to_numpy()
    table = table.take(pa.array(np.argsort(day, kind="stable")))
    ends = np.searchsorted(np.sort(day), day.min() + np.arange(YEAR + JUDGED + 1))
    return {name: [table[name].slice(a, b - a).combine_chunks() for a, b in pairwise(ends)] for name in COLUMNS}


def judge(days: dict[str, list[pa.Array]], offset: float) -> list[Drift]:
    """Thirty days after the year, the thermometers off by so many degrees."""
    sketches, bins = {}, {}
    for name, found in days.items():
        moved = [pc.add(a, offset) if name == "TEMP" and d >= YEAR else a for d, a in enumerate(found)]
        bins[name] = choose_bins(name, NUMBER, merge_sketches([sketch_column(a) for a in moved[:YEAR]]), 10)
        sketches[name] = [sketch_column(pc.cast(a, pa.float64()), bins[name]) for a in moved]
    made = []
    for day in range(YEAR, YEAR + JUDGED):
        watched = [
            Watched(
                bins[name],
                merge_sketches(found[:YEAR]),
                found[day],
                tuple(day_of_sketch(d, found[d]) for d in range(YEAR)),
                tuple(day_of_sketch(d, found[d]) for d in range(max(YEAR, day - 6), day + 1)),
            )
            for name, found in sketches.items()
        ]
        made += compare(watched, 7, LIMITS, 365.25)
    return made


def test_a_season_is_no_drift(days: dict[str, list[pa.Array]]) -> None:
    assert [(d.bins.column, d.reason) for d in judge(days, 0.0) if d.verdict != "ok"] == []


def test_a_sensor_offset_is(days: dict[str, list[pa.Array]]) -> None:
    found = [d for d in judge(days, 10.0) if d.verdict != "ok"]
    assert {d.bins.column for d in found} == {"TEMP"}
    assert len(found) >= 20
