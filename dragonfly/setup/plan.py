"""What is wanted, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from dragonfly.errors import ConfigError
from dragonfly.hostport import host_port
from dragonfly.setup.registryname import RegistryName, parse_name

__all__ = ["Change", "Mirror", "Plan", "Wanted", "parse_mirror", "reached"]

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@attrs.frozen
class Mirror:
    """Where dfdaemon is, as an engine on this host reaches it."""

    url: str
    netloc: str


def parse_mirror(text: str) -> Mirror:
    """Read ``http[s]://host:port``.

    :raises ConfigError: it is not of that form.
    """
    name = parse_name(text, "--mirror")
    if "://" not in text or name.hub:
        raise ConfigError(f"--mirror: {text!r} is not of the form http://host:port")
    return Mirror(f"{name.scheme}://{name.host}", name.host)


def reached(address: str, port: int) -> str:
    """Give ``host:port`` where that is reached from this host which is listened on there."""
    return host_port(_ANY.get(address, address), port)


@attrs.frozen(kw_only=True)
class Wanted:
    """What the user asked for.

    :ivar remote: the registry that dfdaemon takes where a request names none.
    :ivar listed: registries that its configuration describes.
    :ivar proxy: dockerd is to use dfdaemon as its proxy.
    :ivar ca: the text of the certificate that dockerd has to trust then.
    :ivar former: by path, what an earlier run wrote there as :attr:`Change.ours`.
    """

    mirror: Mirror
    registries: tuple[RegistryName, ...] = ()
    remote: RegistryName
    listed: tuple[str, ...] = ()
    proxy: bool = False
    ca: str | None = None
    former: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Change:
    """One file, before and after; ``None``: it is not there.

    :ivar ours: what of it is our entry, where the file itself does not show it.
    """

    path: str
    before: str | None
    after: str | None
    ours: str = ""

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return self.before != self.after


@attrs.frozen
class Plan:
    """All changes for one engine.

    :ivar notes: what the user should know.
    :ivar steps: what makes the engine read it.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
