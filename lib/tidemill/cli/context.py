"""What a job is given: its arguments resolved, the tables, and Spark when it is first needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import SPARK_LOG, run_folder
from tidemill.core.session import spark_session
from tidemill.core.time import format_time, from_micros, to_micros
from tidemill.data.contract import with_keys
from tidemill.data.contract_file import read_contract
from tidemill.data.tables import SILVER_OWN, Lake, Table, silver_table
from tidemill.data.watermark import first_event, watermark

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.core.config import Config
    from tidemill.core.progress import Progress
    from tidemill.data.contract import Contract
    from tidemill.data.sources import Source
    from tidemill.models.registry import Registry
    from tidemill.models.use_case import UseCase


_STARTING = threading.Lock()


@dataclass(frozen=True)
class Asked:
    """What only some jobs are asked for.

    Args:
        source, batch: of a replay: one or all.
        because: makes a replay a waiver.
        version: the model version to reproduce.
    """

    source: str | None = None
    batch: str | None = None
    because: str | None = None
    version: str | None = None


@dataclass
class Context:
    """One run of one job, or of the pipeline, for one use case.

    Args:
        job: the job's name.
        use_case: what is run.
        repo: the feature repository it was loaded from.
        config: the configuration.
        lake: the tables, and the run that writes them.
        now: when the run started, or the round of a run that goes on; the only clock that jobs know.
        progress: for people.
        requested: the as-of times asked for; none means the use case's own default.
        rebuild: whether what is there is made again.
        stream: whether to go on with what arrives until stopped.
        refresh: whether gold and online values are brought along then.
        asked: what only some jobs are asked for.
    """

    job: str
    use_case: UseCase
    repo: Path
    config: Config
    lake: Lake
    now: datetime
    progress: Progress
    requested: tuple[datetime, ...] = ()
    rebuild: bool = False
    stream: bool = False
    refresh: bool = False
    asked: Asked = field(default_factory=Asked)
    contracts: dict[str, Contract] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The local state folder."""
        return self.lake.root

    @property
    def cause(self) -> str:
        """The cause of the batches that this run commits."""
        return "rebuild" if self.rebuild else "new"

    @property
    def again(self) -> dict[str, str]:
        """What tells a rebuilt batch from the one it replaces: inputs to add to it."""
        return {"rebuild": self.lake.run_id} if self.rebuild else {}

    @cached_property
    def registry(self) -> Registry:
        """The registry of models, below the root or on the configured server; opened when it is first needed."""
        from tidemill.models.registry import Registry

        return Registry(self.root, self.config.services.tracking)

    @cached_property
    def spark(self) -> SparkSession:
        """The Spark session, made when it is first asked for."""
        with _STARTING:  # tables that are worked on side by side ask for it at the same time
            self.progress.say("starting Spark")
            log = run_folder(self.root, self.lake.run_id) / SPARK_LOG
            return spark_session(f"{self.job} {self.use_case.name}", log)

    def contract(self, source: Source) -> Contract:
        """The source's contract, read once."""
        if source.name not in self.contracts:
            found = read_contract(self.repo, source.contract)
            for name in (source.entity.key, *source.key, source.event_time, source.known_time):
                if name is not None and not found.column(name).required:
                    raise TidemillError(
                        "E_CONTRACT",
                        f"the column {name!r} places a row and may not be null, but is not required",
                        where=str(self.repo / "contracts" / source.contract),
                        next_step="add required: true to the column",
                        exit_code=Exit.CONFIGURATION,
                    )
            mapped = {source.event_time, source.known_time, source.operation}
            taken = [c.name for c in found.columns if c.name in SILVER_OWN and c.name not in mapped]
            if taken:
                raise TidemillError(
                    "E_CONTRACT",
                    f"a column may not be named {taken[0]!r}: silver has one of that name itself",
                    where=str(self.repo / "contracts" / source.contract),
                    next_step="give the column another name; its physicalName stays as it is",
                    exit_code=Exit.CONFIGURATION,
                )
            self.contracts[source.name] = with_keys(found, (source.entity.key, *source.key))
        return self.contracts[source.name]

    def silver(self, source: Source) -> Table:
        """The source's silver table."""
        return silver_table(source, self.contract(source))

    def place(self, source: Source) -> str:
        """Where the source's files are: configuration before contract."""
        given = self.config.sources.get(source.name)
        if given is not None:
            return given.path
        path = (self.contract(source).path or f"{{root}}/landing/{source.name}").replace("{root}", str(self.root))
        return path if path.startswith("/") else str(self.repo / path)

    @cached_property
    def as_of(self) -> datetime:
        """The as-of time of the run.

        Raises:
            TidemillError: E_NO_TIME (no input) where nothing is ingested or the time is not after the first event.
        """
        at = self.requested[-1] if self.requested else self._default_time()
        firsts = [first_event(self.lake, self.silver(s)) for s in self.use_case.label.sources]
        first = min((f for f in firsts if f is not None), default=None)
        if first is None or at <= first:
            when = "there is no event" if first is None else f"the first event is at {format_time(first)}"
            raise TidemillError(
                "E_NO_TIME",
                f"nothing was known before {format_time(at)}: {when}",
                where=f"use case {self.use_case.name!r}, --as-of {format_time(at)}",
                next_step="choose an as-of time after the first event, or ingest older data",
                exit_code=Exit.NO_INPUT,
            )
        return at

    def watermark(self, sources: Iterable[Source], at: datetime | None) -> datetime | None:
        """The least watermark of the sources at a moment, or for everything delivered; None where one has no event."""
        marks = [watermark(self.lake, s, self.silver(s), at) for s in sources]
        known = [to_micros(m) for m in marks if m is not None]
        return from_micros(min(known)) if known and len(known) == len(marks) else None

    def _default_time(self) -> datetime:
        covered = self.watermark(self.use_case.sources, None)
        if covered is not None and self.use_case.default_time == "newest_matured":
            covered -= self.use_case.label.matures_after
        newest = None if covered is None else self.use_case.grid.newest(min(covered, self.now))
        if newest is None:
            raise TidemillError(
                "E_NO_TIME",
                "no as-of time was asked for and the data cover none of the use case's own",
                where=f"use case {self.use_case.name!r}",
                next_step="ingest its sources first (pipeline --to JOB does what a job needs), or give --as-of",
                exit_code=Exit.NO_INPUT,
            )
        return newest
