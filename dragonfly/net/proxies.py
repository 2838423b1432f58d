"""Which proxy leads to which destination: ``HTTP_PROXY`` and its kin, read once per process.

The lower-case name of a variable wins, an empty value is none.  ``ALL_PROXY`` counts for a
scheme that has no variable of its own.  What is on this machine's loopback is asked directly,
always: a proxy has another loopback.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import attrs

from dragonfly.errors import ConfigError
from dragonfly.hostport import host_port
from dragonfly.net.addresses import is_loopback, literal, plain_address
from dragonfly.net.noproxy import Exemptions, parse_exemptions
from dragonfly.net.urls import parse_target

__all__ = ["Proxies", "Proxy"]

_SOCKS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})


@attrs.frozen(kw_only=True)
class Proxy:
    """One proxy.

    :ivar secure: we speak TLS with the proxy itself.
    :ivar authorization: the value of ``Proxy-Authorization``.
    """

    host: str
    port: int
    secure: bool = False
    authorization: str | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        """Host and port, for messages: never the credentials."""
        return host_port(self.host, self.port)


@attrs.frozen(kw_only=True)
class Proxies:
    """The rules; without arguments: no proxy for anything.

    :ivar via: the name that this process goes by in ``Via``; proxies are told it when a
        tunnel is asked for, so that one that is this process itself can tell.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exempt: Exemptions = attrs.field(factory=Exemptions)
    via: bytes = b""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        """Read the variables of a process.

        :raises ConfigError: the value of one that counts is not the URL of an HTTP proxy;
            the text names the variable.
        """
        return cls(
            http=_chosen(environment, "HTTP_PROXY"),
            https=_chosen(environment, "HTTPS_PROXY"),
            exempt=parse_exemptions(_value(environment, "NO_PROXY")),
        )

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return what an ``http`` or ``https`` server is reached through; ``None``: directly.

        :param host: ASCII; an IPv6 address without brackets.
        """
        proxy = self.https if scheme == "https" else self.http
        if proxy is None:
            return None
        name = host.lower().rstrip(".")
        text = literal(name)
        if name == "localhost" or (text is not None and is_loopback(text)):
            return None
        address = None if text is None else ip_address(plain_address(text).partition("%")[0])
        return None if self.exempt.cover(name, address, port) else proxy

    @property
    def all(self) -> tuple[Proxy, ...]:
        """Each of them once."""
        found = (proxy for proxy in (self.http, self.https) if proxy is not None)
        return tuple(dict.fromkeys(found))

    def __str__(self) -> str:
        """For the log."""
        pairs = (("http", self.http), ("https", self.https))
        texts = [f"{scheme} through the proxy {proxy}" for scheme, proxy in pairs if proxy]
        return ", ".join(texts) or "directly"


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.lower(), "").strip() or environment.get(name, "").strip()


def _chosen(environment: Mapping[str, str], name: str) -> Proxy | None:
    for each in (name, "ALL_PROXY"):
        value = _value(environment, each)
        if value:
            return _proxy(each, value)
    return None


def _proxy(name: str, value: str) -> Proxy:
    """Read one; errors show nothing of the value, which may hold a password anywhere."""
    url = value if "://" in value else f"http://{value}"
    scheme = url.partition(":")[0].lower()
    if scheme in _SOCKS:
        raise ConfigError(f"{name}: a {scheme} proxy is not supported, only http and https ones")
    try:
        target = parse_target(url)
    except ConfigError:
        form = "http://[user:password@]host[:port]"
        raise ConfigError(f"{name}: its value is not of the form {form}") from None
    return Proxy(
        host=target.host,
        port=target.port,
        secure=target.scheme == "https",
        authorization=target.authorization,
    )
