"""Connections to registries that wait for the next request."""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.link import UpstreamLink
from dragonfly.net.calloff import call_off

__all__ = ["IdleLinks"]


@attrs.frozen
class _Idle:
    link: UpstreamLink
    since: float
    expiry: IDelayedCall


class IdleLinks:
    """Keeps links for registries that are the same in every respect, trust included.

    Which link is kept longest does not depend on the registry: the oldest goes first.
    """

    def __init__(self, clock: IReactorTime, limits: UpstreamLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._idle: list[_Idle] = []  # in the order in which they were put; a few dozen at most

    def __len__(self) -> int:
        return len(self._idle)

    def put(self, link: UpstreamLink) -> None:
        """Keep it; another one is closed if that makes too many."""
        expiry = self._clock.callLater(self._limits.idle_s, self._retire, link)
        self._idle.append(_Idle(link, self._clock.seconds(), expiry))
        same = [idle.link for idle in self._idle if idle.link.registry == link.registry]
        if len(same) > self._limits.idle_links:
            self._retire(same[0])
        elif len(self._idle) > self._limits.idle_total:
            self._retire(self._idle[0].link)

    def take(self, registry: Registry, *, within_s: float | None = None) -> UpstreamLink | None:
        """The one that was used last, which is the likeliest to be alive.

        :param within_s: it must have been used so many seconds ago or less.
        """
        for idle in reversed(self._idle):
            if idle.link.registry == registry:
                age_s = self._clock.seconds() - idle.since
                if within_s is not None and age_s > within_s:
                    return None
                self.drop(idle.link)
                return idle.link
        return None

    def drop(self, link: UpstreamLink) -> None:
        """Forget it, if it is here."""
        for idle in self._idle:
            if idle.link is link:
                self._idle.remove(idle)
                call_off(idle.expiry)
                return

    def close(self) -> None:
        """Close them all."""
        for idle in list(self._idle):
            self._retire(idle.link)

    def _retire(self, link: UpstreamLink) -> None:
        self.drop(link)
        link.retire()
