"""What the operator says of single registries, and of the one behind the mirror."""

from __future__ import annotations

import re
from typing import Any

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.values import Parser
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError
from dragonfly.hostport import parse_host_port

__all__ = [
    "DEFAULT_REGISTRY",
    "TRUST_KEYS",
    "KnownRegistry",
    "RegistryMirror",
    "check_client_key",
    "known_registries",
    "registry_mirror",
    "remote",
]

DEFAULT_REGISTRY = "https://index.docker.io"


@attrs.frozen(kw_only=True)
class RegistryMirror:
    """The registry behind the mirror.

    :ivar remote: ``[http[s]://]host[:port][/]``.
    :ivar certs: PEM files whose authorities alone count; empty: those of the system.
    :ivar client_cert: a PEM file, for registries that want to know who asks.
    :ivar client_key: its key; ``None``: in the same file.
    """

    remote: str = DEFAULT_REGISTRY
    insecure: bool = False
    certs: tuple[str, ...] = ()
    client_cert: str | None = None
    client_key: str | None = None


@attrs.frozen(kw_only=True)
class KnownRegistry:
    """How one registry is asked, whoever names it; the fields are those of the mirror.

    :ivar host: ``host[:port]``, without a port the scheme's own.
    :ivar scheme: ``https`` or ``http``, for where only a host is named.
    """

    host: str
    scheme: str = "https"
    insecure: bool = False
    certs: tuple[str, ...] = ()
    client_cert: str | None = None
    client_key: str | None = None


_REMOTE = re.compile(r"(?:https?://)?([^/?#@\s]+)/?", re.IGNORECASE)


def remote(key: str, text: str) -> str:
    """Read where a registry is."""
    if "@" in text:  # what stands before it may be a password
        raise ConfigError(f"{key}: credentials do not belong here")
    found = _REMOTE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{key}: {text!r} is not of the form https://host:port")
    parse_host_port(key, found[1])
    return text


def _host(key: str, text: str) -> str:
    parse_host_port(key, text)
    return text


def _scheme(key: str, text: str) -> str:
    if text.lower() not in ("http", "https"):
        raise ConfigError(f"{key}: {text!r} is neither http nor https")
    return text.lower()


TRUST_KEYS: dict[str, tuple[str, Parser]] = {
    "insecure": ("insecure", values.truth),
    "certs": ("certs[]", values.path),
    "client_cert": ("client_cert", values.path),
    "client_key": ("client_key", values.path),
}
"""What says whom to believe, and who we are."""

_MIRROR_KEYS = {"remote": ("remote", remote), **TRUST_KEYS}
_KNOWN_KEYS = {"host": ("host", _host), "scheme": ("scheme", _scheme), **TRUST_KEYS}


def registry_mirror(section: Entry) -> RegistryMirror:
    """Read ``registry_mirror``.

    :raises ConfigError: naming file and line.
    """
    found = yamlfile.fields(section, _MIRROR_KEYS)
    check_client_key(section, found)
    return RegistryMirror(**found)


def known_registries(section: Entry) -> tuple[KnownRegistry, ...]:
    """Read ``registries``.

    :raises ConfigError: naming file and line; also for one that is listed twice.
    """
    known: dict[str, KnownRegistry] = {}
    for item in yamlfile.mappings(section):
        found = yamlfile.fields(item, _KNOWN_KEYS)
        if "host" not in found:
            raise ConfigError(f"{item.where}: registries: one has no host")
        check_client_key(item, found)
        host = found["host"].lower()
        if host in known:
            raise ConfigError(f"{item.where}: registries: {host} is listed twice")
        known[host] = KnownRegistry(**found)
    return tuple(known.values())


def check_client_key(section: Entry, found: dict[str, Any]) -> None:
    """Refuse a key without its certificate.

    :raises ConfigError: naming file and line.
    """
    if "client_key" in found and "client_cert" not in found:
        raise ConfigError(f"{section.where}: {section.key}: client_key without client_cert")
