"""``dfdaemon.yml`` and the flags of ``dfdaemon``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.hijack import Hijack, hijack_https
from dragonfly.config.nodes import Node, named_nodes
from dragonfly.config.proxies import ProxyRule, proxy_rules
from dragonfly.config.registries import (
    KnownRegistry,
    RegistryMirror,
    known_registries,
    registry_mirror,
    remote,
)
from dragonfly.config.values import Parser
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError
from dragonfly.hostnames import is_host_name

__all__ = [
    "DEFAULT_WORK_HOME",
    "DaemonConfig",
    "load_daemon_config",
    "parse_daemon_config",
]

DEFAULT_WORK_HOME = "~/.small-dragonfly"
"""That of dfget: the dfgets of the same user then use the daemon's peer."""


@attrs.frozen(kw_only=True)
class DaemonConfig:
    """What ``dfdaemon`` runs with. A port of 0 lets the kernel choose.

    :ivar registry: the one that the mirror asks where a request names no other.
    :ivar proxies: in their order; behind them stands the rule for layers.
    :ivar hijack: ``None``: connections are passed through unopened.
    :ivar host_ip: the address that the proxy listens on.
    :ivar host_names: names by which clients know it, besides those that nobody else can have.
    :ivar status_ip: the one that the status port listens on; ``None``: :attr:`host_ip`.
    :ivar peer_ip: under which other peers reach this host; ``None``: as the supernode sees it.
    :ivar rate_limit: bytes for each second of all layers together, and of what is sent to other
        peers; ``None``: no limit.
    :ivar prefetch: whether who asks for a part of a content has all of it fetched.
    :ivar local_repo: where contents are kept; ``None``: in :attr:`work_home`.
    :ivar work_home: may begin with ``~``.
    :ivar certpem: with :attr:`keypem`, the proxy speaks TLS as well.
    :ivar https_port: speaks nothing but TLS; open with :attr:`certpem` only.
    :ivar drain_s: so long answers may go on when it ends; 0: they are cut at once.
    :ivar log_path: a file that the log goes to besides.
    :ivar notices: what was accepted and has no effect.
    """

    registry: RegistryMirror = attrs.field(factory=RegistryMirror)
    registries: tuple[KnownRegistry, ...] = ()
    proxies: tuple[ProxyRule, ...] = ()
    hijack: Hijack | None = None
    nodes: tuple[Node, ...] = ()
    port: int = 65001
    host_ip: str = "127.0.0.1"
    host_names: tuple[str, ...] = ()
    peer_port: int = 65002
    peer_ip: str | None = None
    status_port: int = 65003
    status_ip: str | None = None
    rate_limit: int | None = None
    prefetch: bool = False
    local_repo: str | None = None
    work_home: str = DEFAULT_WORK_HOME
    certpem: str | None = None
    keypem: str | None = None
    https_port: int = 65004
    drain_s: float = 25.0
    log_path: str | None = None
    verbose: bool = False
    notices: tuple[str, ...] = ()

    @property
    def status_address(self) -> str:
        """What the status port listens on."""
        return self.status_ip or self.host_ip


# -- tables ------------------------------------------------------------------------------

_KEYS: dict[str, tuple[str, Parser]] = {
    "port": ("port", values.port),
    "hostIp": ("host_ip", values.ip),
    "peerPort": ("peer_port", values.port),
    "peerIp": ("peer_ip", values.ip),
    "statusPort": ("status_port", values.port),
    "statusIp": ("status_ip", values.ip),
    "ratelimit": ("rate_limit", values.rate),
    "localrepo": ("local_repo", values.path),
    "workHome": ("work_home", values.path),
    "drainTime": ("drain_s", values.duration),
    "certpem": ("certpem", values.path),
    "keypem": ("keypem", values.path),
    "prefetch": ("prefetch", values.truth),
    "httpsPort": ("https_port", values.port),
    "verbose": ("verbose", values.truth),
}
"""Keys of the file that are flags, too, under the same name."""

_FLAGS: dict[str, Parser] = {"registry": remote, "node": named_nodes}
"""Flags that the file says in another form."""

_WITHOUT_EFFECT = {
    "callsystem": "",
    "dfpath": "the peer is inside dfdaemon",
    "maxprocs": "",
    "notbs": "without the swarm everything comes from the registry",
    "rule": "",
    "streamMode": "bytes are passed on as they come, always",
    "trust-hosts": "",
    "urlfilter": "blobs are named by their digest",
}

_NODE_FLAGS = ("--node", "-n")
_IP_FLAGS = ("--ip",)


# -- reading -----------------------------------------------------------------------------


def load_daemon_config(path: Path | None, flags: Mapping[str, str | None]) -> DaemonConfig:
    """Read the file, if there is one, and lay the flags over it.

    :param flags: flag names without dashes to their text, ``None`` where not given.
    :raises ConfigError: the file cannot be read, or it or a flag is wrong.
    """
    text = yamlfile.read(path) if path is not None else ""
    return parse_daemon_config(text, str(path), flags)


def parse_daemon_config(
    text: str, source: str = "dfdaemon.yml", flags: Mapping[str, str | None] | None = None
) -> DaemonConfig:
    """Build the configuration from the text of a ``dfdaemon.yml`` and flags.

    :raises ConfigError: naming file and line, or the flag, the key and the value.
    """
    reading = _Reading()
    for entry in yamlfile.top(text, source):
        reading.take(entry)
    for flag, given in (flags or {}).items():
        if given is not None:
            reading.take_flag(flag, given)
    return reading.config()


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._by_flags: dict[str, Any] = {}
        self._notices: list[str] = []
        self._special: dict[str, Callable[[Entry], None]] = {
            "registry_mirror": self._registry_mirror,
            "registries": self._registries,
            "proxies": self._proxies,
            "hijack_https": self._hijack_https,
            "hostNames": self._host_names,
            "supernodes": self._supernodes,
            "dfget_flags": self._dfget_flags,
            "logConfig": self._log_config,
        }

    def take(self, entry: Entry) -> None:
        """One key of the file."""
        if entry.key in _KEYS:
            name, parse = _KEYS[entry.key]
            self._found[name] = parse(f"{entry.where}: {entry.key}", entry.text())
        elif entry.key in self._special:
            self._special[entry.key](entry)
        elif entry.key in _WITHOUT_EFFECT:
            if not entry.empty:
                self._no_effect(f"{entry.where}: {entry.key}", _WITHOUT_EFFECT[entry.key])
        else:
            raise yamlfile.unknown(entry, "the file", {**_KEYS, **self._special})

    def take_flag(self, flag: str, text: str) -> None:
        """One flag: it wins over the file."""
        if flag == "registry":
            mirror = self._found.get("registry", RegistryMirror())
            named = _FLAGS[flag]("--registry", text)
            self._found["registry"] = attrs.evolve(mirror, remote=named)
        elif flag == "node":
            self._found["nodes"] = _FLAGS[flag]("--node", text)
        elif flag in _WITHOUT_EFFECT:
            self._no_effect(f"--{flag}", _WITHOUT_EFFECT[flag])
        else:
            name, parse = _KEYS[flag]
            self._found[name] = parse(f"--{flag}", text)

    def config(self) -> DaemonConfig:
        """All of it together."""
        found = {**self._by_flags, **self._found}
        if ("certpem" in found) != ("keypem" in found):
            given, lacks = ("certpem", "keypem") if "certpem" in found else ("keypem", "certpem")
            raise ConfigError(f"{given} {found[given]!r} is given and {lacks} is not")
        return DaemonConfig(**found, notices=tuple(self._notices))

    # -- keys with a form of their own -------------------------------------------------

    def _registry_mirror(self, section: Entry) -> None:
        self._found["registry"] = registry_mirror(section)

    def _registries(self, section: Entry) -> None:
        self._found["registries"] = known_registries(section)

    def _proxies(self, section: Entry) -> None:
        self._found["proxies"] = proxy_rules(section)

    def _hijack_https(self, section: Entry) -> None:
        self._found["hijack"] = hijack_https(section)

    def _supernodes(self, entry: Entry) -> None:
        nodes = yamlfile.nodes(entry)
        if nodes:
            self._found["nodes"] = nodes

    def _host_names(self, entry: Entry) -> None:
        found = []
        for where, text in yamlfile.texts(entry, "a name"):
            if not is_host_name(text):
                raise ConfigError(f"{where}: hostNames: {text!r} is no name of a host")
            found.append(text)
        self._found["host_names"] = tuple(found)

    def _log_config(self, section: Entry) -> None:
        for entry in yamlfile.entries(section.node, section.source, section.key):
            if entry.key == "path":
                self._found["log_path"] = values.path(f"{entry.where}: path", entry.text())
            else:
                self._no_effect(f"{entry.where}: {entry.key}")

    def _dfget_flags(self, entry: Entry) -> None:
        """Take the supernodes and the address from the flags for v1's dfget: many files name
        them only there."""
        flags = _paired(yamlfile.texts(entry, "a flag"))
        for where, flag, value in flags:
            key = f"{where}: dfget_flags {flag}"
            if flag in _NODE_FLAGS:
                nodes = self._by_flags.get("nodes", ())
                self._by_flags["nodes"] = (*nodes, *named_nodes(key, value))
            elif flag in _IP_FLAGS:
                self._by_flags["peer_ip"] = values.ip(key, value)
            else:
                self._no_effect(key)

    def _no_effect(self, what: str, because: str = "") -> None:
        self._notices.append(f"{what} has no effect here" + (f": {because}" if because else ""))


def _paired(texts: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Give each flag with its place and its value, written ``--flag value`` or ``--flag=value``."""
    found: list[tuple[str, str, str]] = []
    for where, text in texts:
        if text.startswith("-"):
            flag, _, value = text.partition("=")
            found.append((where, flag, value))
        elif found and not found[-1][2]:
            found[-1] = (*found[-1][:2], text)
        else:
            raise ConfigError(f"{where}: dfget_flags: {text!r} belongs to no flag")
    return found
