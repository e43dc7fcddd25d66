"""The servers that other tests rely on, and Spark's way to them."""

import psycopg
import pytest
from pyspark.sql import SparkSession
from redis import Redis as Client
from redis.exceptions import AuthenticationError

from servers.kafka import Kafka
from servers.postgres import Postgres
from servers.process import HOST
from servers.redis import Redis


def test_the_broker_keeps_what_it_took_when_it_is_killed(kafka: Kafka) -> None:
    sent = [f"record {n}".encode() for n in range(1000)]
    kafka.create_topic("kept", partitions=2)
    kafka.produce("kept", sent)
    before = kafka.records("kept")
    assert sorted(record.value or b"" for record in before) == sorted(sent)
    kafka.restart()
    assert kafka.records("kept") == before
    kafka.produce("kept", [b"one more"], partition=1)
    assert len(kafka.records("kept")) == 1001


def test_postgresql_answers_with_the_password_only(postgres: Postgres) -> None:
    with psycopg.connect(postgres.conninfo) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    wrong = postgres.conninfo.replace(postgres.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_redis_answers_with_the_password_only(redis: Redis) -> None:
    with redis.client() as client:
        client.set("kept", "here")
        assert client.get("kept") == b"here"
        client.delete("kept")
    with pytest.raises(AuthenticationError), Client(host=HOST, port=redis.port) as client:
        client.ping()


def test_spark_reads_a_topic(kafka: Kafka, spark: SparkSession) -> None:
    kafka.create_topic("read", partitions=3)
    kafka.produce("read", [b"a", b"b"], partition=0)
    kafka.produce("read", [b"c"], partition=2)
    options = {"kafka.bootstrap.servers": kafka.address, "subscribe": "read"}
    rows = spark.read.format("kafka").options(**options).load().select("partition", "offset", "value").collect()
    assert sorted(rows) == [(0, 0, b"a"), (0, 1, b"b"), (2, 0, b"c")]


def test_spark_reads_a_table(postgres: Postgres, spark: SparkSession) -> None:
    with psycopg.connect(postgres.conninfo) as connection:
        connection.execute("create table invoices (number int primary key, amount numeric(12, 2))")
        connection.execute("insert into invoices values (1, 0.10), (2, -3.00)")
    rows = spark.read.format("jdbc").options(**postgres.jdbc_options, dbtable="invoices").load().collect()
    assert [(row.number, str(row.amount)) for row in sorted(rows)] == [(1, "0.10"), (2, "-3.00")]
