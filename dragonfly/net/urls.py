"""URLs as they may be logged, as they go on the wire, and what they have in common."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import attrs

from dragonfly.errors import ConfigError
from dragonfly.hostnames import ascii_host
from dragonfly.hostport import DEFAULT_PORTS, authority, host_port
from dragonfly.task.identity import basic_of

__all__ = ["Target", "parse_target", "redact"]

# Everything that RFC 3986 allows in a path or query, and "%" for what is encoded
# already: what the caller wrote is sent as written, the rest is encoded.
_AS_WRITTEN = "!#$%&'()*+,/:;=?@[]~"


@attrs.frozen
class Target:
    """One absolute http(s) URL, ready to be requested.

    ``url`` is ASCII, without userinfo and fragment; ``origin`` is what decides
    whether credentials may go along; ``authorization`` is the header that the
    URL's userinfo asks for.
    """

    url: str
    scheme: str
    host: str
    port: int
    authorization: str | None = attrs.field(default=None, repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """``host:port`` for messages, with brackets around an IPv6 address."""
        return host_port(self.host, self.port)

    def join(self, location: str) -> Target:
        """Resolve a ``Location`` against this URL.

        Userinfo in it is dropped: credentials come from the caller alone.

        :raises ConfigError: as :func:`parse_target` does.
        """
        try:
            there = urljoin(self.url, location)
        except ValueError as exc:
            raise ConfigError(f"malformed URL {redact(location)}: {exc}") from None
        return attrs.evolve(parse_target(there), authorization=None)


def parse_target(url: str) -> Target:
    """Take a URL apart.

    :raises ConfigError: it is not http or https, has no host, or is malformed;
        the text shows the URL without its secrets.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = ascii_host(parts.hostname or "")
        path = quote(parts.path, safe=_AS_WRITTEN) or "/"
        query = quote(parts.query, safe=_AS_WRITTEN)
    except ValueError as exc:
        raise ConfigError(f"malformed URL {_bare(url)}: {exc}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ConfigError(f"malformed URL {_bare(url)}: only http and https can be fetched")
    if not host or any(c <= " " or c in '"<>\\^`{|}' for c in host):
        raise ConfigError(f"malformed URL {_bare(url)}: no usable host name")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    netloc = authority(parts.scheme, host, port)
    return Target(
        url=urlunsplit((parts.scheme, netloc, path, query, "")),
        scheme=parts.scheme,
        host=host,
        port=port,
        authorization=basic_of(parts.netloc),
    )


def redact(url: str) -> str:
    """Return *url* fit for logs and errors: no userinfo, no query, no fragment.

    Signed URLs carry their credential in the query; what stays is enough to
    find the request in an access log.
    """
    head, has_query, _ = url.partition("?")
    head = head.partition("#")[0]
    scheme, separator, rest = head.partition("://")
    if not separator:
        scheme, rest = "", head
    netloc, slash, path = rest.partition("/")
    shown = f"{scheme}{separator}{netloc.rpartition('@')[2]}{slash}{path}"
    return f"{shown}?..." if has_query else shown


def _bare(url: str) -> str:
    """A malformed URL without all that may be a password: nobody knows where that ends."""
    shown = redact(url)
    scheme, separator, rest = shown.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else rest or shown
