"""When the digests of a content that is being fetched are signed: many at once, but soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off
from dragonfly.signatures import SigningKey
from dragonfly.supernode.content import Content
from dragonfly.task.manifest import RUN_DIGESTS

__all__ = ["RUN_WAIT_S", "RunSigner"]

RUN_WAIT_S = 0.05
"""A piece waits at most this long for others to be signed with it."""


class RunSigner:
    """Signs what one fetch brings; what is signed is given out.

    The last piece waits until the whole was checked: see ``end`` of :meth:`sign`.

    :param seen: the pieces of this pass over the content that came so far.
    :param on_runs: told of new runs and the pieces that they name first.
    """

    def __init__(
        self,
        content: Content,
        key: SigningKey,
        clock: IReactorTime,
        *,
        seen: Callable[[], int],
        on_runs: Callable[[Sequence[bytes], range], object],
    ) -> None:
        self._content = content
        self._key = key
        self._clock = clock
        self._seen = seen
        self._on_runs = on_runs
        self._timer: IDelayedCall | None = None

    def sign_soon(self) -> None:
        """Digests came: sign a full run at once, others after :data:`RUN_WAIT_S`."""
        if self._content.unsigned >= RUN_DIGESTS:
            self.sign()
        elif self._content.unsigned and self._timer is None:
            self._timer = self._clock.callLater(RUN_WAIT_S, self._due)

    def sign(self, end: int | None = None) -> None:
        """Sign what waits.

        :param end: the length of all, which was checked: the last piece may go, too.
        """
        self.stop()
        content = self._content
        before = content.held
        count = content.layout.piece_count
        last_came = count is not None and self._seen() >= count
        runs = content.sign(self._key, keep=1 if last_came and end is None else 0, end=end)
        if runs:
            self._on_runs(runs, range(before, content.held))

    def stop(self) -> None:
        """Sign nothing by the timer any more."""
        timer, self._timer = self._timer, None
        call_off(timer)

    def _due(self) -> None:
        self._timer = None
        self.sign()
