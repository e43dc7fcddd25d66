"""Compaction of crowded partitions, removal of files that no version and no model needs, names in Spark's catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.cli.job import main
from tidemill.cli.result import OK, SKIPPED, Result
from tidemill.cli.tables import tables_of
from tidemill.data.naming import name_table
from tidemill.data.read import version_of
from tidemill.data.upkeep import compact, crowded_partitions, remove_unneeded

if TYPE_CHECKING:
    from tidemill.cli.context import Context


def run(context: Context) -> Result:
    """Tends every table of the use case."""
    settings = context.config.maintain
    rewritten, removed, pinned, named = 0, 0, 0, 0
    for table in tables_of(context):
        context.progress.say(table.label)
        places = crowded_partitions(context.lake, table, settings.target_files)
        if places:
            rewritten += compact(context.spark, context.lake, table, places)
        files = remove_unneeded(context.lake, table, settings.retention_hours)
        removed, pinned = removed + files.removed, pinned + files.pinned
        if settings.catalog and version_of(context.lake, table) is not None:
            named += name_table(context.spark, context.lake, table, settings.catalog)
    counts = {"rows_rewritten": rewritten, "files_removed": removed, "files_pinned": pinned, "tables_named": named}
    return Result(OK if rewritten or removed or named else SKIPPED, counts)


if __name__ == "__main__":
    main("maintain", run)
