"""A Kafka broker that is its own controller (KRaft), from the JARs that `kafka.lock` lists."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from servers import process

# One node has nobody to copy to. The usual buffer of the cleaner alone would be half of the heap. A broker that was
# killed is let in again when its old session has run out.
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=2097152
"""
JVM = (
    "-Xmx192m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Record:
    """A record of a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Kafka:
    """A broker with its data in one folder. Its address stays the same when it is killed and started again."""

    def __init__(self, folder: Path, jars: Path) -> None:
        self.folder, self.jars = folder, jars
        self.port = process.free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What clients call `bootstrap.servers`, and Spark `kafka.bootstrap.servers`."""
        return f"{process.HOST}:{self.port}"

    @property
    def client(self) -> dict[str, str | int | float | bool]:
        """Settings of any client of confluent-kafka; while the broker is away, it waits without a word."""
        return {"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 200}

    def start(self) -> None:
        """Returns when every topic that it holds can be written and read."""
        settings, log, data = self.folder / "server.properties", self.folder / "log", self.folder / "data"
        if not settings.exists():
            text = SETTINGS.format(host=process.HOST, port=self.port, controller=process.free_port(), data=data)
            settings.write_text(text, encoding="utf-8")
            cluster = "A" * 21 + "Q"  # any 16 bytes in base 64
            self._run(log, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings))
        self._server = process.launch(self._java("kafka.Kafka", str(settings)), log, signal.SIGKILL)
        process.await_start(self._server, log, self._answers)

    def kill(self) -> None:
        """Ends the broker as a power failure would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends the broker in order."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kills the broker if it runs, and starts it with the same data at the same address."""
        self.kill()
        self.start()

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Makes an empty topic; returns when it can be written."""
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        admin = AdminClient(self.client)  # by name: what it was asked ends with it
        for made in admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)]).values():
            made.result(ANSWER_SECONDS)
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._answers(name, partitions):
            if time.monotonic() > deadline:
                raise RuntimeError(f"topic {name} has no leader after {ANSWER_SECONDS} seconds")

    def produce(self, topic: str, values: Iterable[bytes | None], partition: int | None = None) -> None:
        """Writes records without a key, to one partition or to all in turn; returns when they are stored."""
        from confluent_kafka import Producer

        failed: list[str] = []
        producer = Producer({**self.client, "acks": "all", "message.timeout.ms": ANSWER_SECONDS * 1000})
        count = len(producer.list_topics(topic, ANSWER_SECONDS).topics[topic].partitions)
        for number, value in enumerate(values):
            place = number % count if partition is None else partition
            producer.produce(
                topic, value, partition=place, on_delivery=lambda error, _: failed.append(str(error)) if error else None
            )
            producer.poll(0)
        if late := producer.flush(ANSWER_SECONDS):
            failed.append(f"{late} records were not stored in time")
        if failed:
            raise RuntimeError(f"topic {topic}: {failed[0]} ({len(failed)} failures)")

    def records(self, topic: str) -> list[Record]:
        """All that the topic holds now, by partition and offset."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

        found: list[Record] = []
        consumer = Consumer(
            {**self.client, "group.id": "tests", "enable.auto.commit": False, "enable.partition.eof": True}
        )
        try:
            unread = set(consumer.list_topics(topic, ANSWER_SECONDS).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in unread])
            while unread:
                message = consumer.poll(ANSWER_SECONDS)
                if message is None:
                    raise RuntimeError(f"topic {topic}: nothing came from partitions {unread}")
                partition, error = message.partition(), message.error()
                if error is None:
                    found.append(Record(partition or 0, message.offset() or 0, message.key(), message.value()))
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(partition or 0)
                else:
                    raise RuntimeError(f"topic {topic}, partition {partition}: {error}")
        finally:
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def _answers(self, topic: str | None = None, partitions: int = 0) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            topics = AdminClient(self.client).list_topics(timeout=1).topics
        except KafkaException:
            return False
        if topic is not None and (topic not in topics or len(topics[topic].partitions) < partitions):
            return False
        # A broker that came back knows its topics before it leads them.
        return all(part.leader >= 0 for known in topics.values() for part in known.partitions.values())

    def _java(self, main: str, *words: str) -> list[str]:
        java = Path(os.environ["JAVA_HOME"]) / "bin" / "java"
        # What a killed JVM leaves behind goes with the folder.
        return [str(java), *JVM, f"-Djava.io.tmpdir={self.folder}", "-cp", f"{self.jars}/*", main, *words]

    def _run(self, log: Path, main: str, *words: str) -> None:
        with log.open("ab") as said:
            done = subprocess.run(self._java(main, *words), stdout=said, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{main} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            process.end(self._server, how)
            self._server = None
