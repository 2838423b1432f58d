"""For how long credentials that were admitted to private content may be relied on.

A grant lives for five minutes and is renewed by announces, which wait for nothing. So when
half the time of an admission has passed, the origin is asked again in the background, with
the same credentials: once for all peers that share them. Its yes carries the next grants;
its no ends them. An origin that cannot be reached says neither: no grant is renewed then, and
it is asked again after a while. Public content needs none of this.

Credentials are kept in memory, and only while a peer that came with them is in the task.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import OriginError, OriginRefused
from dragonfly.net.tasks import TaskSet
from dragonfly.supernode.admission import ADMISSION_S, Admission
from dragonfly.supernode.questions import Access

__all__ = ["ASK_AGAIN_S", "Standing"]

ASK_AGAIN_S = 30.0
"""After an origin did not answer, it is asked again no sooner."""


@attrs.define(eq=False)
class _Entry:
    access: Access
    until: float
    users: int = 0
    asking: bool = False
    not_before: float = 0.0
    refused: bool = False


class Standing:
    """The admitted credentials of one private task.

    :param name: id of the content's name.
    """

    def __init__(
        self, name: bytes, admission: Admission, clock: IReactorTime, tasks: TaskSet
    ) -> None:
        self._name = name
        self._admission = admission
        self._clock = clock
        self._tasks = tasks
        self._entries: dict[bytes, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, access: Access) -> bytes:
        """One more peer was admitted by ``access`` just now; give what names it."""
        until = self._clock.seconds() + ADMISSION_S
        entry = self._entries.setdefault(access.key, _Entry(access, until))
        entry.until, entry.refused = until, False
        entry.users += 1
        return access.key

    def drop(self, credential: bytes) -> None:
        """One peer less relies on it; with the last one it is forgotten."""
        entry = self._entries.get(credential)
        if entry is not None:
            entry.users -= 1
            if entry.users <= 0:
                del self._entries[credential]

    def until(self, credential: bytes) -> float:
        """When the admission ends; asks for its renewal when half of its time is over."""
        entry = self._entries.get(credential)
        if entry is None:
            return 0.0
        now = self._clock.seconds()
        due = entry.until - now < ADMISSION_S / 2 and now >= entry.not_before
        if due and not entry.asking and not entry.refused:
            entry.asking = True
            self._tasks.spawn(self._ask(entry), "asking an origin again")
        return entry.until

    def refused(self, credential: bytes) -> bool:
        """Whether the origin has said no by now."""
        entry = self._entries.get(credential)
        return entry is not None and entry.refused

    async def _ask(self, entry: _Entry) -> None:
        asked = self._clock.seconds()
        try:
            await self._admission.check(entry.access, self._name)
        except OriginRefused as error:
            # What is no answer to the credentials is like no answer.
            entry.refused = error.status in (401, 403, 404, 410)
            entry.not_before = asked + ASK_AGAIN_S
        except OriginError:
            entry.not_before = asked + ASK_AGAIN_S
        else:
            entry.until = asked + ADMISSION_S
        finally:
            entry.asking = False
