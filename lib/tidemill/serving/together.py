"""Questions that wait at the same time are answered in one go, by one thread.

A read of many keys costs little more than that of one, and so does a change of threads.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """A thread, and the questions that wait for it. All but `answer` runs in the thread of the event loop.

    Args:
        answer: answers questions, in their order; an exception in the place of an answer is raised where it was asked.
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Sequence[A | Exception]]) -> None:
        self._answer = answer
        self._pool = ThreadPoolExecutor(1, "lookup")
        self._waiting: dict[asyncio.Future[A], Q] = {}  # in the order of asking
        self._busy = False

    async def ask(self, question: Q) -> A:
        """The answer; whoever stops waiting for it has it taken from the queue."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting[future] = question
        if not self._busy:
            self._go_on()
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def stop(self) -> None:
        """Answers no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _go_on(self) -> None:
        asked = [(question, future) for future, question in self._waiting.items() if not future.done()]
        self._waiting = {}
        self._busy = bool(asked)
        if asked:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._pool, self._answer, [question for question, _ in asked])
            work.add_done_callback(partial(self._tell, [future for _, future in asked]))

    def _tell(self, futures: Sequence[asyncio.Future[A]], work: asyncio.Future[Sequence[A | Exception]]) -> None:
        failed = asyncio.CancelledError() if work.cancelled() else work.exception()
        answers = [failed] * len(futures) if failed is not None else work.result()
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._go_on()
