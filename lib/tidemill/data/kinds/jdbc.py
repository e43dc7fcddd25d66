"""Tables of a database over JDBC: what changed up to one pinned moment, read in parallel, landed as Parquet of texts.

The contract's server says which table, and by which column rows are known to be new (`cutoff`). A fetch takes the rows
with `since < cutoff <= until`, where `until` is the newest value when it starts: a table that grows meanwhile changes
nothing. `overlap` reaches back for rows whose transaction ended later than their time says; what is fetched twice is
one row, by its identity. Rows without a cutoff are fetched every time.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.credentials import resolve
from tidemill.data.kinds.kind import FetchedKind
from tidemill.data.kinds.parquet import KIND as PARQUET

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.data.contract import Contract

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_INTERVAL = re.compile(r"[0-9]+ (?:second|minute|hour|day)s?")
_URL = re.compile(r"jdbc:[a-z0-9]+://[^\s?]+(?:\?[^\s]*)?")
_SECRET = re.compile(r"(?i)password|pwd|secret|token")
_UNTIL = "until="
_PARTS, _ROWS_A_TRIP = "4", "10000"


def fetch(session: Callable[[], SparkSession], contract: Contract, folder: Path, _: datetime) -> None:
    """Lands one folder of files with what is new, named by the moment up to which it goes.

    Raises:
        TidemillError: E_CONTRACT, E_CREDENTIALS (configuration), E_DATABASE (unavailable).
    """
    table = ".".join(_quoted(part, contract, "table") for part in _field(contract, "table").split("."))
    cutoff = _quoted(_field(contract, "cutoff"), contract, "cutoff")
    part = _quoted(contract.server.get("partitionColumn", _field(contract, "cutoff")), contract, "partitionColumn")
    properties = _properties(contract)
    try:
        spark = session()
        newest = f"(select cast(max({cutoff}) as varchar(64)) as top from {table}) as t"
        until = next(_query(spark, contract, newest, properties).toLocalIterator())["top"]
        since = _fetched_until(folder)
        if until is None or until == since:
            return
        _check_behind(folder, since, until)
        after = f" and {cutoff} > {_start(contract, since)}" if since else ""
        window = f"({cutoff} <= {_literal(until)}{after})"
        _land(spark, contract, f"{table} where {window} or {cutoff} is null", part, properties, folder / _name(until))
    except TidemillError:
        raise
    except Exception as error:
        text = str(getattr(error, "java_exception", None) or error).splitlines()[0][:300]
        raise TidemillError(
            "E_DATABASE",
            f"the database cannot be read: {text}",
            where=f"contract {contract.name!r}, {_field(contract, 'url')}",
            next_step="check that it runs and lets this user in, and run the same command again",
            exit_code=Exit.UNAVAILABLE,
        ) from error


def _land(
    spark: SparkSession, contract: Contract, rows: str, part: str, properties: dict[str, str], place: Path
) -> None:
    bounds = f"(select min({part}) as low, max({part}) as high from {rows}) as t"
    ends = _query(spark, contract, bounds, properties).selectExpr("cast(low as string)", "cast(high as string)")
    low, high = next(ends.toLocalIterator())
    names = [(_quoted_any(str(c.physical)), _quoted_any(c.landed)) for c in contract.landed_columns]
    texts = ", ".join(f"cast({there} as varchar) as {here}" for there, here in names)
    query = f"(select {texts}, {part} as tidemill_part from {rows}) as t"
    parts = {"numPartitions": contract.server.get("partitions", _PARTS), "partitionColumn": "tidemill_part"}
    more = {} if low is None else {**parts, "lowerBound": low, "upperBound": high}
    unfinished = place.with_name(f".{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    frame = _query(spark, contract, query, {**properties, **more}).drop("tidemill_part")
    # A landing file, not a table: it becomes one by the rename, and bronze by what follows.
    frame.write.mode("errorifexists").parquet(unfinished.as_posix())
    unfinished.rename(place)


def _query(spark: SparkSession, contract: Contract, query: str, properties: dict[str, str]) -> DataFrame:
    reader = spark.read.format("jdbc").options(**properties)
    return reader.option("url", _field(contract, "url")).option("dbtable", query).load()


def _start(contract: Contract, since: str) -> str:
    """The moment after which rows are new, in SQL."""
    overlap = contract.server.get("overlap")
    if overlap is None:
        return _literal(since)
    if not _INTERVAL.fullmatch(overlap):
        raise _invalid(contract, f"the overlap {overlap!r} is not of the form '5 minutes'")
    return f"timestamp {_literal(since)} - interval '{overlap}'"


def _properties(contract: Contract) -> dict[str, str]:
    where = f"contract {contract.name!r}, field"
    url = _field(contract, "url")
    if not _URL.fullmatch(url) or _SECRET.search(url):
        raise _invalid(contract, "the url is not of the form jdbc:postgresql://host:port/database, without secrets")
    user, password = _field(contract, "user"), _field(contract, "password")
    return {
        "user": resolve(user, f"{where} user") if ":" in user else user,
        "password": resolve(password, f"{where} password"),
        "fetchsize": _ROWS_A_TRIP,
        # Times are written out by the server: in UTC, whatever its own zone.
        "sessionInitStatement": "set time zone 'UTC'",
    }


def _field(contract: Contract, name: str) -> str:
    value = contract.server.get(name)
    if not value:
        raise _invalid(contract, f"its server has no {name!r}")
    return value


def _quoted(name: str, contract: Contract, field: str) -> str:
    if not _NAME.fullmatch(name):
        raise _invalid(contract, f"the {field} {name!r} is no plain name of letters, digits and underscores")
    return f'"{name}"'


def _quoted_any(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _check_behind(folder: Path, since: str | None, until: str) -> None:
    if since is None or since < until:
        return
    raise TidemillError(
        "E_FETCHED_AHEAD",
        f"rows were fetched up to {since}, but the table's newest are of {until}: nothing would ever be new again",
        where=str(folder / _name(since)),
        next_step="if the table was set back, give the source another name; if the folder is wrong, move it away",
        exit_code=Exit.DATA,
    )


def _literal(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _invalid(contract: Contract, what: str) -> TidemillError:
    return TidemillError(
        "E_CONTRACT",
        what,
        where=f"contract {contract.name!r}, servers",
        next_step="correct the contract; docs/contracts.md shows the fields of a database",
        exit_code=Exit.CONFIGURATION,
    )


def _name(until: str) -> str:
    """The folder of a fetch; the moment can be read back from it."""
    return _UNTIL + until.replace(":", "%3A").replace(" ", "T")


def _fetched_until(folder: Path) -> str | None:
    """Up to which moment rows were fetched before."""
    found = [p.name.removeprefix(_UNTIL) for p in folder.glob(f"{_UNTIL}*")]
    return max(found).replace("%3A", ":").replace("T", " ") if found else None


KIND = FetchedKind("jdbc", fetch, PARQUET)
