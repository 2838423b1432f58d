"""One registry: where it is, and how far its certificate is believed."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from dragonfly.errors import ConfigError
from dragonfly.hostport import authority, host_port
from dragonfly.net.trust import Trust
from dragonfly.net.urls import parse_target, redact

__all__ = ["Registry", "parse_registry"]


@attrs.frozen(kw_only=True)
class Registry:
    """A registry, or any other origin, as it is asked.

    :ivar host: ASCII, lower-case; an IPv6 address without brackets.
    :ivar local: whether it may be on this machine's loopback: our operator named it, or who
        asks is on this machine, too.
    """

    scheme: str
    host: str
    port: int
    trust: Trust = attrs.field(factory=Trust)
    local: bool = True

    @property
    def secure(self) -> bool:
        """Whether it is asked over TLS."""
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """``host:port``, always with the port."""
        return host_port(self.host, self.port)

    @property
    def netloc(self) -> str:
        """What goes into ``Host``: the port only where it is not the scheme's own."""
        return authority(self.scheme, self.host, self.port)

    def url(self, target: bytes) -> str:
        """The absolute URL of a request target in origin-form."""
        return f"{self.scheme}://{self.netloc}{target.decode('ascii', 'replace')}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def parse_registry(text: str, *, trust: Trust | None = None) -> Registry:
    """Read ``[http[s]://]host[:port][/]``; without a scheme it is https.

    :raises ConfigError: it is not of that form.
    """
    url = text if "://" in text else f"https://{text}"
    target = parse_target(url)
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"registry {redact(text)!r}: only scheme, host and port belong here")
    if target.authorization is not None:
        raise ConfigError(f"registry {redact(text)!r}: credentials do not belong here")
    return Registry(
        scheme=target.scheme, host=target.host, port=target.port, trust=trust or Trust()
    )
