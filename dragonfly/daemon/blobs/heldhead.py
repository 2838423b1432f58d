"""The head of an answer that waits for the first byte, since the origin may still say no.

Some origins allow a HEAD to everybody and refuse the GET, and a client has to hear that refusal as
it is: it logs in by it. Once ``200`` is out all that is left is to cut.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.daemon.http.messages import Headers, Responder
from dragonfly.daemon.http.overlay import Overlay
from dragonfly.net.calloff import call_off

__all__ = ["HEAD_S", "HeldHead"]

HEAD_S = 1.5
"""So long after the origin's yes to a HEAD: two round trips to a registry on another continent,
with handshakes. Snapshotters give up where no head comes in 3 s."""


class HeldHead(Overlay):
    """Lets the one below begin with the first byte, or the end of what has none.

    :param hold_s: so long the head waits for a byte, from :meth:`start` on.
    :param said: called once, when a byte came, or the end of what has none.
    :ivar unsaid: it was aborted before anything went out, so that another answer may be given.
    """

    def __init__(
        self,
        responder: Responder,
        clock: IReactorTime,
        *,
        hold_s: float,
        said: Callable[[], None],
    ) -> None:
        super().__init__(responder)
        self.unsaid = False
        self._clock = clock
        self._hold_s = hold_s
        self._said: Callable[[], None] | None = said
        self._answer: tuple[int, Headers, bytes] | None = None
        self._timer: IDelayedCall | None = None
        responder.on_gone(self._stop_timer)

    @property
    def over(self) -> bool:
        """Whether it is."""
        return self.unsaid or super().over

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Begin, soon."""
        self._answer = (status, headers, reason)
        if self._hold_s <= 0:
            self._let_out()
        elif not self.over:
            self._timer = self._clock.callLater(self._hold_s, self._let_out)

    def write(self, data: bytes) -> None:
        """There is a byte: begin."""
        if data:
            self._speak()
            self._responder.write(data)

    def finish(self) -> None:
        """Begin, if there was nothing to write, and end."""
        if not self.over:
            self._speak()
            self._responder.finish()

    def abort(self) -> None:
        """Cut, or forget about it where nothing went out."""
        if self._answer is None:
            self._responder.abort()
            return
        self._stop_timer()
        self._answer, self.unsaid = None, not self._responder.over

    def _speak(self) -> None:
        self._let_out()
        said, self._said = self._said, None
        if said is not None:
            said()

    def _let_out(self) -> None:
        self._stop_timer()
        answer, self._answer = self._answer, None
        if answer is not None:
            self._responder.start(answer[0], answer[1], reason=answer[2])

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        call_off(timer)
