"""Names of tables in Spark's catalog: one name a place, read by SQL, and no rows lost with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from tidemill.core.errors import TidemillError
from tidemill.data.commit import commit
from tidemill.data.naming import name_table
from tidemill.data.tables import GOLD, Lake, Table
from tidemill.data.write import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

SCORES = Table(GOLD, "shop_scores", (("customer", "string"), ("score", "double")))


@pytest.fixture
def schema(spark: SparkSession) -> Iterator[str]:
    yield "people"
    spark.sql("drop schema if exists people cascade")


def test_a_table_is_read_by_its_name_and_outlives_it(spark: SparkSession, tmp_path: Path, schema: str) -> None:
    one, other = Lake(tmp_path / "it's one", "run"), Lake(tmp_path / "other", "run")
    for lake, score in ((one, 0.25), (other, 0.5)):
        commit(lake, SCORES, Batch("a", {}), pa.table({"customer": ["ann"], "score": [score]}))
    assert name_table(spark, one, SCORES, schema) is True
    assert name_table(spark, one, SCORES, schema) is False
    commit(one, SCORES, Batch("b", {}), pa.table({"customer": ["bob"], "score": [0.75]}))
    asked = "select * from people.gold_shop_scores order by customer"
    assert [tuple(row) for row in spark.sql(asked).collect()] == [("ann", 0.25), ("bob", 0.75)]
    with pytest.raises(TidemillError, match="lies in another place") as caught:
        name_table(spark, other, SCORES, schema)
    assert (caught.value.code, caught.value.exit_code) == ("E_NAMED", 78)
    assert str(one.path(SCORES)) in str(caught.value)
    spark.sql("drop table people.gold_shop_scores")
    assert name_table(spark, one, SCORES, schema) is True
    assert spark.sql(asked).count() == 2
