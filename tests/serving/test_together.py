"""Questions that wait together are answered together, and each gets its own answer, or its own error."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from tidemill.serving.together import Together

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_what_waits_is_answered_in_one_go() -> None:
    seen: list[list[int]] = []
    first = threading.Event()

    def answer(questions: Sequence[int]) -> list[int | Exception]:
        seen.append(list(questions))
        if len(seen) == 1:
            first.wait(30)
        return [ValueError(f"not {q}") if q == 3 else q * 10 for q in questions]

    async def ask() -> list[int | BaseException]:
        together = Together(answer)
        asked = [asyncio.create_task(together.ask(number)) for number in range(6)]
        await asyncio.sleep(0.01)  # the first is being answered, the others wait
        asked[4].cancel()
        await asyncio.sleep(0)
        first.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert await together.ask(7) == 70
        together.stop()
        return list(found)

    found = asyncio.run(ask())
    assert seen == [[0], [1, 2, 3, 5], [7]]
    assert [value for value in found if isinstance(value, int)] == [0, 10, 20, 50]
    assert str(found[3]) == "not 3"
    assert isinstance(found[4], asyncio.CancelledError)


def test_who_stops_waiting_while_the_thread_hangs_leaves_nothing_behind() -> None:
    hangs = threading.Event()

    def answer(questions: Sequence[str]) -> list[str | Exception]:
        hangs.wait(30)
        return list(questions)

    async def ask() -> tuple[int, int]:
        together = Together(answer)
        first = asyncio.create_task(together.ask("first"))
        await asyncio.sleep(0.01)
        asked = [asyncio.create_task(asyncio.wait_for(together.ask(str(n)), 0.05)) for n in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        before = len(together._waiting)
        await asyncio.gather(*asked, return_exceptions=True)
        after = len(together._waiting)
        hangs.set()
        assert await first == "first"
        together.stop()
        return before, after

    assert asyncio.run(ask()) == (20, 0)


def test_a_failure_of_all_is_everybodys() -> None:
    def answer(questions: Sequence[int]) -> list[int | Exception]:
        raise KeyError(len(questions))

    async def ask() -> list[int | BaseException]:
        together = Together(answer)
        found = await asyncio.gather(*(together.ask(n) for n in range(3)), return_exceptions=True)
        with pytest.raises(KeyError):
            await together.ask(9)
        together.stop()
        return list(found)

    assert [str(error) for error in asyncio.run(ask())] == ["1", "2", "2"]
