"""The rows that are made to find differences hold what they promise."""

import math

from tidemill.models.onnx_adversary import adversarial_rows
from tidemill.models.onnx_export import Export

NAN, INF = float("nan"), float("inf")
EXPORT = Export(b"", {"x": "double", "s": "string", "y": "double"}, "<null>", 1, 1e-9, {"x": (1.5, -2.0), "s": ("A",)})


def test_they_hold_missing_extreme_unseen_and_borderline_values() -> None:
    rows = adversarial_rows(EXPORT).to_pydict()
    x = rows["x"]
    assert len(x) == 4000
    assert {None, 0.0, 5e-324, 1e300, INF, -INF, 1.5, math.nextafter(1.5, 2), math.nextafter(-2.0, -INF)} <= set(x)
    assert any(value is not None and math.isnan(value) for value in x)
    assert {"-0.0", "0.0"} <= {str(value) for value in x}
    assert {None, "A", "a", "A ", "", "never seen", "<null>"} <= set(rows["s"])


def test_the_largest_numbers_stand_alone() -> None:
    rows = adversarial_rows(EXPORT).to_pylist()
    huge = [row for row in rows if any(abs(row[name] or 0.0) == 1e300 for name in ("x", "y"))]
    assert huge
    assert all(sum(row[name] is not None for name in ("x", "y")) == 1 for row in huge)


def test_they_are_the_same_every_time_and_fewer_where_there_are_many_inputs() -> None:
    assert str(adversarial_rows(EXPORT).to_pydict()) == str(adversarial_rows(EXPORT).to_pydict())
    many = Export(b"", {f"x{i}": "double" for i in range(5000)}, "<null>", 1, 1e-9, {})
    assert adversarial_rows(many).num_rows == 800
