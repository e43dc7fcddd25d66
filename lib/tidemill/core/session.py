"""The one Spark session of a process, made when it is first needed."""

from __future__ import annotations

from pyspark.sql import SparkSession


def spark_session(name: str) -> SparkSession:
    """The session that `spark-submit` configured; every setting comes from `conf/spark/<env>.conf`."""
    session = SparkSession.builder.appName(f"tidemill {name}").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
