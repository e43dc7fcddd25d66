"""Independent pieces of work side by side: while one waits for a commit, another computes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def side_by_side(work: Callable[[Item], Outcome], items: Iterable[Item], threads: int) -> list[Outcome]:
    """The outcomes in the order of the items; of several errors the first item's is raised, once all have ended.

    Args:
        work: what is done with each item; it must not depend on the others.
        items: what is worked on.
        threads: how many at the same time.
    """
    with ThreadPoolExecutor(threads) as pool:
        begun = [pool.submit(work, item) for item in items]
    return [each.result() for each in begun]
