"""Declarations of entities and sources: values only, no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tidemill.core.frozen import declared


@declared
@dataclass(frozen=True)
class Entity:
    """Who or what a feature row is about.

    Args:
        key: the join key, one column; a composite key gets a surrogate column in its contract.
        description: what the entity is, for the catalogue and Feast.
    """

    key: str
    description: str = ""


@declared
@dataclass(frozen=True)
class Source:
    """One table of landed rows, each with an entity and a moment.

    Args:
        name: the table's name in bronze, silver and quarantine.
        contract: the contract's path under `contracts/` of the feature repository.
        entity: whose rows these are.
        event_time: the contract's column that says when a row happened; silver calls it `event_time`.
        known_time: the contract's column that says when a row arrived; without one a row is known at
            `event_time + delay`.
        delay: how long after its event time a row is known, where there is no arrival column.
        completeness: the step in which the source is complete: its watermark is its newest event time rounded up to it.
        key: the columns that identify a row across corrections; without any, a row is its digest and its occurrence
            within its file, so equal lines of a file are kept.
        sequence: the column that orders corrections of one key; without one the arrival orders them.
        operation: the column that says what a change record does; the contract's `operations` say which of its texts
            mean an upsert and which a delete. Without one every row is an upsert.
    """

    name: str
    contract: str
    entity: Entity
    event_time: str = "event_time"
    known_time: str | None = None
    delay: timedelta = timedelta(0)
    completeness: timedelta = timedelta(days=1)
    key: tuple[str, ...] = ()
    sequence: str | None = None
    operation: str | None = None
