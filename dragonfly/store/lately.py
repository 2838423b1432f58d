"""What was said a short while ago, of the newest so many."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dragonfly.store.newest import Newest

__all__ = ["Lately"]

_Key = TypeVar("_Key", bound=Hashable)


class Lately(Generic[_Key]):
    """Remembers each key for ``keep_s`` seconds from when it was last put in.

    :param now: seconds; it never goes back.
    :param most: how many keys stay.
    """

    def __init__(self, now: Callable[[], float], keep_s: float, most: int) -> None:
        self._now = now
        self._keep_s = keep_s
        self._until: Newest[_Key, float] = Newest(most)

    def __contains__(self, key: _Key) -> bool:
        until = self._until.get(key)
        return until is not None and self._now() < until

    def add(self, key: _Key, since: float | None = None) -> None:
        """It counts from now on, or from ``since``, a time that ``now`` told."""
        begin = self._now() if since is None else since
        self._until.put(key, begin + self._keep_s)

    def discard(self, key: _Key) -> None:
        """It counts no more."""
        self._until.pop(key, None)
