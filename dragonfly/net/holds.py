"""What keeps a stream from flowing."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Holds"]


class Holds:
    """Pauses a stream while there is any reason to.

    :param pause: called with every reason; also when the stream is paused already.
    :param resume: called when the last reason is gone, or was not there.
    """

    def __init__(self, pause: Callable[[], object], resume: Callable[[], object]) -> None:
        self._pause = pause
        self._resume = resume
        self._reasons: set[str] = set()

    def __contains__(self, why: str) -> bool:
        return why in self._reasons

    def add(self, why: str) -> None:
        """It has to wait, for this reason."""
        self._reasons.add(why)
        self._pause()

    def remove(self, why: str) -> None:
        """Not for this reason any more."""
        self._reasons.discard(why)
        if not self._reasons:
            self._resume()
