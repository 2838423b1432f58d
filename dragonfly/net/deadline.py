"""A deadline on a Deferred that tells a timeout from a cancellation, whatever the work says.

``Deferred.addTimeout`` relies on the cancelled work failing with CancelledError.
Connecting, resolving and HTTP requests fail with half a dozen other things then.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dragonfly.net.calloff import call_off

__all__ = ["deadline"]

T = TypeVar("T")


def deadline(work: Deferred[T], seconds: float, clock: IReactorTime) -> Deferred[T]:
    """Return a Deferred with the result of *work*, for which it takes over responsibility.

    After *seconds* without a result *work* is cancelled and the Deferred fails
    with Twisted's ``TimeoutError``; if the Deferred is cancelled, *work* is too,
    and it fails with ``CancelledError``.
    """
    ended: list[Exception] = []

    def end(why: Exception) -> None:
        ended.append(why)
        work.cancel()

    result: Deferred[T] = Deferred(lambda _: end(CancelledError()))
    timer = clock.callLater(seconds, end, defer.TimeoutError(f"no answer in {seconds:g} s"))

    def pass_on(value: T | Failure) -> None:
        call_off(timer)
        if ended:
            result.errback(Failure(ended[0]))
        elif isinstance(value, Failure):
            result.errback(value)
        else:
            result.callback(value)

    work.addBoth(pass_on)
    return result
