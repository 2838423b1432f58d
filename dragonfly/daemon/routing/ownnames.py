"""Under which names dfdaemon does what a web page could abuse; pure.

A page on ``evil.example`` may have that name resolve to this machine's loopback, or to an address
in our network, once it is loaded ("DNS rebinding"). To the browser dfdaemon is then the page's own
server, which it may ask anything and read the answers of; but the ``Host`` is the page's name. So
who chooses where a request goes is looked at: no page is served under an address, nor under a name
that nobody can register in the public DNS.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from dragonfly.daemon.http.messages import RequestHead, find
from dragonfly.daemon.routing.misrouted import Misrouted

__all__ = ["OwnNames"]

_PRIVATE = frozenset(
    {
        "localhost",  # RFC 6761, 6.3
        "test",  # RFC 6761, 6.2
        "local",  # RFC 6762
        *("intranet", "private", "corp", "home", "lan"),  # RFC 6762, appendix G
        "internal",  # reserved by ICANN's board, 29 July 2024
        "home.arpa",  # RFC 8375
        *("svc", "cluster.local"),  # Kubernetes; the first is no top-level domain
    }
)
"""Names below these are not in the public DNS."""

_API = b"/v2/"


class OwnNames:
    """Knows whether a request may choose where it goes.

    :param names: further names that are ours: the machine's, and what the operator says.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    def check(self, head: RequestHead) -> None:
        """See whether the name is ours by which the client reached us.

        :raises Misrouted: 421; the text names the key to set.
        """
        host = (find(head.headers, b"host") or b"").decode("latin-1").strip()
        if host and not self._is_ours(_without_port(host).lower().rstrip(".")):
            shown = _without_port(host).encode("ascii", "backslashreplace").decode()
            raise Misrouted(
                421,
                f"{shown} is no name of this dfdaemon that it knows: where a request may name its"
                " target, that must be listed under hostNames in dfdaemon.yml",
            )

    def check_page(self, head: RequestHead) -> None:
        """The same, unless it is what an engine asks: the API of a registry, by no browser.

        Engines may know us by any name.

        :raises Misrouted: 421.
        """
        if _by_browser(head) or not head.target.startswith(_API):
            self.check(head)

    def _is_ours(self, name: str) -> bool:
        if "." not in name or name in self._names:  # also IPv6 addresses
            return True
        try:
            ip_address(name)
        except ValueError:
            labels = name.split(".")
            return any(".".join(labels[-n:]) in _PRIVATE for n in (1, 2))
        return True


def _by_browser(head: RequestHead) -> bool:
    agent = find(head.headers, b"user-agent") or b""
    names = {name.lower() for name, _ in head.headers}
    told = {b"origin", b"referer"} & names or any(name.startswith(b"sec-fetch-") for name in names)
    return bool(told) or agent.lower().startswith(b"mozilla/")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
