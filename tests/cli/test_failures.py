"""What a run ends with."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tidemill.cli.failures import while_stopping


@contextmanager
def closing(key: str) -> Iterator[None]:
    """Ends with a mistake of its own, whatever ended what was done within."""
    try:
        yield
    finally:
        dict[str, int]()[key]


def test_what_breaks_on_the_way_out_after_a_signal_is_no_bug_of_its_own() -> None:
    with pytest.raises(KeyError) as caught, closing("p"):
        raise SystemExit(143)
    assert while_stopping(caught.value)


def test_what_breaks_otherwise_is() -> None:
    with pytest.raises(KeyError) as caught, closing("p"):
        raise ValueError("first")
    assert not while_stopping(caught.value)
