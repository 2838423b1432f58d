"""Which task a registration belongs to; what to do where the origin tells no versions apart.

With neither an entity tag nor a date of modification nobody can say whether two answers are
about the same bytes. Then a number stands for the version: registrations share it for
:data:`SHARED_S`, as if the origin's answer could be cached for so long, and while the fetch
that it began is under way, since a crowd must not start a fetch for each few seconds of its
arrival. Whoever registers later gets a new number, so the content is read again, and a
change is seen. A change that shows, in the length, a weak entity tag or a date, gives a new
number at once. Numbers are milliseconds of the supernode's clock, made increasing: none
comes again after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from dragonfly.store.newest import Newest
from dragonfly.supernode.admission import Admitted
from dragonfly.task.identity import Name, content_version, task_id

__all__ = ["NUMBERS_MAX", "SHARED_S", "Versions"]

SHARED_S = 10.0
"""How long registrations share content that has no version: about the time in which the
hosts of one deployment come."""

NUMBERS_MAX = 4096
"""Names whose number is remembered; beyond, the oldest is forgotten, and read again."""


@attrs.frozen
class _Numbered:
    number: int
    began: float
    shown: tuple[str | None, str | None, int | None]
    task: bytes


class Versions:
    """Gives task ids.

    :param under_way: tells whether a task is being fetched.
    """

    def __init__(self, under_way: Callable[[bytes], bool]) -> None:
        self._under_way = under_way
        self._numbers: Newest[tuple[bytes, str], _Numbered] = Newest(NUMBERS_MAX)
        self._last = 0

    def task(self, name: Name, admitted: Admitted, now: float) -> bytes | None:
        """The task that ``admitted`` is about; ``None``: it must not be shared at all."""
        key = (name.id, admitted.audience)
        shared = self._shared(key, admitted, now)
        number = shared.number if shared is not None else max(self._last + 1, int(now * 1000))
        version = content_version(
            admitted.reply, digest=name.digest, fetch=number, audience=admitted.audience
        )
        if version is None:
            return None
        task = task_id(name, version)
        if version.kind == "fetch" and shared is None:
            self._last = number
            self._numbers.put(key, _Numbered(number, now, _shown(admitted), task))
        return task

    def _shared(self, key: tuple[bytes, str], admitted: Admitted, now: float) -> _Numbered | None:
        """The number of earlier registrations, if it is good for this one."""
        found = self._numbers.get(key)
        if found is None or found.shown != _shown(admitted):
            return None
        fresh = now - found.began < SHARED_S
        return found if fresh or self._under_way(found.task) else None


def _shown(admitted: Admitted) -> tuple[str | None, str | None, int | None]:
    reply = admitted.reply
    return reply.etag, reply.last_modified, reply.length
