"""Certificates by origin: each has its own, and none of another one's."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.net.trust import Trust

__all__ = ["OriginTrusts"]


class OriginTrusts:
    """A :class:`Trust` for each of some origins, and the ordinary one for all others.

    :param known: by host (lower-case ASCII, an IPv6 address without brackets) and port.
    """

    def __init__(self, known: Mapping[tuple[str, int], Trust]) -> None:
        self._known = known

    @property
    def elsewhere(self) -> OriginTrusts:
        """What counts after a redirect: the same, since it is about the place, not the way."""
        return self

    def policy(self) -> IPolicyForHTTPS:
        """Return the policy for an Agent; reads all files.

        :raises ConfigError: a file cannot be read or does not hold what it should.
        """
        known = {place: trust.policy() for place, trust in self._known.items()}
        return _ByPlace(known, Trust().policy())


@implementer(IPolicyForHTTPS)
class _ByPlace:
    def __init__(
        self, known: Mapping[tuple[str, int], IPolicyForHTTPS], others: IPolicyForHTTPS
    ) -> None:
        self._known = known
        self._others = others

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        policy = self._known.get((hostname.decode("ascii").lower(), port), self._others)
        creator: IOpenSSLClientConnectionCreator = policy.creatorForNetloc(hostname, port)
        return creator
