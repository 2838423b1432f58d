"""Names of registries, as users give them and as engines look them up."""

from __future__ import annotations

import re

import attrs

from dragonfly.daemon.routing.dockerhub import HUB_HOST, HUB_NAME, HUB_NAMES
from dragonfly.errors import ConfigError
from dragonfly.hostport import bracketed, parse_host_port

__all__ = ["RegistryName", "host_of_directory", "parse_name"]

_HUB = HUB_NAMES | {"registry.hub.docker.com"}
_FORM = re.compile(
    r"((?P<scheme>https?)://)?(?P<host>([a-z0-9_.-]*[a-z0-9]|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)/?",
    re.IGNORECASE,
)


@attrs.frozen
class RegistryName:
    """One registry.

    :ivar host: ``host[:port]`` as it stands in names of images; ``docker.io`` for Docker Hub.
    """

    host: str
    scheme: str = "https"

    @property
    def hub(self) -> bool:
        """Whether it is Docker Hub."""
        return self.host == HUB_NAME

    @property
    def server(self) -> str:
        """The URL of the registry itself."""
        return f"{self.scheme}://{HUB_HOST if self.hub else self.host}"

    @property
    def directories(self) -> tuple[str, ...]:
        """The names below ``certs.d`` under which engines look, the first that exists wins."""
        host, port = parse_host_port("registry", self.host)
        return (self.host,) if port is None else (f"{bracketed(host)}_{port}_", self.host)


def host_of_directory(directory: str) -> str:
    """Give the host of which that is one of the :attr:`~RegistryName.directories`."""
    host, _, port = directory.rstrip("_").rpartition("_")
    return f"{host}:{port}" if directory.endswith("_") and port.isdigit() else directory


def parse_name(text: str, key: str = "--registry") -> RegistryName:
    """Read ``[http[s]://]host[:port][/]``; without a scheme it is https.

    :raises ConfigError: it is not of that form; what may be a password is not shown.
    """
    if "@" in text:
        raise ConfigError(f"{key}: credentials do not belong here")
    found = _FORM.fullmatch(text)
    if found is None:
        raise ConfigError(f"{key}: {text!r} is not a registry of the form host[:port]")
    host = found["host"].lower()
    parse_host_port(key, host)
    return RegistryName(HUB_NAME if host in _HUB else host, (found["scheme"] or "https").lower())
