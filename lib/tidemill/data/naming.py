"""Names of tables in Spark's catalog, for people who query: jobs themselves read and write tables by their places."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tidemill.data.tables import Lake, Table


def name_table(spark: SparkSession, lake: Lake, table: Table, schema: str) -> bool:
    """Gives a table the name LAYER_NAME in a schema of the catalog; whether it had none before.

    The name is of an external table: dropping it drops no rows.

    Args:
        spark: whose catalog it is.
        lake: the tables.
        table: one that exists.
        schema: SCHEMA or CATALOG.SCHEMA, made where it does not exist.

    Raises:
        TidemillError: E_NAMED (configuration) where the name is that of a table in another place.
    """
    spark.sql(f"create schema if not exists {schema}")
    name, path = f"{schema}.{table.layer}_{table.name}", str(lake.path(table))
    if spark.catalog.tableExists(name):
        found = spark.sql(f"describe detail {name}").first()
        place = "" if found is None else unquote(urlsplit(found["location"]).path)
        if place != path:
            raise TidemillError(
                "E_NAMED",
                f"the catalog's table {name} lies in another place: {place}",
                where=f"{table.label} at {path}",
                next_step="give this root another schema by --set maintain.catalog=..., or drop the name",
                exit_code=Exit.CONFIGURATION,
            )
        return False
    quoted = path.replace("\\", "\\\\").replace("'", "\\'")
    spark.sql(f"create table {name} using delta location '{quoted}'")
    return True
