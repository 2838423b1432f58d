"""Getting rid of a response body that nobody wants, without pinning its connection."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from dragonfly.errors import OriginTruncated
from dragonfly.net.sink import BodySink

__all__ = ["discard"]

# Reading this little is cheaper than another connection; anything longer, or
# slower than a moment, is cut off.
_WORTH_READING = 16 * 1024
_PATIENCE_S = 5.0


def discard(response: IResponse, clock: IReactorTime) -> None:
    """Read a short body to its end in the background, close the connection of a long one."""
    length = response.length
    short = isinstance(length, int) and length <= _WORTH_READING
    sink = BodySink(_ignore, clock=clock, stall_s=_PATIENCE_S)
    sink.done.addErrback(_expected)
    if not short:
        sink.done.cancel()
    response.deliverBody(sink)


def _ignore(data: bytes) -> None:
    """Nobody wants these bytes."""


def _expected(failure: Failure) -> None:
    failure.trap(CancelledError, OriginTruncated)
