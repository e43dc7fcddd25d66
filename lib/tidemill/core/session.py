"""The one Spark session of a process, made when it is first needed."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def spark_session(name: str, log: Path) -> SparkSession:
    """The session; every setting comes from `conf/spark/<env>.conf`.

    Args:
        name: what the application is called.
        log: where a JVM that is started here, and its Python workers, send what they print; `TIDEMILL_VERBOSE=1` leaves
            it on standard error.
    """
    with _outputs_to(log):
        session = SparkSession.builder.appName(f"tidemill {name}").getOrCreate()
    # An error is raised as well; its second copy, as JSON on standard error, helps nobody.
    logging.getLogger("DataFrameQueryContextLogger").setLevel(logging.CRITICAL)
    session.sparkContext.setLogLevel("INFO" if _verbose() else "ERROR")
    return session


@contextmanager
def _outputs_to(log: Path) -> Iterator[None]:
    """Points the process's own outputs at a file, for children that are started within the block to inherit."""
    if _verbose():
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        yield
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)


def _verbose() -> bool:
    return os.environ.get("TIDEMILL_VERBOSE") == "1"
