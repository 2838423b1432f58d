"""Certificates by place: who is believed at each step of the way that redirects make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import attrs

from dragonfly.net.trust import Trust
from dragonfly.net.urls import Target

__all__ = ["OriginTrusts", "TrustAt", "Trusts", "WayTrusts", "nothing_known"]

TrustAt = Callable[[str, int], Trust | None]
"""What is known of the place ``host`` (lower-case ASCII, an IPv6 address without brackets) and
port; ``None``: nothing."""


def nothing_known(host: str, port: int) -> Trust | None:  # noqa: ARG001
    """Know nothing of any place."""
    return None


class Trusts(Protocol):
    """Knows whom to believe."""

    def at(self, home: Target, there: Target) -> Trust:
        """What counts ``there``, for a request that began at ``home``."""

    @property
    def certain(self) -> Iterable[Trust]:
        """Those whose files are worth reading before anything is asked."""


class OriginTrusts:
    """A :class:`Trust` for each of some origins, and the ordinary one for all others.

    After a redirect the same counts: it is about the place, not the way.

    :param known: by host (lower-case ASCII, an IPv6 address without brackets) and port.
    """

    def __init__(self, known: Mapping[tuple[str, int], Trust]) -> None:
        self._known = known

    def at(self, home: Target, there: Target) -> Trust:  # noqa: ARG002
        """What counts ``there``."""
        return self._known.get((there.host, there.port)) or Trust()

    @property
    def certain(self) -> Iterable[Trust]:
        """All of them."""
        return (*self._known.values(), Trust())


@attrs.frozen
class WayTrusts:
    """What is said of the origin that is asked first, and what follows for where it redirects to.

    There counts what is known of that place; if that names no authorities, the system's, and
    those of the first origin, too: a registry and its storage often share a private one.  Who
    is believed unchecked is that only on its own host; that registry cannot say so of others.

    :ivar known: what is said of other places; ``None``: ``first`` is said of the whole way, as
        a user says it of a download.
    """

    first: Trust
    known: TrustAt | None = nothing_known

    def at(self, home: Target, there: Target) -> Trust:
        """What counts ``there``, for a request that began at ``home``."""
        if there.origin == home.origin:
            return self.first
        away = self.first.elsewhere
        if self.known is None:
            return away
        said = self.known(there.host, there.port)
        if said is None:
            said = away if away.insecure and there.host == home.host else Trust()
        if said.insecure or said.cacerts or not away.cacerts:
            return said
        return attrs.evolve(said, cacerts=away.cacerts, system=True)

    @property
    def certain(self) -> Iterable[Trust]:
        """The first."""
        return (self.first,)
