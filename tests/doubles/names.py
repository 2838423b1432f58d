"""Name resolution as a test wants it.

::

    client = OriginClient(WithNames(Names(registry=[["127.0.0.1"]]), reactor))
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from zope.interface import implementer

__all__ = ["Names", "WithNames"]


@implementer(IHostnameResolver)
class Names:
    """A resolver with a table; several addresses per name, or other ones each time.

    :ivar asked: all names, in order.
    """

    def __init__(self, **table: list[list[str]]) -> None:
        self.table = table
        self.asked: list[str] = []

    def resolveHostName(
        self, receiver: Any, name: str, portNumber: int = 0, *args: Any, **kwargs: Any
    ) -> Any:
        """Report the next list of addresses for *name*."""
        self.asked.append(name)
        answers = self.table.get(name, [[name]])
        receiver.resolutionBegan(self)
        for address in answers.pop(0) if len(answers) > 1 else answers[0]:
            receiver.addressResolved(IPv4Address("TCP", address, portNumber))
        receiver.resolutionComplete()
        return self


@implementer(IReactorPluggableNameResolver)
class WithNames:
    """A reactor with another resolver."""

    def __init__(self, names: Names, reactor: Any) -> None:
        self.nameResolver = names
        self._reactor = reactor

    def installNameResolver(self, resolver: Any) -> Any:
        """Not used."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
