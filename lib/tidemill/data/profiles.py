"""Profiles of a table by its files, or of any frame: one pass, and what reaches the driver is bounded by keys.

Workers open the files of the pinned snapshot with Arrow, sketch them and send the sketches, not the rows, to be merged.
A table whose files cannot be read as they are is read by Spark and sketched by the same functions.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from tidemill.data.file_tasks import map_files
from tidemill.data.files import data_files, why_no_plain_files
from tidemill.data.profile_rows import PROFILE_SCHEMA
from tidemill.data.profile_work import merge_profiles, profiles_of_batches, profiles_of_file
from tidemill.data.read import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.profile_work import Wanted
    from tidemill.data.tables import Lake, Table


_SMALL = 4 << 20  # bytes of files that are read sooner than workers are told of them


def build_table_profiles(
    session: SparkSession, lake: Lake, table: Table, wanted: Wanted, only: Mapping[str, str] | None = None
) -> DataFrame:
    """The profiles of a table at its last ledgered version.

    Args:
        session: distributes the work.
        lake: the tables.
        table: read; its partition columns are in no file and have no profile.
        wanted: what is profiled.
        only: rows of these values of partition columns; none for all rows.

    Returns:
        Rows of `PROFILE_SCHEMA`, one a slice, day and column.
    """
    if why_no_plain_files(lake, table) is not None:
        rows = read(session, lake, table)
        for name, value in (only or {}).items():
            rows = rows.where(F.col(name) == value)
        return build_frame_profiles(rows, wanted)
    files = data_files(lake, table, only, _since(wanted))
    sent = map_files(session, [(f, f.size) for f in files], partial(profiles_of_file, wanted=wanted), PROFILE_SCHEMA)
    return _merged(sent)


def table_profiles(session: Callable[[], SparkSession], lake: Lake, table: Table, wanted: Wanted) -> pa.Table:
    """As `build_table_profiles`, as what reaches the driver; of a few small files it is made here, which costs less.

    Args:
        session: asked for where it pays.
        lake: the tables.
        table: read.
        wanted: what is profiled.
    """
    if why_no_plain_files(lake, table) is None:
        files = data_files(lake, table, None, _since(wanted))
        if sum(file.size for file in files) <= _SMALL:
            return pa.Table.from_batches(merge_profiles(b for file in files for b in profiles_of_file(file, wanted)))
    return build_table_profiles(session(), lake, table, wanted).toArrow()


def build_frame_profiles(rows: DataFrame, wanted: Wanted) -> DataFrame:
    """The profiles of a frame's rows; rows of `PROFILE_SCHEMA`, one a slice, day and column."""
    made = rows.select(*[F.col(f"`{name}`") for name in wanted.read]).mapInArrow(
        partial(profiles_of_batches, wanted=wanted), PROFILE_SCHEMA
    )
    return _merged(made)


def _merged(sent: DataFrame) -> DataFrame:
    slots = sent.sparkSession.sparkContext.defaultParallelism
    return sent.repartition(slots, "column").mapInArrow(merge_profiles, PROFILE_SCHEMA)


def _since(wanted: Wanted) -> datetime | None:
    return None if wanted.days is None else wanted.days.since
