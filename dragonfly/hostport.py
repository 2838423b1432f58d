"""``host:port``: how it is written, taken apart and put together."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from dragonfly.errors import ConfigError

__all__ = [
    "DEFAULT_PORTS",
    "authority",
    "bracketed",
    "host_port",
    "parse_host_port",
]

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Those that a URL need not name, by its scheme."""

_FORM = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\s/@?#:,\[\]]+))(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)


def parse_host_port(key: str, text: str, *, least: int = 1) -> tuple[str, int | None]:
    """Read ``host[:port]``, the host a name, an IPv4 address or ``[IPv6]``.

    :param key: what it is the value of, for errors.
    :param least: the lowest port that there may be.
    :returns: the host as it is written, but without brackets, and the port; ``None``: it is not
        said.
    :raises ConfigError: it is not of that form; what may be a password is not shown.
    """
    if "@" in text:
        raise ConfigError(f"{key}: credentials do not belong here")
    found = _FORM.fullmatch(text)
    if found is None or not _usable(found["address"]):
        hint = ", an IPv6 address [address]:port" if text.count(":") > 1 or "[" in text else ""
        raise ConfigError(f"{key}: {text!r} is not of the form host:port{hint}")
    host, port = found["address"] or found["name"], found["port"]
    if port is None:
        return host, None
    if not least <= int(port) <= 65535:
        raise ConfigError(f"{key}: {text!r}: port {port!r} is not a number from {least} to 65535")
    return host, int(port)


def _usable(address: str | None) -> bool:
    try:
        return address is None or bool(IPv6Address(address))
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Put brackets around an IPv6 address."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """Give ``host:port``, with brackets around an IPv6 address."""
    return f"{bracketed(host)}:{port}"


def authority(scheme: str, host: str, port: int) -> str:
    """Give what stands in an http or https URL: the port only where it is not the scheme's own."""
    return bracketed(host) if port == DEFAULT_PORTS[scheme] else host_port(host, port)
