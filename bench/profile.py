"""Profiles of wide tables by their files, beside Spark adding up the same columns.

Ten million rows of fifty numbers and twenty texts in one table, ten days, and a quarter of them. Spark adds up each
number, and the length of each text. A whole profile holds counts, moments, quantiles, histograms on known edges,
distinct and commonest values of every column and day; counts alone are histograms and value counts on known edges.
Each of these starts a session of its own; what that takes is measured, too, and taken off for the targets. All find the
sums that the data were made with; the profiles' quantiles lie within a hundredth of the rows of the true ones.

Beside them stand libraries that know one machine only, with a batch of 100,000 rows of the same columns, of one day:
Evidently (its preset for drift) and NannyML (univariate drift, by default, and with tests besides) hold it against a
reference of as many rows, whylogs profiles it and compares nothing. Our whole profile of the batch compares nothing
either: comparing profiles is work on some thousand numbers, whatever the rows. The reference's rows count in the CPU
seconds of the libraries and not among their rows, since they go through them for every batch, where ours is a profile
that is kept. A library has to reach all seventy columns, or its answer is wrong.

Their targets are about CPU per row and column, of our ten million rows and of their batch. Both are taken beyond what
it takes to begin: of ours a session, of theirs importing them, each a contestant of its own. That is the stricter way,
for importing takes them up to five seconds. It would hide what is fixed in ours, which a batch cannot make up for: so
`whole profile batch` is that batch in a session of its own, and all of its CPU seconds stand beside theirs.
"""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench._peers import become
from bench.harness import Contestant, Measured, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from pyspark.sql import SparkSession
    from tidemill.data.profile_work import Wanted
    from tidemill.data.tables import Lake, Table

ROWS: dict[Size, int] = {"small": 200_000, "full": 10_000_000}
SCALES = {"quarter": 4, "whole": 1}
DAYS = 10
BATCH = 100_000  # at any size
LIBRARIES = {"evidently": "evidently", "nannyml": "nannyml", "nannyml tests": "nannyml", "whylogs": "whylogs"}
NUMBERS, TEXTS = tuple(f"n{i}" for i in range(50)), tuple(f"t{i}" for i in range(20))
SEED = 20260107
_DAY = 86_400_000_000


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Commits rows in a process of its own, whose JVM ends with it, and writes down what is expected of them."""
    for name, share in SCALES.items():
        place = folder / name
        _land(place, ROWS[size] // share, range(DAYS))
        _make_table(place)
    _land_batch(folder / "batch")
    _make_table(folder / "batch")


def _make_table(place: Path) -> None:
    command = "import sys; from bench.profile import make_table; make_table(sys.argv[1])"
    subprocess.run([sys.executable, "-P", "-c", command, str(place)], check=True)  # noqa: S603


def make_table(place: str) -> None:
    """The landed rows as a table."""
    from tidemill.data.commit import commit
    from tidemill.data.write import Batch

    folder, spark = Path(place), _session()
    commit(_lake(folder), _wide(), Batch("all", {"of": "all"}), spark.read.parquet(str(folder / "plain")))
    spark.stop()


def _land(place: Path, rows: int, days: range) -> None:
    """A file a day, with the sum of every column; of one column all values, for the ranks of its quantiles."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    sums = dict.fromkeys((*NUMBERS, *TEXTS), 0.0)
    first = []
    (place / "plain").mkdir(parents=True)
    for day in days:
        table = _rows(day, rows // len(days))
        pq.write_table(table, place / "plain" / f"day-{day}.parquet")
        for name in NUMBERS:
            sums[name] += float(np.sum(table[name].to_numpy()))
        for name in TEXTS:
            sums[name] += float(pc.sum(pc.utf8_length(table[name])).as_py())
        first.append(table[NUMBERS[0]].to_numpy())
    np.save(place / "first.npy", np.sort(np.concatenate(first)))
    (place / "expected.json").write_text(json.dumps({"rows": rows // len(days) * len(days), "sums": sums}), "utf-8")


def _land_batch(place: Path) -> None:
    """A day of its own, and as the libraries get it: without its time, and with a reference, the day before."""
    import pyarrow.parquet as pq

    _land(place, BATCH, range(DAYS + 1, DAYS + 2))
    for name, day in (("reference", DAYS), ("current", DAYS + 1)):
        pq.write_table(_rows(day, BATCH).drop_columns("at"), place / f"{name}.parquet")
    (place / "columns.json").write_text(json.dumps([*NUMBERS, *TEXTS]), "utf-8")


def _rows(day: int, rows: int) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng((SEED, day))
    columns: dict[str, Any] = {"at": pa.array(np.full(rows, day * _DAY), pa.timestamp("us", "UTC"))}
    for i, name in enumerate(NUMBERS):
        columns[name] = random.standard_normal(rows) * (i + 1)
    words = pa.array([f"v{i}" for i in range(50)])
    for name in TEXTS:
        places = (random.random(rows) * random.random(rows) * 50).astype(np.int32)
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(places), words).cast(pa.string())
    return pa.table(columns)


def _session() -> SparkSession:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("profile").getOrCreate()


def _lake(folder: Path) -> Lake:
    from tidemill.core.config import Layout
    from tidemill.data.tables import Lake

    return Lake(folder, "bench", Layout(buckets=1, period="all"))


def _wide() -> Table:
    from tidemill.data.tables import Table

    columns = (("at", "timestamp"), *((n, "double") for n in NUMBERS), *((t, "string") for t in TEXTS))
    return Table("gold", "wide", columns)


# --------------------------------------------------------------------------------------------------------- contestants


def start(_data: Path, out: Path) -> None:
    """A session that computes a row."""
    _session().range(1).write.format("noop").mode("overwrite").save()
    _answer_with(out, [])


def add_up(scale: str, data: Path, out: Path) -> None:
    """Spark adds up every number and the length of every text."""
    from pyspark.sql import functions as F
    from tidemill.data.read import read

    rows = read(_session(), _lake(data / scale), _wide())
    sums = [F.sum(name).alias(name) for name in NUMBERS] + [F.sum(F.length(name)).alias(name) for name in TEXTS]
    row = rows.agg(F.count(F.lit(1)).alias("rows"), *sums).first()
    found = {} if row is None else row.asDict()
    expected = _expected(data, scale)
    _answer_with(out, _wrong_sums(found.pop("rows"), found, expected))


def whole_profile(scale: str, data: Path, out: Path) -> None:
    """Everything that a profile holds, by the files of the table."""
    import numpy as np
    from tidemill.data.profile_rows import from_row
    from tidemill.data.profile_work import merged
    from tidemill.data.profiles import build_table_profiles

    made = build_table_profiles(_session(), _lake(data / scale), _wide(), _wanted(counts_only=False))
    days = [from_row(row.asDict()) for row in made.toLocalIterator()]
    whole = {p.key.column: p.sketch for p in merged(p.of_all_days for p in days)}
    expected = _expected(data, scale)
    sums = {name: s.moments.mean * s.moments.rows for name, s in whole.items()}
    wrong = _wrong_sums(whole[NUMBERS[0]].rows, sums, expected)
    ordered = np.load(data / scale / "first.npy")
    shares = np.arange(1, 100) / 100
    ranks = np.searchsorted(ordered, whole[NUMBERS[0]].quantiles.at(shares)) / len(ordered)
    worst = float(np.max(np.abs(ranks - shares)))
    _answer_with(out, wrong + ([f"rank error {worst}"] if worst > 0.01 else []))


def counts_alone(scale: str, data: Path, out: Path) -> None:
    """Histograms and value counts on known edges, by the files of the table."""
    from tidemill.data.profiles import build_table_profiles

    made = build_table_profiles(_session(), _lake(data / scale), _wide(), _wanted(counts_only=True))
    rows = dict.fromkeys((*NUMBERS, *TEXTS), 0)
    for row in made.toLocalIterator():
        rows[row["column"]] += sum(row["counts"])
    expected = _expected(data, scale)["rows"]
    _answer_with(out, [f"{name}: {found} rows" for name, found in rows.items() if found != expected])


def library(name: str, what: str, data: Path, out: Path) -> None:
    """What users of a library do with the batch, or importing it alone."""
    become(LIBRARIES[name], "profile/libraries.py", name.replace(" ", "_"), what, str(data / "batch"), str(out))


def _wanted(*, counts_only: bool) -> Wanted:
    from tidemill.data.profile_work import Wanted
    from tidemill.stats.bins import NUMBER, TEXT, Bins

    edges = [tuple((i + 1) * (-3 + 6 * k / 32) for k in range(33)) for i in range(len(NUMBERS))]
    bins = {name: Bins(name, NUMBER, edges=edge) for name, edge in zip(NUMBERS, edges, strict=True)}
    bins |= {name: Bins(name, TEXT, values=tuple(f"v{i}" for i in range(20))) for name in TEXTS}
    return Wanted((*NUMBERS, *TEXTS), "at", bins=bins, counts_only=counts_only)


def _wrong_sums(rows: int, found: Mapping[str, float], expected: Mapping[str, Any]) -> list[str]:
    wrong = [] if rows == expected["rows"] else [f"{rows} rows"]
    for name, value in expected["sums"].items():
        if not math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9 * rows):
            wrong.append(f"{name}: {found[name]} instead of {value}")
    return wrong


def _expected(data: Path, scale: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / scale / "expected.json").read_text("utf-8"))
    return found


def _answer_with(out: Path, wrong: list[str]) -> None:
    (out / "answer.json").write_text(json.dumps(wrong or "as expected"), "utf-8")


def _answer(out: Path) -> Any:
    return json.loads((out / "answer.json").read_text("utf-8"))


def _of_scale(scale: str) -> tuple[Contestant, ...]:
    made = functools.partial(Contestant, group=scale, answer=_answer)
    return (
        made(f"add up {scale}", run=functools.partial(add_up, scale), role="reference"),
        made(f"whole profile {scale}", run=functools.partial(whole_profile, scale), role="ours"),
        made(f"counts {scale}", run=functools.partial(counts_alone, scale), role="ours"),
    )


CONTESTANTS = (
    Contestant("start", "start", start, _answer, "reference"),
    *(contestant for scale in SCALES for contestant in _of_scale(scale)),
    Contestant(
        "whole profile batch", "batch", functools.partial(whole_profile, "batch"), _answer, "reference", extra=True
    ),
    *(
        Contestant(name, "batch", functools.partial(library, name, "all"), _answer, "peer", extra=True)
        for name in LIBRARIES
    ),
    *(
        Contestant(f"{name} import", "import", functools.partial(library, name, "import"), _answer, "peer", extra=True)
        for name in dict.fromkeys(LIBRARIES.values())
    ),
)


def _beyond_start(what: str, by: Mapping[str, Measured]) -> float:
    start = by["start"].cpu_s
    return (by[what].cpu_s - start) / (by["add up whole"].cpu_s - start)


def _by_cell(name: str, by: Mapping[str, Measured]) -> float:
    ours = (by["whole profile whole"].cpu_s - by["start"].cpu_s) / ROWS["full"]
    theirs = (by[name].cpu_s - by[f"{LIBRARIES[name]} import"].cpu_s) / BATCH
    return ours / theirs  # of as many columns


TARGETS = (
    Target("CPU beyond start of whole profile / add up", functools.partial(_beyond_start, "whole profile whole"), 1.5),
    Target("CPU beyond start of counts / add up", functools.partial(_beyond_start, "counts whole"), 1.0),
    Target(
        "peak memory of whole profile whole / quarter",
        lambda by: by["whole profile whole"].peak_mb / by["whole profile quarter"].peak_mb,
        1.2,
    ),
    *(
        Target(f"CPU per row and column of ours / {name}", functools.partial(_by_cell, name), 1 / 30)
        for name in dict.fromkeys(LIBRARIES.values())
    ),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS)
