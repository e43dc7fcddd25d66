"""The tables of a use case: what they are, and what they hold now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.data import ledger
from tidemill.data.read import rows_of
from tidemill.data.tables import bronze_table, quarantine_table
from tidemill.features.tables import labels_table, view_table
from tidemill.models.tables import (
    AUDITS,
    BACKTESTS,
    PROMOTIONS,
    gate_scores_table,
    predictions_table,
    training_sets_table,
)
from tidemill.monitoring.tables import ALERTS, DECISIONS, DELIVERIES, DRIFT, PARITY, PERFORMANCE, PROFILES

if TYPE_CHECKING:
    from tidemill.cli.context import Context
    from tidemill.data.tables import Table


def tables_of(context: Context) -> list[Table]:
    """Every table that the use case's jobs write, in the order of the layers."""
    use_case = context.use_case
    found = []
    for source in use_case.sources:
        contract = context.contract(source)
        found += [bronze_table(source, contract), context.silver(source), quarantine_table(source)]
    found += [view_table(view) for view in use_case.views]
    found += [labels_table(use_case.name, use_case.label), training_sets_table(use_case)]
    found += [gate_scores_table(use_case), predictions_table(use_case)]
    found += [PARITY, AUDITS, BACKTESTS, PROMOTIONS, PROFILES]
    return [*found, DRIFT, PERFORMANCE, DECISIONS, ALERTS, DELIVERIES]


def table_versions(context: Context) -> dict[str, dict[str, int]]:
    """The version and rows of every table that holds something, by `layer.name`."""
    versions = {entry.table: entry.version for entry in ledger.entries(context.root)}
    return {
        table.label: {"version": versions[table.label], "rows": rows_of(context.lake, table)}
        for table in tables_of(context)
        if table.label in versions
    }
