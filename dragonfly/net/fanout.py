"""One result for many waiters.

Two coroutines that await the same Deferred do not both get its result, and the
first one that is cancelled takes the work away from the other.  What several
callers want at once is therefore a :class:`OneShot`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["OneShot"]

T = TypeVar("T")


class OneShot(Generic[T]):
    """A result that comes once and goes to everyone who asked, early or late.

    :param on_abandoned: called when the last waiter cancelled and no result is
        there: the place to stop work that nobody wants any more.
    """

    def __init__(self, on_abandoned: Callable[[], object] | None = None) -> None:
        self._on_abandoned = on_abandoned
        self._waiters: list[Deferred[T]] = []
        self._fired = False
        self._value: T | None = None
        self._error: BaseException | None = None

    @property
    def fired(self) -> bool:
        """True once :meth:`fire` or :meth:`fail` was called."""
        return self._fired

    @property
    def waiters(self) -> int:
        """How many callers still wait."""
        return len(self._waiters)

    def wait(self) -> Deferred[T]:
        """Return a Deferred of one's own; cancelling it removes only this waiter."""
        waiter: Deferred[T] = Deferred(self._leave)
        if self._fired:
            self._tell(waiter)
        else:
            self._waiters.append(waiter)
        return waiter

    def fire(self, value: T) -> None:
        """Give *value* to all waiters, present and future; only the first call counts."""
        if not self._fired:
            self._value = value
            self._finish()

    def fail(self, error: BaseException | Failure) -> None:
        """Give *error* to all waiters, present and future; only the first call counts.

        Nobody waiting is fine: the error is then kept for those who come later
        and is not logged as unhandled.
        """
        if not self._fired:
            self._error = error.value if isinstance(error, Failure) else error
            self._finish()

    def _finish(self) -> None:
        # State first, then strangers' code.
        self._fired = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:  # one waiter's callback may have cancelled another
                self._tell(waiter)

    def _tell(self, waiter: Deferred[T]) -> None:
        if self._error is not None:
            waiter.errback(Failure(self._error))
        else:
            waiter.callback(cast("T", self._value))

    def _leave(self, waiter: Deferred[T]) -> None:
        if waiter not in self._waiters:
            return
        self._waiters.remove(waiter)
        if not self._waiters and self._on_abandoned is not None:
            self._on_abandoned()
