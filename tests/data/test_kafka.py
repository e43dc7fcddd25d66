"""A topic of a real broker to bronze and silver: every record once, whatever dies; what is none is explained."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from data_shops import land_contract, rejected, run, silver
from tidemill.cli.console import app
from tidemill.core.errors import TidemillError
from tidemill.core.failpoints import Crashed, armed
from tidemill.core.home import HOME
from tidemill.data.ledger import Entry
from tidemill.data.offsets import cut, new_ranges

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shop
    from servers.kafka import Kafka

SERVER = '{{server: topic, type: kafka, host: "{address}", format: kafka, customProperties: [{{property: topic, value: {topic}}}]}}'  # noqa: E501
ARRIVED = "{name: arrived, physicalName: $timestamp, logicalType: timestamp, required: true, customProperties: [{property: epoch, value: ms}]}"  # noqa: E501


def topic_shop(folder: Path, kafka: Kafka, partitions: int = 3) -> tuple[Shop, str]:
    topic = f"t{uuid.uuid4().hex[:12]}"
    kafka.create_topic(topic, partitions)
    more = f"      - {ARRIVED}\n      - {{name: place, physicalName: $offset, logicalType: integer}}\n"
    shop = land_contract(folder, "csv", more=more)
    path = shop.repo / "contracts" / "shop" / "orders.yaml"
    old = '{server: landing, type: local, path: "{root}/landing/readings", format: csv}'
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, SERVER.format(address=kafka.address, topic=topic)), encoding="utf-8")
    use_case = shop.repo / "shop.py"
    timed = use_case.read_text("utf-8").replace('event_time="ts"', 'event_time="ts", known_time="arrived"')
    use_case.write_text(timed, encoding="utf-8")
    return shop, topic


def value(number: int, **changed: Any) -> bytes:
    body = {"id": number, "amount": 1.5, "ts": "2024-01-01 00:00:00", "name": f"n{number % 7}", "active": True}
    return json.dumps({**body, **changed}).encode()


def landed(shop: Shop) -> list[tuple[str, int]]:
    """Topic and partition, and offset, of every record in bronze."""
    from tidemill.data.read import read_arrow
    from tidemill.data.tables import Table

    rows = read_arrow(shop.lake, Table("bronze", "readings", ()), ["source_file", "position"]).to_pylist()
    return sorted((row["source_file"], row["position"]) for row in rows)


def test_records_come_once_and_a_restart_goes_on(tmp_path: Path, kafka: Kafka, spark: object) -> None:
    shop, topic = topic_shop(tmp_path, kafka)
    kafka.produce(topic, [value(n) for n in range(50)])
    for place in ("commit.after_write:bronze.readings", "ingest.between_tables"):
        with armed(place), pytest.raises(Crashed):
            shop.run("ingest")
    kafka.produce(topic, [value(n) for n in range(50, 70)])
    assert run(shop, "ingest refine")["counts"] == {"read": 70, "accepted": 70, "quarantined": 0, "duplicates": 0}
    assert sorted(row[0] for row in silver(shop, "id")) == list(range(70))
    assert landed(shop) == sorted((f"{topic}/{r.partition}", r.offset) for r in kafka.records(topic))
    assert run(shop, "ingest")["status"] == "skipped"
    kafka.produce(topic, [value(70)])
    assert run(shop, "ingest refine", "--set", "stream.max_records=1")["counts"]["accepted"] == 71


def test_what_is_no_record_is_explained(tmp_path: Path, kafka: Kafka, spark: object) -> None:  # rows 80, 81, 83, 84
    shop, topic = topic_shop(tmp_path, kafka, partitions=1)
    bad: list[tuple[bytes | None, list[str]]] = [
        (None, ["NULL_VALUE"]),
        (b"\x00\x00\x00\x00\x07avro", ["SYNTAX"]),
        (b"\xff\xfe\x00", ["ENCODING"]),
        (b"", ["TRUNCATED"]),
        (value(1, ts="1969-12-31 23:59:59"), []),
        (value(1, ts="1000-01-01"), ["TS_RANGE:ts"]),
        (value(1, ts="2999-01-01"), ["TS_FUTURE:ts"]),
        (value(1, name="x" * 1_100_000)[:900_000], ["TRUNCATED"]),
    ]
    kafka.produce(topic, [text for text, _ in bad], partition=0)
    counts = run(shop, "ingest refine")["counts"]
    assert counts == {"read": 8, "accepted": 1, "quarantined": 7, "duplicates": 0}
    expected = [(f"{topic}/0", n, reasons, "open") for n, (_, reasons) in enumerate(bad) if reasons]
    assert sorted(rejected(shop), key=lambda row: row[1]) == expected


def test_offsets_that_were_deleted_or_made_anew_are_loud() -> None:  # row 82
    def entry(**offsets: list[int]) -> Entry:
        inputs = {"offsets": {f"t/{p[1:]}": ends for p, ends in offsets.items()}}
        return Entry("bronze.t", "b", "d", "new", 1, 5, "r", 1, {}, inputs)

    there = [entry(p0=[0, 10]), entry(p0=[10, 20], p1=[0, 5])]
    assert new_ranges({"t/0": (0, 25), "t/1": (0, 5), "t/2": (3, 9)}, there, "s") == {"t/0": (20, 25), "t/2": (3, 9)}
    for ends in ({"t/0": (21, 25)}, {"t/0": (0, 19)}):
        with pytest.raises(TidemillError) as caught:
            new_ranges(ends, there, "s")
        assert (caught.value.code, caught.value.exit_code) == ("E_OFFSETS_LOST", 65)
    assert list(cut({"a": (0, 5), "b": (7, 8)}, 4)) == [{"a": (0, 2), "b": (7, 8)}, {"a": (2, 5)}]
    assert list(cut({}, 4)) == []


def follow(shop: Shop, *more: str) -> subprocess.Popen[bytes]:
    """The continuous job, as a process of its own."""
    command = [str(HOME / "spark-submit.sh"), "ingest", "--stream", "--use-case", "shop", "--repo", str(shop.repo)]
    return subprocess.Popen(
        [*command, "--root", str(shop.root), "--set", "stream.pause=0.2", *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def everything_arrives(shop: Shop, kafka: Kafka, topic: str, seconds: float, seed: int) -> None:
    """Produces for a while, the broker and the job killed at random; then compares bronze with the topic."""
    dice = random.Random(seed)  # noqa: S311
    stop = threading.Event()
    sent = 0

    def produce() -> None:
        nonlocal sent
        while not stop.is_set():
            kafka.produce(topic, [value(n) for n in range(sent, sent + 20)])
            sent += 20
            time.sleep(0.2)

    producer = threading.Thread(target=produce)
    producer.start()
    job = follow(shop)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            time.sleep(dice.uniform(8, 20))
            killed(job)
            job = follow(shop)
    finally:
        stop.set()
        producer.join()
        killed(job)
    assert run(shop, "ingest refine")["counts"]["quarantined"] == 0
    assert landed(shop) == sorted((f"{topic}/{r.partition}", r.offset) for r in kafka.records(topic))
    assert len(landed(shop)) >= sent > 0


def test_a_continuous_job_that_is_killed_loses_and_doubles_nothing(tmp_path: Path, kafka: Kafka, spark: object) -> None:
    shop, topic = topic_shop(tmp_path, kafka)
    everything_arrives(shop, kafka, topic, 20, seed=1)
    exported = shop.root / "metrics" / "stream_readings.prom"
    if exported.exists():
        assert 'tidemill_stream_delay_seconds{source="readings"}' in exported.read_text("utf-8")


@pytest.mark.soak
def test_two_minutes_of_kills(tmp_path: Path, kafka: Kafka, spark: object) -> None:
    shop, topic = topic_shop(tmp_path, kafka)
    seed = random.randrange(1 << 30)  # noqa: S311
    print(f"seed {seed}")  # noqa: T201
    everything_arrives(shop, kafka, topic, 120, seed)


def test_a_stopped_stream_ends_as_asked_after_it_brought_all_along(
    tmp_path: Path, kafka: Kafka, capsys: pytest.CaptureFixture[str], spark: object
) -> None:
    shop, topic = topic_shop(tmp_path, kafka)
    use_case = shop.repo / "shop.py"
    use_case.write_text(use_case.read_text("utf-8").replace("cadence=days(1)", "cadence=days(5 / 86_400)"), "utf-8")
    kafka.produce(topic, [value(n) for n in range(10)])
    job = follow(shop, "--refresh")
    delays, ages = (shop.root / "metrics" / f"{name}.prom" for name in ("stream_readings", "online_shop_seen_v1"))
    deadline = time.monotonic() + 300
    found: list[dict[str, Any]] = []
    try:
        while not found and time.monotonic() < deadline:
            time.sleep(0.5)
            if ages.exists():
                found = looked_up(shop, capsys, "n0")
    finally:
        job.terminate()
    assert job.wait(60) == 143
    text = delays.read_text("utf-8")
    assert 'tidemill_stream_batch_records{outcome="accepted",source="readings"} 10.0' in text
    delay = next(line for line in text.splitlines() if line.startswith("tidemill_stream_delay_seconds{"))
    assert 0 < float(delay.rpartition(" ")[2]) < 200
    since = datetime.now(UTC) - datetime(2024, 1, 1, tzinfo=UTC)
    assert found[0]["recency_days"] == pytest.approx(since.total_seconds() / 86_400, abs=0.01)
    assert found[0]["age_seconds"]["recency_days"] < 200
    assert 'tidemill_online_value_time_seconds{use_case="shop",view="seen_v1"}' in ages.read_text("utf-8")
    assert run(shop, "ingest refine")["counts"]["accepted"] == 10


def looked_up(shop: Shop, capsys: pytest.CaptureFixture[str], key: str) -> list[dict[str, Any]]:
    """The online answer about an entity, or nothing while there is none."""
    command = ["lookup", "shop", key, "--root", str(shop.root), "--repo", str(shop.repo), "--json"]
    try:
        app(command, standalone_mode=False)
    except TidemillError as error:
        assert error.code == "E_NO_ENTITY"  # noqa: PT017 - the first tick was before the first record
        return []
    return [json.loads(capsys.readouterr().out.splitlines()[-1])]
