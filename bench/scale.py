"""The pipeline, job by job, at 1, 4 and 16 million events of the demo's world: its cost, and its driver's memory.

More accounts over the same months; `x1` is a million events, twenty thousand at small size. Each contestant is one job
in a process of its own, run with a user's command line at the use case's default time. A world's state stands beside
its landed files: a job goes on from what the job before it left there, and the first one begins anew. A job alone is
refused, since its work is done there already: `--what x4` measures all jobs of a world. Small size has the smallest
world and the first three jobs, unless `--what` asks for more.

What a session takes to start and compute a row is measured, too, and taken off. What else a job does whatever the
number of events (imports, plans, the registry) is not: it hides growth at the small end, so that the exponent from `x4`
to `x16` says more than that from `x1` on; both are judged. Less than `LEAST_S` beyond the start counts as that much.

Memory is the kernel's own record of two processes: the Python one, which is the part of the driver that is ours
(listings, ledgers, whatever a job gathers), and its JVM, which on one machine is driver and executor in one, its heap
capped by `spark.driver.memory`. The first is judged as flat, the second by the megabytes that it may take at all. The
peak of the whole tree has Python's workers besides, which hold a bucket each: it grows with events, and is reported.
"""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench._memory import leave_memory, memory_left
from bench.harness import HOME, PACKAGES, Contestant, Measured, Size, Target, main

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNTS: dict[Size, int] = {"small": 200, "full": 10_000}  # of x1; there are about a hundred events of each
SCALES = (1, 4, 16)
JOBS = ("ingest", "refine", "build_features", "materialize", "audit", "train", "promote", "score", "monitor")
FIRST = JOBS[:3]  # what small size has time for
USE_CASE = "churn"
LANDING, EXPECTED = "landing", "expected.json"
PLACE = "place"
LEAST_S = 0.5
GROWTH = 1.1
FLAT = 1.2
JVM_MB = 3_000  # 2 GB of heap, and what a JVM has besides: code, classes, buffers


# ------------------------------------------------------------------------------------------------------------ the data


def make_data(folder: Path, size: Size) -> None:
    """Lands three worlds, in a process of its own whose JVM ends with it."""
    command = "import sys; from bench.scale import make_worlds; make_worlds(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-P", "-c", command, str(folder), size], check=True)  # noqa: S603


def make_worlds(place: str, size: Size) -> None:
    """The worlds as the job `generate` lands them, but for the number of accounts, and what jobs should say of them."""
    from tidemill.core.config import load_config
    from tidemill.demo.generate import generate
    from tidemill.demo.world import World

    spark, settings = _session(), load_config(HOME / "conf", "local").generate
    for scale in SCALES:
        landed = Path(place) / _world(scale) / LANDING / USE_CASE
        landed.parent.mkdir(parents=True)
        manifest = generate(spark, World(ACCOUNTS[size] * scale, settings.months, settings.seed), landed)
        (Path(place) / _world(scale) / EXPECTED).write_text(json.dumps(expected_of(landed, manifest)), "utf-8")
    spark.stop()


def expected_of(landed: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a world holds, counted without Spark and without any of our jobs.

    Returns:
        Rows; how many of them have no account, and are invoices delivered twice; and at each as-of time the accounts
        that had signed up and, of the simulation's own knowledge, those that were still there.
    """
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.csv
    import pyarrow.parquet as pq

    visitors = sum(
        pq.read_table(path, columns=["account_id"])["account_id"].null_count
        for path in sorted((landed / "activity").glob("*.parquet"))
    )
    invoices = [pyarrow.csv.read_csv(path)["invoice_id"] for path in sorted((landed / "invoices").glob("*.csv.gz"))]
    changes = [pyarrow.csv.read_csv(path) for path in sorted((landed / "accounts").glob("*.csv.gz"))]
    # All rows of an account are in one file.
    first = [t.group_by("account_id").aggregate([("changed_at", "min")])["changed_at_min"] for t in changes]
    signed_up = np.sort(np.concatenate([times.to_numpy().astype("datetime64[s]") for times in first]))
    times = {at["as_of"]: np.datetime64(at["as_of"].removesuffix("Z"), "s") for at in manifest["as_of"]}
    return {
        "rows": sum(manifest["rows"].values()),
        "visitors": visitors,
        "twice": sum(len(ids) - pc.count_distinct(ids).as_py() for ids in invoices),
        "accounts": {name: int(np.searchsorted(signed_up, at)) for name, at in times.items()},
        "population": {at["as_of"]: at["population"] for at in manifest["as_of"]},
    }


def _session() -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("scale").getOrCreate()


# --------------------------------------------------------------------------------------------------------- contestants


def start(_data: Path, out: Path) -> None:
    """A session that computes a row."""
    _session().range(1).write.format("noop").mode("overwrite").save()
    leave_memory(out)


def run_job(job: str, world: str, data: Path, out: Path) -> None:
    """Runs one job as `./spark-submit.sh JOB` does, on what the job before it left."""
    from importlib import import_module

    from tidemill.cli.job import run_jobs

    root = data / world
    if job == JOBS[0]:
        _forget(root, out / "forgotten")
    else:
        _follow(job, root)
    (out / PLACE).write_text(str(root), "utf-8")
    run = import_module(f"jobs.{job}").run
    code = run_jobs(job, lambda _: [(job, run)], ["--use-case", USE_CASE, "--root", str(root), "--json"])
    leave_memory(out)
    if code:
        sys.exit(code)


def _forget(root: Path, to: Path) -> None:
    """Moves the state of an earlier run away; the harness removes it when nothing is measured."""
    to.mkdir()
    for path in sorted(root.iterdir()):
        if path.name not in {LANDING, EXPECTED}:
            path.rename(to / path.name)


def _follow(job: str, root: Path) -> None:
    """Refuses to run a job on any other state than the one that the job before it has left."""
    before = JOBS[JOBS.index(job) - 1]
    newest = _newest(root).get("job")
    if newest != before:
        sys.exit(f"error: {job} goes on from what {before} leaves, but here it is {newest}: measure --what {root.name}")


def _newest(root: Path) -> dict[str, Any]:
    """The summary of the newest run."""
    from tidemill.core.runs import summaries

    return next(summaries(root), {})


# ------------------------------------------------------------------------------------------------------------- answers


def answer(job: str, out: Path) -> Any:
    """Whether the job did all of its work, and nothing else; else what is wrong, with what was expected."""
    root = Path((out / PLACE).read_text("utf-8"))
    summary, expected = _newest(root), json.loads((root / EXPECTED).read_text("utf-8"))
    step = next((s for s in summary.get("steps", ()) if s["job"] == job), {"status": "missing", "counts": {}})
    checked = {"status": (step["status"], "ok")} | _CHECKS[job](root, summary | {"counts": step["counts"]}, expected)
    wrong = {name: {"found": found, "expected": wanted} for name, (found, wanted) in checked.items() if found != wanted}
    return wrong or "as expected"


_Checked = dict[str, tuple[Any, Any]]


def _ingested(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    rows = expected["rows"]
    balance = {"read": rows, "accepted": rows, "quarantined": 0, "duplicates": 0}
    counts = {name: summary["counts"].get(name) for name in balance}
    return {"balance": (counts, balance), "rows of bronze": (_rows(root, "bronze", *_SOURCES), rows)}


def _refined(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    rows, visitors, twice = (expected[name] for name in ("rows", "visitors", "twice"))
    accepted = rows - visitors - twice
    balance = {"read": rows, "accepted": accepted, "quarantined": visitors, "duplicates": twice}
    counts = {name: summary["counts"].get(name) for name in balance}
    return {"balance": (counts, balance), "rows of silver": (_rows(root, "silver", *_SOURCES), accepted)}


def _built(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    accounts, labels = _by_time(root, "account_plan_v1"), _by_time(root, _LABELS)
    counts = {"as_of_times": len(_VIEWS) * len(accounts), "label_times": len(labels)}
    return {
        "counts": (summary["counts"], counts),
        "times": (max(accounts, default=""), summary["as_of"]),
        "accounts": (accounts, {at: expected["accounts"].get(at) for at in accounts}),
        "labels": (labels, {at: expected["population"].get(at) for at in labels}),
    }


def _materialized(root: Path, summary: Mapping[str, Any], _: Mapping[str, Any]) -> _Checked:
    counts = summary["counts"]
    rows = sum(_by_time(root, view).get(summary["as_of"], 0) for view in _VIEWS)
    compared = counts.get("compared", 0)
    return {
        "written": (counts.get("written"), rows),
        "compared": (compared > 0, True),
        "equal": (counts.get("equal"), compared),
    }


def _audited(_: Path, summary: Mapping[str, Any], __: Mapping[str, Any]) -> _Checked:
    return {"checks": (summary["counts"].get("checks", 0) > 0, True)}


def _trained(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    labels = _by_time(root, _LABELS)
    gate = expected["population"].get(max(labels, default=""))
    return {
        "rows of the gate": (summary["counts"].get("rows"), gate),
        "rows of the training set": (_rows(root, "gold", f"{USE_CASE}_training_sets"), sum(labels.values())),
    }


def _promoted(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    from deltalake import DeltaTable

    gate = expected["population"].get(max(_by_time(root, _LABELS), default=""))
    decided = DeltaTable(str(root / "lake" / "ops" / "promotions")).to_pyarrow_table(columns=["gate_rows"])
    return {"model": (summary["model"].get("version"), "1"), "rows": (decided["gate_rows"].to_pylist(), [gate])}


def _scored(root: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    population = expected["population"].get(summary["as_of"])
    return {
        "scored": (summary["counts"].get("scored"), population),
        "population": (summary["metrics"].get("population"), population),
        "predictions": (_by_time(root, f"{USE_CASE}_predictions"), {summary["as_of"]: population}),
    }


def _monitored(_: Path, summary: Mapping[str, Any], expected: Mapping[str, Any]) -> _Checked:
    judged = summary["metrics"].get("test_rows")
    report = summary.get("report")
    return {
        "judged in hindsight": (judged, expected["population"].get(summary["as_of"])),
        "report": (report is not None and Path(report).exists(), True),
    }


_SOURCES = ("accounts", "activity", "support", "account_invoices")
_VIEWS = ("account_plan_v1", "account_activity_v1", "account_support_v1", "account_spending_v1")
_LABELS = f"{USE_CASE}_labels"
_CHECKS = dict(
    zip(
        JOBS,
        (_ingested, _refined, _built, _materialized, _audited, _trained, _promoted, _scored, _monitored),
        strict=True,
    )
)


def _rows(root: Path, layer: str, *tables: str) -> int:
    from deltalake import DeltaTable

    return sum(DeltaTable(str(root / "lake" / layer / table)).count() for table in tables)


def _by_time(root: Path, table: str) -> dict[str, int]:
    """The rows of a gold table at each as-of time."""
    from deltalake import DeltaTable
    from tidemill.core.time import format_time

    dataset = DeltaTable(str(root / "lake" / "gold" / table)).to_pyarrow_dataset()
    counts = dataset.to_table(columns=["event_timestamp"])["event_timestamp"].value_counts().to_pylist()
    return {format_time(each["values"]): each["counts"] for each in sorted(counts, key=lambda each: each["values"])}


# ----------------------------------------------------------------------------------------------------- what is measured


def _world(scale: int) -> str:
    return f"x{scale}"


def _contestant(job: str, scale: int) -> Contestant:
    # Once: the whole takes most of an hour as it is, and is about factors of four and sixteen.
    return Contestant(
        f"{job} {_world(scale)}",
        group=job,
        run=functools.partial(run_job, job, _world(scale)),
        answer=functools.partial(answer, job),
        role="reference" if scale == SCALES[0] else "ours",
        once=True,
        extra=scale > SCALES[0] or job not in FIRST,
        figures=memory_left,
    )


CONTESTANTS = (
    Contestant("start", "start", start, lambda _: "as expected", "reference", figures=memory_left),
    *(_contestant(job, scale) for job in JOBS for scale in SCALES),
)


def growth(by: Mapping[str, Measured], job: str, scale: int) -> float:
    """The power of the number of events that the CPU seconds beyond start grow with, from a scale to the largest."""
    small, large = (max(by[f"{job} {_world(n)}"].cpu_s - by["start"].cpu_s, LEAST_S) for n in (scale, SCALES[-1]))
    return math.log(large / small, SCALES[-1] / scale)


def memory_growth(by: Mapping[str, Measured], job: str) -> float:
    """How many times the memory of the driver's Python process the largest world takes, beside the smallest."""
    small, large = (by[f"{job} {_world(n)}"].figures["driver_mb"] for n in (SCALES[0], SCALES[-1]))
    return large / small


def largest_jvm(by: Mapping[str, Measured]) -> float:
    """Megabytes of the largest JVM of all jobs."""
    return max(measured.figures["jvm_mb"] for measured in by.values())


TARGETS = (
    *(
        Target(
            f"{job}, {_world(scale)} to {_world(SCALES[-1])}: exponent of CPU beyond start",
            functools.partial(growth, job=job, scale=scale),
            GROWTH,
        )
        for job in JOBS
        for scale in SCALES[:-1]
    ),
    *(
        Target(f"{job}: memory of the driver's Python, x16 / x1", functools.partial(memory_growth, job=job), FLAT)
        for job in JOBS
    ),
    Target("MB of the largest JVM", largest_jvm, JVM_MB),
)

if __name__ == "__main__":
    main(make_data, CONTESTANTS, TARGETS, packages=(*PACKAGES, "mlflow", "xgboost-cpu"))
