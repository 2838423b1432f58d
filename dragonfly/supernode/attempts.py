"""How often an origin is asked again for one content, and after which error it is not."""

from __future__ import annotations

import random
from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import (
    NoSources,
    OriginChanged,
    OriginError,
    OriginRefused,
    OriginTruncated,
)
from dragonfly.net.retry import delays
from dragonfly.supernode.content import Content
from dragonfly.supernode.questions import Access

__all__ = ["ATTEMPTS", "Attempts"]

ATTEMPTS = 5
"""Attempts in a row that bring nothing before the fetch has failed: some 5 s of waiting."""


class Attempts:
    """The attempts of one fetch to read its origin."""

    def __init__(self, content: Content, clock: IReactorTime, rng: random.Random) -> None:
        self._content = content
        self._clock = clock
        self._rng = rng
        self._waits = self._fresh()

    def access(self) -> Access:
        """The way to the origin that the next attempt takes.

        :raises NoSources: no admitted caller's way is left.
        """
        access = self._content.accesses.best(self._clock.seconds())
        if access is None:
            raise NoSources(
                f"{self._content.url}: no admitted caller's access to the origin is left"
            )
        return access

    def failed(self, error: OriginError, access: Access, *, before: int, position: int) -> float:
        """Seconds until the next attempt; raises ``error`` if there is to be none.

        :param before: bytes that were there when the attempt began.
        :param position: bytes that are there now; more of them renew the patience.
        """
        if position > before:
            self._waits = self._fresh()
        if isinstance(error, OriginChanged):
            raise error
        if isinstance(error, OriginRefused):
            if error.status in (401, 403):
                return self._next_access(error, access)
            if error.status not in (0, 429) and error.status < 500:
                raise error
        elif not error.retryable:
            raise error
        wait_s = next(self._waits, None)
        if wait_s is None:
            raise self._in_all(error, position)
        return wait_s

    def _fresh(self) -> Iterator[float]:
        return delays(self._rng, first_s=0.2, most_s=4.0, count=ATTEMPTS)

    def _next_access(self, error: OriginRefused, access: Access) -> float:
        """Another caller's way serves at once, if there is one."""
        self._content.accesses.drop(access)
        if self._content.accesses.best(self._clock.seconds()) is None:
            raise error
        return 0.0

    def _in_all(self, error: OriginError, position: int) -> OriginError:
        """The last attempt's error; of a cut, with the bytes of all attempts."""
        length = self._content.length
        if not isinstance(error, OriginTruncated) or length is None:
            return error
        return OriginTruncated(f"{error}; {position} of {length} bytes came in all")
