"""The body of a registry's answer on its way to the client, as fast as the client takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from dragonfly.daemon.http.hops import client_headers
from dragonfly.daemon.http.marks import BACKEND, FROM_ORIGIN
from dragonfly.daemon.http.messages import Headers, Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.wishes import without_wishes
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.net.holds import Holds
from dragonfly.net.pacer import Pacer
from dragonfly.net.throttle import Flow

__all__ = ["Relay"]

_ERROR = 400


@implementer(IPushProducer)
class Relay:
    """Starts the answer, writes its body, and finishes or aborts it.

    :param flows: its parts in rate limits.
    :param rewrite: what becomes of the headers.
    :ivar done: fires when that has happened, or the client is gone.  Cancelling it cuts both
        connections.
    """

    def __init__(
        self,
        exchange: Exchange,
        responder: Responder,
        note: Note,
        *,
        flows: Sequence[Flow] = (),
        rewrite: Callable[[Headers], Headers] = lambda headers: headers,
    ) -> None:
        self.done: Deferred[None] = Deferred(self._cancelled)
        self._exchange = exchange
        self._responder = responder
        self._note = note
        self._rewrite = rewrite
        self._holds = Holds(exchange.pause, exchange.resume)
        self._pacer = Pacer.by_holds(flows, self._holds, exchange.read_at_most)
        self._over = False

    def start(self) -> None:
        """Send the head and let the body flow.

        :raises OriginError: a line of the head cannot be sent; the registry is cut off then.
        """
        exchange, responder = self._exchange, self._responder
        try:
            said = without_wishes(client_headers(exchange.headers))  # of another dfdaemon
            headers = (*self._rewrite(said), *FROM_ORIGIN)
            if exchange.status >= _ERROR:
                headers += BACKEND
            responder.start(exchange.status, headers, reason=exchange.reason)
        except BaseException:
            exchange.abort()
            raise
        responder.registerProducer(self, True)
        if not self._over:
            self._pacer.begin()
            exchange.deliver(self)

    def gone(self) -> None:
        """The client is."""
        if not self._over:
            self._exchange.let_go()
            self._end("gone")

    # -- from the registry ------------------------------------------------------------

    def body_data(self, data: bytes) -> None:
        """Pass the next bytes on."""
        if not self._over:
            self._note.sources["registry"] += len(data)
            self._pacer.took(len(data))
            self._responder.write(data)

    def body_ended(self) -> None:
        """Finish."""
        if not self._over:
            self._responder.unregisterProducer()
            self._responder.finish()
            self._end("done")

    def body_lost(self, error: Exception) -> None:
        """Cut: a body that is not complete must not look so."""
        if not self._over:
            self._note.then(str(error))
            self._responder.unregisterProducer()
            self._responder.abort()
            self._end("aborted")

    # -- from the client ----------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop for now."""
        self._holds.add("taker")

    def resumeProducing(self) -> None:
        """Go on, unless the rate limit says otherwise."""
        self._holds.remove("taker")

    def stopProducing(self) -> None:
        """The client is gone."""
        self.gone()

    def _cancelled(self, _: object) -> None:
        self._over = True
        self._pacer.rest()
        self._note.ending = "aborted"
        self._exchange.abort()
        self._responder.unregisterProducer()
        self._responder.abort()

    def _end(self, ending: str) -> None:
        self._over = True
        self._pacer.rest()
        self._note.ending = ending
        self.done.callback(None)
