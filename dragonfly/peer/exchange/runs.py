"""Whom to ask for piece digests: one question out at a time, to somebody who must know."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from dragonfly.peer.connections.links import Link
from dragonfly.task.manifest import Manifest
from dragonfly.wire.constants import RUNS_PER_ANSWER

__all__ = ["ANSWER_LIMIT_S", "PUSH_WAIT_S", "DigestAsks"]

ANSWER_LIMIT_S = 2.0
"""A neighbour that has not answered by then is not asked again as long as others can be."""

PUSH_WAIT_S = 0.25
"""A seed sends its new runs unasked, so it is asked only when that has not happened."""


class DigestAsks:
    """Decides when to send GET_DIGESTS, and to whom.

    A neighbour that shows a piece has verified it, so it has the run that names the piece.

    :param ask: sends the question (link, first piece).
    """

    def __init__(
        self, manifest: Manifest, rng: random.Random, ask: Callable[[Link, int], None]
    ) -> None:
        self._manifest = manifest
        self._rng = rng
        self._ask = ask
        self._asked: Link | None = None
        self._until = 0.0
        self._runs_left = 0
        self._silent: set[Link] = set()
        self._seed_since: dict[Link, float] = {}

    def shown(self, links: Iterable[Link], now: float) -> None:
        """Something was shown, or time has passed: ask if there is something to ask.

        Cheap when every shown piece is known.
        """
        if self._asked is not None and now < self._until:
            return
        known = self._manifest.known.mask
        able = [link for link in links if link.mask & ~known]
        if not able:
            self._asked = None
            return
        if self._asked is not None:
            self._silent.add(self._asked)
            self._asked = None
        chosen = self._choose(able, now)
        if chosen is not None:
            self._asked = chosen
            self._until = now + ANSWER_LIMIT_S
            self._runs_left = RUNS_PER_ANSWER
            self._ask(chosen, self._manifest.first_unknown())

    def answered(self, link: Link, now: float) -> None:
        """A good run came from ``link``, asked for or not."""
        self._silent.discard(link)
        self._seed_since.pop(link, None)
        if link is not self._asked:
            return
        self._runs_left -= 1
        known = self._manifest.known.mask
        if self._runs_left <= 0 or not link.mask & ~known:
            self._asked = None
        else:
            self._until = now + ANSWER_LIMIT_S

    def gone(self, link: Link) -> None:
        """``link`` is closed; what it was asked may be asked elsewhere."""
        self._silent.discard(link)
        self._seed_since.pop(link, None)
        if link is self._asked:
            self._asked = None

    def _choose(self, able: list[Link], now: float) -> Link | None:
        """Anybody but those who were silent; a seed only after it had its time to push."""
        ready = [link for link in able if not link.seed or self._seed_had_time(link, now)]
        fresh = [link for link in ready if link not in self._silent]
        if not ready:
            return None
        if not fresh:
            self._silent.clear()
            fresh = ready
        return self._rng.choice(fresh)

    def _seed_had_time(self, link: Link, now: float) -> bool:
        return now - self._seed_since.setdefault(link, now) >= PUSH_WAIT_S
