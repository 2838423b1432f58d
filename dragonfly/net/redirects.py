"""Following redirects by hand: which hop is next, and which headers may go along.

Twisted's RedirectAgent leaves the bodies of redirects unread and does not tell
the final URL; and what a caller's headers mean to an origin is nothing that
another host should learn.
"""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.errors import ConfigError, OriginRefused
from dragonfly.net.blockedports import BLOCKED_PORTS
from dragonfly.net.urls import Target, parse_target, redact

__all__ = ["HARMLESS", "MAX_REDIRECTS", "REDIRECTS", "Walk"]

REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
MAX_REDIRECTS = 10

HARMLESS = frozenset({"accept", "accept-language", "user-agent", "via"})
"""What may follow a redirect to another origin: it says nothing of who asks."""

# What is ours to set (Host follows from the URL, ranges and encodings from what
# the transfer needs), or concerns one connection only.
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

Headers = tuple[tuple[str, str], ...]


class Walk:
    """The way from a URL to the answer that is not a redirect.

    :param url: as the caller gave it; userinfo becomes an ``Authorization``
        header unless there is one.
    :param headers: the caller's; those that are ours to decide are left out.
    :ivar home: where it begins.
    :ivar passed: the headers of all redirects, oldest first.
    :raises ConfigError: the URL is malformed.
    """

    def __init__(self, url: str, headers: Iterable[tuple[str, str]]) -> None:
        self.target = parse_target(url)
        self.headers: Headers = tuple((k, v) for k, v in headers if k.lower() not in _OURS)
        names = {name.lower() for name, _ in self.headers}
        if self.target.authorization is not None and "authorization" not in names:
            self.headers += (("Authorization", self.target.authorization),)
        self._seen = {self.target.url}
        self.passed: Headers = ()
        self.home = self.target

    @property
    def anonymous(self) -> bool:
        """True if no header tells who asks, so that a connection may be shared."""
        return all(name.lower() in HARMLESS for name, _ in self.headers)

    def follow(self, status: int, location: str | None) -> None:
        """Go to *location*; headers that might be credentials stay behind on another origin.

        :raises OriginRefused: there is no location, it cannot be fetched, it is a port of
            other protocols than HTTP, it was visited before, or it is one hop too many.
        """
        here = redact(self.target.url)
        if not location:
            raise OriginRefused(f"{here} redirects nowhere", status)
        try:
            there: Target = self.target.join(location)
        except ConfigError as exc:
            raise OriginRefused(f"{here} redirects to a {exc}", status) from None
        if there.url in self._seen:
            raise OriginRefused(f"redirect loop: {here} leads back to {redact(there.url)}", status)
        if len(self._seen) > MAX_REDIRECTS:
            raise OriginRefused(f"{here}: more than {MAX_REDIRECTS} redirects", status)
        if there.origin != self.target.origin:
            if there.port in BLOCKED_PORTS:
                where = f"port {there.port} of {there.host}"
                raise OriginRefused(f"{here} redirects to {where}, which is not for HTTP", status)
            self.headers = tuple((k, v) for k, v in self.headers if k.lower() in HARMLESS)
        self._seen.add(there.url)
        self.target = there
