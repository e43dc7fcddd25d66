"""Topics of Kafka: records whose values are JSON objects, by ranges of offsets.

No checkpoint is kept beside the tables: the ledger's batches say how far each partition was read, and a batch is the
same records whenever it is read again. Columns named `$key`, `$timestamp` (milliseconds), `$partition` and `$offset`
land what stands beside a value.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.contract import DISCARD_VALUE, EVOLVE
from tidemill.data.credentials import resolve
from tidemill.data.json_rows import record
from tidemill.data.kinds.jsonl import line_fields
from tidemill.data.kinds.kind import LogKind
from tidemill.data.landed_rows import Record, frame_schema, records_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.contract import Contract
    from tidemill.data.json_rows import Field

_BESIDE = ("$key", "$timestamp", "$partition", "$offset")
_WAIT_MS = 20_000


def ends(session: SparkSession, contract: Contract) -> Mapping[str, tuple[int, int]]:
    """The first offset that is still there and the next one to come, by `topic/partition`.

    Raises:
        TidemillError: E_BROKER (unavailable), E_CONTRACT, E_CREDENTIALS (configuration).
    """
    jvm: Any = session.sparkContext._jvm  # the client with which Spark itself reads Kafka
    properties = jvm.java.util.Properties()
    for name, value in {**_options(contract), **_DESERIALIZERS}.items():
        properties.put(name, value)
    topic = contract.server["topic"]
    wait = jvm.java.time.Duration.ofMillis(_WAIT_MS)
    consumer = jvm.org.apache.kafka.clients.consumer.KafkaConsumer(properties)
    try:
        places = jvm.java.util.ArrayList()
        for info in consumer.partitionsFor(topic, wait) or ():
            places.add(jvm.org.apache.kafka.common.TopicPartition(topic, info.partition()))
        first, last = consumer.beginningOffsets(places, wait), consumer.endOffsets(places, wait)
        return {f"{topic}/{p.partition()}": (int(first[p]), int(last[p])) for p in places}
    except Exception as error:
        text = str(getattr(error, "java_exception", None) or error).splitlines()[0][:300]
        raise TidemillError(
            "E_BROKER",
            f"the topic {topic!r} cannot be read: {text}",
            where=f"contract {contract.name!r}, {contract.server['host']}",
            next_step="check that the broker runs and has the topic, and run the same command again",
            exit_code=Exit.UNAVAILABLE,
        ) from error
    finally:
        consumer.close()


_DESERIALIZERS = {
    f"{part}.deserializer": "org.apache.kafka.common.serialization.ByteArrayDeserializer" for part in ("key", "value")
}


def read(session: SparkSession, contract: Contract, ranges: Mapping[str, tuple[int, int]]) -> DataFrame:
    """The records of ranges of offsets, each range from its first to before its second offset."""
    starts: dict[str, dict[str, int]] = {}
    stops: dict[str, dict[str, int]] = {}
    for place, (start, stop) in ranges.items():
        topic, _, partition = place.rpartition("/")
        starts.setdefault(topic, {})[partition] = start
        stops.setdefault(topic, {})[partition] = stop
    assigned = {topic: [int(partition) for partition in partitions] for topic, partitions in starts.items()}
    reader = session.read.format("kafka").option("assign", json.dumps(assigned))
    for name, value in _options(contract).items():
        reader = reader.option(f"kafka.{name}", value)
    records = reader.option("startingOffsets", json.dumps(starts)).option("endingOffsets", json.dumps(stops)).load()
    shown = records.selectExpr(
        "value",
        "topic",
        "cast(key as string) as `$key`",
        "unix_millis(timestamp) as `$timestamp`",
        "partition as `$partition`",
        "offset as `$offset`",
    )
    return shown.mapInArrow(partial(_parsed, contract=contract), frame_schema(contract.landed))


def _parsed(batches: Iterator[pa.RecordBatch], contract: Contract) -> Iterator[pa.RecordBatch]:
    columns = contract.landed
    fields = line_fields(contract, columns)
    places = {columns.index(name): name for name in _BESIDE if name in columns}
    lenient = contract.new_columns in {DISCARD_VALUE, EVOLVE}
    for batch in batches:
        rows = batch.to_pylist()
        found = []
        for row in rows:
            item = _record(row["value"], fields, lenient=lenient)
            if not item.reasons:
                values = [row[places[i]] if i in places else value for i, value in enumerate(item.fields)]
                item = replace(item, fields=[None if v is None else str(v) for v in values])
            found.append(item)
        files = [f"{row['topic']}/{row['$partition']}" for row in rows]
        yield records_batch(found, columns, files, [row["$offset"] for row in rows])


def _record(value: bytes | None, fields: Mapping[str, Field], *, lenient: bool) -> Record:
    if value is None:
        return Record((), ("NULL_VALUE",), b"", 0, "a record without a value")
    return record(value, 0, fields, discard_unknown=lenient)


def _options(contract: Contract) -> dict[str, str]:
    for name in ("host", "topic"):
        if name not in contract.server:
            raise TidemillError(
                "E_CONTRACT",
                f"its server has no {name!r}",
                where=f"contract {contract.name!r}, servers",
                next_step="name the bootstrap servers as host, and the topic",
                exit_code=Exit.CONFIGURATION,
            )
    options = {"bootstrap.servers": contract.server["host"]}
    for name, value in contract.server.items():
        if name.startswith("kafka."):
            secret = any(word in name for word in ("password", "jaas", "secret"))
            where = f"contract {contract.name!r}, {name}"
            options[name.removeprefix("kafka.")] = resolve(value, where) if secret else value
    return options


KIND = LogKind("kafka", ends, read)
