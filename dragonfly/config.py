"""Configuration: what the files and flags of each role say, as frozen values.

Parsing is pure: text comes in, a value or a :class:`ConfigError` that names file, line, key
and value comes out. Files keep the keys of Dragonfly v1, flags win over files, files over
defaults. A key of v1 that has no effect here is accepted and mentioned in ``notices``, so
that an existing file works; a key that nobody ever knew is an error.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from dragonfly.errors import ConfigError
from dragonfly.limits import parse_duration, parse_rate, parse_size

__all__ = [
    "DEFAULT_PORT",
    "DfgetConfig",
    "Node",
    "SupernodeConfig",
    "load_dfget_config",
    "load_supernode_config",
    "parse_dfget_config",
    "parse_node",
    "parse_nodes",
    "parse_supernode_config",
]

DEFAULT_PORT = 8002
"""The supernode's HTTP port where an address does not name one."""


# -- addresses of supernodes ---------------------------------------------------


@attrs.frozen
class Node:
    """One supernode: where it listens, and its weight among several."""

    host: str
    port: int = DEFAULT_PORT
    weight: int = 1

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_node(text: str) -> Node:
    """Read ``host[:port][=weight]``, the host a name, an IPv4 address or ``[IPv6]``.

    :raises ConfigError: it is not of that form, or a number is out of range.
    """
    address, marked, weight = text.strip().partition("=")
    host, port = _split_port(address.strip(), text)
    if not host or any(c.isspace() or c in "/?#@,[]" for c in host):
        raise ConfigError(f"supernode {text!r}: {host!r} is no host name or address")
    return Node(
        host,
        _number(f"port of supernode {text!r}", port, 1, 65535) if port else DEFAULT_PORT,
        _number(f"weight of supernode {text!r}", weight, 1, 1000) if marked else 1,
    )


def parse_nodes(text: str) -> tuple[Node, ...]:
    """Read a comma separated list of nodes; empty entries are skipped.

    :raises ConfigError: an entry is wrong.
    """
    return tuple(parse_node(part) for part in text.split(",") if part.strip())


def _split_port(address: str, text: str) -> tuple[str, str]:
    if not address.startswith("["):
        host, colon, port = address.partition(":")
        if ":" in port:
            raise ConfigError(f"supernode {text!r}: write an IPv6 address as [address]:port")
        if colon and not port:
            raise ConfigError(f"supernode {text!r}: the port is missing after ':'")
        return host, port
    host, closed, rest = address[1:].partition("]")
    if not closed or (rest and not (rest.startswith(":") and rest[1:])):
        raise ConfigError(f"supernode {text!r}: write an IPv6 address as [address]:port")
    return _ip(f"supernode {text!r}", host), rest[1:]


# -- values --------------------------------------------------------------------


def _number(key: str, text: str, least: int, most: int) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= 18  # int() minds longer ones
    if not digits or not least <= int(text) <= most:
        raise ConfigError(f"{key}: {text!r} is not a number from {least} to {most}")
    return int(text)


def _port(key: str, text: str) -> int:
    return _number(key, text, 0, 65535)


def _count(key: str, text: str) -> int:
    return _number(key, text, 1, 1000)


def _ip(key: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{key}: {text!r} is not an IP address") from None


def _truth(key: str, text: str) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    if text.lower() not in known:
        raise ConfigError(f"{key}: {text!r} is neither true nor false")
    return known[text.lower()]


def _path(key: str, text: str) -> str:
    if not text or "\0" in text:
        raise ConfigError(f"{key}: {text!r} is not a path")
    return text


def _rate(key: str, text: str) -> int:
    return parse_rate(text, key)


def _size(key: str, text: str) -> int:
    return parse_size(text, key)


def _duration(key: str, text: str) -> float:
    return parse_duration(text, key)


_Parser = Callable[[str, str], Any]


# -- YAML with line marks -------------------------------------------------------


@attrs.frozen
class _Entry:
    """One ``key: value`` of a mapping, with the place where it stands."""

    key: str
    node: yaml.Node
    where: str

    def text(self) -> str:
        """The value if it is a plain one."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise ConfigError(f"{self.where}: {self.key} must be a single value")
        return str(self.node.value)


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {error}") from None


def _entries(node: yaml.Node | None, source: str, what: str) -> Iterator[_Entry]:
    """The entries of a mapping; an absent or empty one has none."""
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")):
        return
    where = f"{source}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{where}: {what} must be a mapping of keys to values")
    seen = set()
    for key, value in node.value:
        where = f"{source}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}: a key of {what} is not a word")
        if key.value in seen:
            raise ConfigError(f"{where}: {key.value} is given twice in {what}")
        seen.add(key.value)
        yield _Entry(str(key.value), value, where)


def _unknown(entry: _Entry, what: str, known: Mapping[str, object]) -> ConfigError:
    close = difflib.get_close_matches(entry.key, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return ConfigError(f"{entry.where}: unknown key {entry.key!r} in {what}{hint}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None


# -- supernode -------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class SupernodeConfig:
    """What ``twistd supernode`` runs with; rates are bytes per second, times seconds."""

    port: int = DEFAULT_PORT
    download_port: int = 8001
    home_dir: str | None = None
    advertise_ip: str | None = None
    up_limit: int = 8
    down_limit: int = 12
    max_bandwidth: int | None = None
    system_bandwidth: int = 0
    fail_access_interval_s: float = 5.0
    task_expire_time_s: float = 180.0
    peer_gc_delay_s: float = 180.0
    debug: bool = False
    notices: tuple[str, ...] = ()

    @property
    def origin_rate(self) -> int | None:
        """Cap on all reading from origins: the bandwidth less the reserve; ``None``: no cap."""
        if self.max_bandwidth is None:
            return None
        return self.max_bandwidth - self.system_bandwidth


_SUPERNODE_KEYS: dict[str, tuple[str, _Parser]] = {
    "listenPort": ("port", _port),
    "downloadPort": ("download_port", _port),
    "homeDir": ("home_dir", _path),
    "advertiseIP": ("advertise_ip", _ip),
    "peerUpLimit": ("up_limit", _count),
    "peerDownLimit": ("down_limit", _count),
    "maxBandwidth": ("max_bandwidth", _rate),
    "systemReservedBandwidth": ("system_bandwidth", _size),
    "failAccessInterval": ("fail_access_interval_s", _duration),
    "taskExpireTime": ("task_expire_time_s", _duration),
    "peerGCDelay": ("peer_gc_delay_s", _duration),
    "debug": ("debug", _truth),
}

_SUPERNODE_FLAGS: dict[str, tuple[str, _Parser]] = {
    "port": ("port", _port),
    "download-port": ("download_port", _port),
    "home-dir": ("home_dir", _path),
    "advertise-ip": ("advertise_ip", _ip),
    "up-limit": ("up_limit", _count),
    "down-limit": ("down_limit", _count),
    "max-bandwidth": ("max_bandwidth", _rate),
    "system-bandwidth": ("system_bandwidth", _size),
    "fail-access-interval": ("fail_access_interval_s", _duration),
    "task-expire-time": ("task_expire_time_s", _duration),
    "peer-gc-delay": ("peer_gc_delay_s", _duration),
    "debug": ("debug", _truth),
}

_SUPERNODE_WITHOUT_EFFECT = (
    "cdnPattern",
    "eliminationLimit",
    "enableProfiler",
    "failureCountLimit",
    "fullGCThreshold",
    "gcDiskInterval",
    "gcInitialDelay",
    "gcMetaInterval",
    "IntervalThreshold",
    "schedulerCorePoolSize",
    "youngGCThreshold",
)


def load_supernode_config(path: Path | None, flags: Mapping[str, str | None]) -> SupernodeConfig:
    """Read the file, if there is one, and lay the flags over it.

    :param flags: flag names without dashes to their text, ``None`` where not given.
    :raises ConfigError: the file cannot be read, or it or a flag is wrong.
    """
    text = _read(path) if path is not None else ""
    return parse_supernode_config(text, str(path), flags)


def parse_supernode_config(
    text: str, source: str = "supernode.yml", flags: Mapping[str, str | None] | None = None
) -> SupernodeConfig:
    """Build the configuration from the text of a ``supernode.yml`` and flags.

    :raises ConfigError: naming file and line, or the flag, the key and the value.
    """
    values: dict[str, Any] = {}
    notices: list[str] = []
    for section in _entries(_compose(text, source), source, "the file"):
        if section.key != "base":
            raise _unknown(section, "the file", {"base": None})
        _read_base(section, source, values, notices)
    for flag, given in (flags or {}).items():
        if given is not None:
            name, parse = _SUPERNODE_FLAGS[flag]
            values[name] = parse(f"--{flag}", given)
    config = SupernodeConfig(**values, notices=tuple(notices))
    _check_bandwidth(config)
    return config


def _read_base(section: _Entry, source: str, values: dict[str, Any], notices: list[str]) -> None:
    known = {**_SUPERNODE_KEYS, **dict.fromkeys(_SUPERNODE_WITHOUT_EFFECT)}
    for entry in _entries(section.node, source, "base"):
        if entry.key not in known:
            raise _unknown(entry, "base", known)
        if entry.key not in _SUPERNODE_KEYS:
            notices.append(f"{entry.where}: {entry.key} has no effect here")
            continue
        name, parse = _SUPERNODE_KEYS[entry.key]
        values[name] = parse(f"{entry.where}: {entry.key}", entry.text())


def _check_bandwidth(config: SupernodeConfig) -> None:
    rate = config.origin_rate
    if rate is not None and rate <= 0:
        raise ConfigError(
            f"maxBandwidth {config.max_bandwidth} leaves nothing for reading from origins "
            f"beside systemReservedBandwidth {config.system_bandwidth}"
        )


# -- dfget -----------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class DfgetConfig:
    """What ``dfget.yml`` says; rates are bytes per second, ``None`` where it is silent."""

    nodes: tuple[Node, ...] = ()
    local_limit: int | None = None
    min_rate: int | None = None
    total_limit: int | None = None
    client_queue: int | None = None


_DFGET_KEYS: dict[str, tuple[str, _Parser]] = {
    "localLimit": ("local_limit", _rate),
    "minRate": ("min_rate", _rate),
    "totalLimit": ("total_limit", _rate),
    "clientQueueSize": ("client_queue", _count),
}


def load_dfget_config(path: Path | str) -> DfgetConfig:
    """Read a ``dfget.yml``.

    :raises ConfigError: it cannot be read, or a key or value is wrong.
    """
    return parse_dfget_config(_read(Path(path)), str(path))


def parse_dfget_config(text: str, source: str = "dfget.yml") -> DfgetConfig:
    """Build the configuration from the text of a ``dfget.yml``.

    :raises ConfigError: naming file, line, key and value.
    """
    values: dict[str, Any] = {}
    for entry in _entries(_compose(text, source), source, "the file"):
        if entry.key == "nodes":
            values["nodes"] = tuple(_nodes(entry))
        elif entry.key in _DFGET_KEYS:
            name, parse = _DFGET_KEYS[entry.key]
            values[name] = parse(f"{entry.where}: {entry.key}", entry.text())
        else:
            raise _unknown(entry, "the file", {**_DFGET_KEYS, "nodes": None})
    return DfgetConfig(**values)


def _nodes(entry: _Entry) -> Iterator[Node]:
    if not isinstance(entry.node, yaml.SequenceNode):
        yield from _located(entry.where, entry.text())
        return
    for item in entry.node.value:
        where = f"{entry.where.rpartition(':')[0]}:{item.start_mark.line + 1}"
        if not isinstance(item, yaml.ScalarNode):
            raise ConfigError(f"{where}: an entry of nodes is not host:port=weight")
        yield from _located(where, str(item.value))


def _located(where: str, text: str) -> tuple[Node, ...]:
    try:
        return parse_nodes(text)
    except ConfigError as error:
        raise ConfigError(f"{where}: nodes: {error}") from None
