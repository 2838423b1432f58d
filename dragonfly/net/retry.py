"""Try again, later and later, and not all at the same moment."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from dragonfly.errors import DragonflyError

__all__ = ["delays", "retry"]

T = TypeVar("T")


def delays(
    rng: random.Random,
    *,
    first_s: float = 0.5,
    factor: float = 2.0,
    most_s: float = 30.0,
    count: int | None = None,
) -> Iterator[float]:
    """Yield waiting times in seconds that grow from *first_s* by *factor* up to *most_s*.

    Each is drawn evenly between half of its nominal value and the whole, so that
    many clients that failed together do not come back together.

    :param count: how many to yield; ``None`` for no end.
    """
    nominal = first_s
    produced = 0
    while count is None or produced < count:
        yield rng.uniform(nominal / 2, nominal)
        nominal = min(nominal * factor, most_s)
        produced += 1


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    clock: IReactorTime,
    waits: Iterable[float],
    again: Callable[[DragonflyError], bool] = lambda error: error.retryable,
) -> T:
    """Return the first result of *attempt*.

    An error of ours for which *again* says yes is followed by another attempt,
    after the next of *waits* (seconds); when these are used up, or *again* says
    no, the error is raised.  Any other exception is raised at once.  Cancelling
    stops the attempt or the wait that is in progress.
    """
    for wait_s in waits:
        try:
            return await attempt()
        except DragonflyError as error:
            if not again(error):
                raise
        await deferLater(clock, wait_s)
    return await attempt()
