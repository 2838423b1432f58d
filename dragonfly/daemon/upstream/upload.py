"""The body of a request on its way to the registry, as fast as the registry takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from dragonfly.daemon.http.messages import RequestBody

if TYPE_CHECKING:
    from dragonfly.daemon.upstream.link import UpstreamLink

__all__ = ["Upload"]


@implementer(IPushProducer)
class Upload:
    """Takes a body from the client and sends it; there is never more here than one read.

    :param changed: called when it paused, went on, or is over.
    :param failed: called with the error, if the rest of the body will never come.

    :ivar begun: whether the body was asked for: from then on it cannot be sent twice.
    :ivar held_back: until the registry says ``100 Continue``, or nothing at all.
    :ivar over: all of it was sent, or nobody wants the rest.
    :ivar paused: the registry does not take any more for now.
    """

    def __init__(
        self,
        body: RequestBody,
        link: UpstreamLink,
        *,
        changed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.begun = False
        self.held_back = False
        self.over = False
        self.paused = False
        self._body = body
        self._link = link
        self._changed = changed
        self._failed = failed

    @property
    def flowing(self) -> bool:
        """Begun and not over."""
        return self.begun and not self.over

    def hold_back(self) -> None:
        """Let it flow with :meth:`begin` only."""
        self.held_back = True

    def answered(self) -> None:
        """The final answer came: what was held back until then stays where it is."""
        if self.held_back:
            self.stop()

    def begin(self) -> None:
        """Let it flow."""
        self.held_back = False
        if not self.begun and not self.over:
            self.begun = True
            self._link.wire.registerProducer(self, True)
            self._body.deliver(self)

    def stop(self) -> None:
        """Nobody wants the rest; reading what still comes, or not, is the front's affair."""
        if self.flowing:
            self._link.wire.unregisterProducer()
        self.held_back = False
        self.over = True

    # -- from the client --------------------------------------------------------------

    def body_data(self, data: bytes) -> None:
        """Send the next bytes."""
        if not self.over:
            self._link.send(data)

    def body_ended(self) -> None:
        """Send the end of the body."""
        if not self.over:
            self.over = True
            self.paused = False
            self._link.wire.unregisterProducer()
            self._link.send_end()
            self._changed()

    def body_lost(self, error: Exception) -> None:
        """Give up: what was sent must not look complete."""
        if not self.over:
            self._failed(error)

    # -- from the registry --------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Read no more from the client for now."""
        self._pause(True)

    def resumeProducing(self) -> None:
        """Go on."""
        self._pause(False)

    def stopProducing(self) -> None:
        """The connection is gone; the exchange hears of that by itself."""

    def _pause(self, paused: bool) -> None:
        if self.over or self.paused == paused:
            return
        self.paused = paused
        self._changed()
        if paused:
            self._body.pause()
        else:
            self._body.resume()
