"""Contracts as frozen values: what a landed table holds, by which rules, and what follows where one is broken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

WARN, QUARANTINE_ROW, FAIL_BATCH, FAIL_RUN = "warn", "quarantine", "fail_batch", "fail_run"
ACTIONS = (WARN, QUARANTINE_ROW, FAIL_BATCH, FAIL_RUN)
EVOLVE, FREEZE, DISCARD_VALUE, DISCARD_ROW = "evolve", "freeze", "discard_value", "discard_row"
NEW_COLUMNS = (FREEZE, EVOLVE, DISCARD_VALUE, DISCARD_ROW)
STALE = ("stop", "warn")
EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1}
NUMBERS = ("integer", "number")
MOMENTS = ("timestamp", "date")


_UNFIT = re.compile(r"[ ,;{}()\n\r\t=`.]")
_LONGEST_NAME = 200


def bronze_name(name: str) -> str:
    """A name that a table's column can have, from one that a file's column has."""
    return _UNFIT.sub("_", name)[:_LONGEST_NAME]


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Args:
        name: its name in silver.
        physical: its name in the landed file, or None for a derived column.
        logical: `string`, `integer`, `number`, `boolean`, `timestamp` or `date`.
        type: its Spark SQL type in silver.
        required: whether a null is a reason for quarantine.
        key: whether it is part of the table's primary key.
        unique: whether no two rows may share a value.
        logic: an SQL expression over the landed texts (before typing), or for a derived column over typed columns.
        null_tokens: texts that mean null, after trimming.
        true_tokens, false_tokens: texts of a boolean; by default `true` and `false` in any case.
        format: the pattern of a date or time, in Spark's words.
        epoch: the unit of a time that is a number since 1970: `s`, `ms` or `us`; None where it is a text.
        minimum, maximum: bounds, inclusive, as SQL literals.
        max_length: characters of a text, at most.
        pattern: a regular expression that the whole typed text must match.
        allowed: the only values, or none for any.
        non_finite: whether NaN and the infinities are values.
        unicode_digits: whether digits of other scripts are digits.
        null_share: the largest share of nulls in a batch that is no fault of the batch, or None for any.
        references: `source.column` whose values are the only ones, or None.
        actions: what follows on a rule other than `quarantine`, by the rule's code.
        description: what it means.
        planned: whether it is a time that is known beforehand, such as a due date: a row may be older than it.
        unit: of its values, for people.
    """

    name: str
    physical: str | None
    logical: str
    type: str
    required: bool = False
    key: bool = False
    unique: bool = False
    logic: str | None = None
    null_tokens: tuple[str, ...] = ()
    true_tokens: tuple[str, ...] = ("true",)
    false_tokens: tuple[str, ...] = ("false",)
    format: str | None = None
    epoch: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    non_finite: bool = False
    unicode_digits: bool = False
    null_share: float | None = None
    references: str | None = None
    actions: tuple[tuple[str, str], ...] = ()
    description: str = ""
    # These change no row, and so not the digest.
    planned: bool = field(default=False, repr=False)
    unit: str = field(default="", repr=False)

    @property
    def landed(self) -> str:
        """Its name in bronze: that of the file, unless no table could have a column of that name."""
        plain = self.physical is not None and bronze_name(self.physical) == self.physical
        return self.physical if plain and self.physical is not None else self.name


@dataclass(frozen=True)
class Rule:
    """A rule over several columns of a row.

    Args:
        name: what its reason `RULE:name` calls it.
        condition: SQL over silver columns; a row for which it is false breaks the rule, one for which it is null not.
        action: what follows.
    """

    name: str
    condition: str
    action: str = QUARANTINE_ROW


@dataclass(frozen=True)
class Volume:
    """How many rows a batch may have; what follows where it has others.

    Args:
        least, most: inclusive, or None.
        action: what follows; `quarantine` means the whole batch, as `fail_batch` does.
    """

    least: int | None
    most: int | None
    action: str = FAIL_BATCH


@dataclass(frozen=True)
class Contract:
    """A landed table, as agreed with those who deliver it.

    Args:
        name: the table's name.
        description: what a row is.
        columns: in the order of the file of the contract.
        format: the source's kind, a module of `data/kinds`.
        path: a file, folder or glob, relative to the feature repository; `{root}` stands for the local state folder.
        server: the other fields of the server that the kind reads: host, port, database, table, topic, ...
        delimiter: of a CSV file.
        by_name: whether a file may have its columns in another order.
        multiline: whether a quoted value may hold line breaks.
        new_columns: what follows on a column that is not declared: `freeze` rejects the file, `discard_row` the rows
            that have a value there, `discard_value` leaves the value out, `evolve` lands it in bronze.
        timezone: of times that state none.
        freshness: how long the source may lag behind, or None where nothing is agreed.
        stale: `stop` where scoring must not go on with a source that is late, `warn` otherwise.
        rules: over several columns.
        volume: of a batch, or None for any.
        unique: groups of columns that no two rows may share, beside the columns that are unique by themselves.
        operations: the change operations by their text in the landed rows: `upsert` or `delete`.
        digest: of everything above.
        owner: who answers for it, for people.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    format: str
    path: str
    server: Mapping[str, str]
    delimiter: str
    by_name: bool
    multiline: bool
    new_columns: str
    timezone: str
    freshness: timedelta | None
    stale: str
    rules: tuple[Rule, ...]
    volume: Volume | None
    unique: tuple[tuple[str, ...], ...]
    operations: tuple[tuple[str, str], ...]
    digest: str
    owner: str = ""

    @property
    def landed(self) -> tuple[str, ...]:
        """The columns of the file, by their names in bronze."""
        return tuple(c.landed for c in self.landed_columns)

    @property
    def physical(self) -> tuple[str, ...]:
        """The columns of the file, by their names there."""
        return tuple(c.physical for c in self.columns if c.physical is not None)

    @property
    def landed_columns(self) -> tuple[Column, ...]:
        """The columns that a file holds."""
        return tuple(c for c in self.columns if c.physical is not None)

    def action(self, reason: str) -> str:
        """What follows on a reason, `CODE:name`."""
        code, _, name = reason.partition(":")
        if code == "RULE":
            return next(rule.action for rule in self.rules if rule.name == name)
        for column in self.columns:
            if column.name == name:
                return dict(column.actions).get(code, QUARANTINE_ROW)
        return QUARANTINE_ROW

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            TidemillError: E_COLUMN (configuration) where there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise TidemillError(
            "E_COLUMN",
            f"the contract {self.name!r} has no column {name!r}",
            where=f"contract {self.name}",
            next_step=nearest(name, [c.name for c in self.columns]),
            exit_code=Exit.CONFIGURATION,
        )


def with_keys(contract: Contract, names: Iterable[str]) -> Contract:
    """The contract with the columns of those names as keys, too: they name an entity or a row."""
    keys = set(names)
    columns = tuple(replace(c, key=c.key or c.name in keys) for c in contract.columns)
    return replace(contract, columns=columns)
