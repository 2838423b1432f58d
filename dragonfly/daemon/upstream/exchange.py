"""One request to a registry and the answer to it, both of which may be flowing at once."""

from __future__ import annotations

from collections.abc import Callable

import h11
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dragonfly.daemon.http.hops import body_length
from dragonfly.daemon.http.messages import BodyReceiver, Headers, RequestBody
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.link import MAX_HEAD, UpstreamLink
from dragonfly.daemon.upstream.patience import Awaited, Patience
from dragonfly.daemon.upstream.upload import Upload
from dragonfly.errors import OriginError, OriginTruncated, OriginUnreachable
from dragonfly.net.readsize import read_at_most
from dragonfly.net.reasons import cause
from dragonfly.net.throttle import AHEAD_BYTES

__all__ = ["Exchange"]

# Reading this little is cheaper than another connection; anything longer is cut off.
WORTH_READING = 64 * 1024


class Exchange:
    """Once the Deferred of :meth:`begin` fired, the answer's body waits to be taken.

    Exactly one of :meth:`deliver`, :meth:`abort` and :meth:`let_go` has to follow.

    :param on_over: called with the link, and whether it can carry another exchange, when this
        one came to its proper end.

    :ivar status: of the answer.
    :ivar reason: the phrase that came with it.
    :ivar headers: all of them, as they came.
    :ivar length: of the body; ``None``: its framing will tell.
    :ivar received: bytes of the body that were handed out.
    :ivar heard: whether any byte of an answer came.
    :ivar dropped: the registry hung up without a word.
    """

    def __init__(
        self,
        link: UpstreamLink,
        clock: IReactorTime,
        limits: UpstreamLimits,
        on_over: Callable[[UpstreamLink, bool], None],
    ) -> None:
        self.status = 0
        self.reason = b""
        self.headers: Headers = ()
        self.length: int | None = None
        self.received = 0
        self.heard = False
        self.dropped = False
        self._link = link
        self._on_over = on_over
        self._patience = Patience(clock, limits, self._late)
        self._answer: Deferred[None] = Deferred(lambda _: self.abort())
        self._method = b""
        self._upload: Upload | None = None
        self._receiver: BodyReceiver | None = None
        self._paused = False
        self._lingering = False
        self._ended = False
        self._over = False
        self._error: Exception | None = None

    # -- for whoever asks -----------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether the request's body began to flow: it cannot be sent again then."""
        return self._upload is not None and self._upload.begun

    def begin(
        self, request: h11.Request, body: RequestBody | None, *, expects: bool
    ) -> Deferred[None]:
        """Send the request; fires when the head of the final answer is here.

        :param expects: the body is held back until the registry says ``100 Continue``.
        :raises OriginUnreachable: it hung up or was silent for too long.
        :raises OriginError: what it said is not HTTP.

        What the client's side reports as the loss of the body is raised as it is.  Cancelling
        closes the connection.
        """
        self._method = request.method
        self._link.begin(self, request)
        if body is None or body.length == 0:
            self._link.send_end()
        else:
            self._upload = Upload(body, self._link, changed=self._changed, failed=self._fail)
            (self._upload.hold_back if expects else self._upload.begin)()
        self._watch()
        return self._answer

    def deliver(self, receiver: BodyReceiver) -> None:
        """Let the answer's body flow.

        It is :meth:`~BodyReceiver.body_lost` with
        :class:`~dragonfly.errors.OriginTruncated` if it is cut or falls silent.
        """
        self._receiver = receiver
        if self._error is not None:
            receiver.body_lost(self._error)
        elif not self._paused:
            self._watch()
            self._link.flow()

    def pause(self) -> None:
        """Hand out nothing for now."""
        if not self._over and not self._paused:
            self._paused = True
            self._link.hold()
            self._watch()

    def resume(self) -> None:
        """Go on."""
        if self._paused and not self._over:
            self._paused = False
            if self._receiver is not None:
                self._watch()
                self._link.flow()

    def read_at_most(self, count: int) -> None:
        """Let one read of the connection bring no more bytes than that."""
        if not self._over:
            read_at_most(self._link.wire, count)

    def abort(self) -> None:
        """Close the connection; nothing is called any more."""
        if not self._over:
            self._finish()
            self._link.abort()

    def let_go(self) -> None:
        """Nobody wants the body any more: read a short rest in the background, cut a long one."""
        rest = None if self.length is None else self.length - self.received
        uploading = self._upload is not None and not self._upload.over
        if not self.status or rest is None or rest > WORTH_READING or uploading:
            self.abort()
        elif not self._over:
            self._receiver = _Nobody()
            self._paused = False
            self._patience.wait_for(Awaited.REST)
            self._lingering = True
            self._link.flow()

    # -- from the link ----------------------------------------------------------------

    def informed(self, status: int) -> None:
        """A provisional answer: 100 lets the body flow, others are for nobody."""
        if status == 100:
            self._go_on()

    def answered(self, response: h11.Response) -> None:
        """The head of the final answer; a body that was held back stays where it is."""
        self.status = response.status_code
        self.reason = bytes(response.reason)
        self.headers = tuple(response.headers.raw_items())
        self.length = body_length(self._method, self.status, self.headers)
        if self._upload is not None:
            self._upload.answered()
        self._link.hold()
        self._watch()
        self._answer.callback(None)

    def data(self, data: bytes) -> None:
        """Some of the body."""
        self.received += len(data)
        if not self._lingering:
            self._patience.renew()
        if self._receiver is not None:
            self._receiver.body_data(data)

    def ended(self) -> None:
        """The body is complete.

        The request's may still be flowing: an error makes the rest of it useless, and one who
        was answered otherwise gets what he was promised.
        """
        self._ended = True
        if self._upload is not None and self.status >= 300:
            self._upload.stop()
        self._settle()

    def broken(self, lost: Failure | None, *, too_long: bool = False) -> None:
        """The connection was lost, or what came is not HTTP."""
        if self.status:
            why = "its framing is broken" if lost is None else cause(lost)
            self._fail(self._truncated(f"the body ended after {self._progress()} ({why})"))
        elif lost is not None:
            self.dropped = not self.heard
            self._fail(OriginUnreachable(f"{self._name}: {cause(lost)} before it answered"))
        elif too_long:
            text = f"the head of the answer is longer than {MAX_HEAD} bytes"
            self._fail(OriginError(f"{self._name}: {text}"))
        else:
            self._fail(OriginError(f"{self._name}: the answer is not HTTP/1.1"))

    # -- inside -----------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return str(self._link.registry)

    def _go_on(self) -> None:
        if self._upload is not None and self._upload.held_back:
            self._upload.begin()
            self._watch()

    def _changed(self) -> None:
        """The upload paused, went on or is over."""
        self._watch()
        self._settle()

    def _settle(self) -> None:
        if self._over or not self._ended or (self._upload is not None and not self._upload.over):
            return
        self._finish()
        read_at_most(self._link.wire, AHEAD_BYTES)  # whoever is next has no limit, perhaps
        self._on_over(self._link, self._link.release())
        if self._receiver is not None:
            self._receiver.body_ended()

    def _fail(self, error: Exception) -> None:
        if self._over:
            return
        self.abort()
        self._error = error
        if not self.status:
            self._answer.errback(error)
        elif self._receiver is not None:
            self._receiver.body_lost(error)

    def _finish(self) -> None:
        self._over = True
        self._patience.close()
        if self._upload is not None:
            self._upload.stop()

    # -- time ---------------------------------------------------------------------------

    def _watch(self) -> None:
        if not self._over and not self._lingering:
            self._patience.wait_for(self._awaited())

    def _awaited(self) -> Awaited | None:
        upload = self._upload
        if upload is not None and upload.held_back:
            return Awaited.GO_AHEAD
        if upload is not None and upload.flowing:
            # Unless the registry takes nothing it is the client who is slow; the front sees.
            return Awaited.ROOM if upload.paused else None
        if not self.status:
            return Awaited.ANSWER
        return Awaited.TAKER if self._paused or self._receiver is None else Awaited.BODY

    def _late(self, awaited: Awaited, words: str) -> None:
        if awaited is Awaited.GO_AHEAD:
            self._go_on()
        elif not self.status:
            self._fail(OriginUnreachable(f"{self._name}: {words}"))
        else:
            self._fail(self._truncated(f"{words} after {self._progress()}"))

    def _progress(self) -> str:
        of = "" if self.length is None else f" of {self.length}"
        return f"{self.received}{of} bytes"

    def _truncated(self, text: str) -> OriginTruncated:
        return OriginTruncated(f"{self._name}: {text}")


class _Nobody:
    """Takes what nobody wants."""

    def body_data(self, data: bytes) -> None:
        pass

    def body_ended(self) -> None:
        pass

    def body_lost(self, error: Exception) -> None:
        pass
