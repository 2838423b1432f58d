"""``supernode.yml`` and the flags of ``twistd supernode``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.nodes import DEFAULT_PORT
from dragonfly.config.origincerts import OriginCert, origin_certs
from dragonfly.config.values import Parser
from dragonfly.errors import ConfigError

__all__ = ["SupernodeConfig", "load_supernode_config", "parse_supernode_config"]


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
    origin_certs: tuple[OriginCert, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def origin_rate(self) -> int | None:
        """Cap on all reading from origins: the bandwidth less the reserve; ``None``: no cap."""
        if self.max_bandwidth is None:
            return None
        return self.max_bandwidth - self.system_bandwidth


_KEYS: dict[str, tuple[str, Parser]] = {
    "listenPort": ("port", values.port),
    "downloadPort": ("download_port", values.port),
    "homeDir": ("home_dir", values.path),
    "advertiseIP": ("advertise_ip", values.ip),
    "peerUpLimit": ("up_limit", values.count),
    "peerDownLimit": ("down_limit", values.count),
    "maxBandwidth": ("max_bandwidth", values.rate),
    "systemReservedBandwidth": ("system_bandwidth", values.size),
    "failAccessInterval": ("fail_access_interval_s", values.duration),
    "taskExpireTime": ("task_expire_time_s", values.duration),
    "peerGCDelay": ("peer_gc_delay_s", values.duration),
    "debug": ("debug", values.truth),
}

_FLAGS: dict[str, tuple[str, Parser]] = {
    "port": ("port", values.port),
    "download-port": ("download_port", values.port),
    "home-dir": ("home_dir", values.path),
    "advertise-ip": ("advertise_ip", values.ip),
    "up-limit": ("up_limit", values.count),
    "down-limit": ("down_limit", values.count),
    "max-bandwidth": ("max_bandwidth", values.rate),
    "system-bandwidth": ("system_bandwidth", values.size),
    "fail-access-interval": ("fail_access_interval_s", values.duration),
    "task-expire-time": ("task_expire_time_s", values.duration),
    "peer-gc-delay": ("peer_gc_delay_s", values.duration),
    "debug": ("debug", values.truth),
}

_ORIGIN_CERTS = "originCerts"

_WITHOUT_EFFECT = (
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
    text = yamlfile.read(path) if path is not None else ""
    return parse_supernode_config(text, str(path), flags)


def parse_supernode_config(
    text: str, source: str = "supernode.yml", flags: Mapping[str, str | None] | None = None
) -> SupernodeConfig:
    """Build the configuration from the text of a ``supernode.yml`` and flags.

    :raises ConfigError: naming file and line, or the flag, the key and the value.
    """
    found: dict[str, Any] = {}
    notices: list[str] = []
    for section in yamlfile.top(text, source):
        if section.key != "base":
            raise yamlfile.unknown(section, "the file", {"base": None})
        _read_base(section, source, found, notices)
    for flag, given in (flags or {}).items():
        if given is not None:
            name, parse = _FLAGS[flag]
            found[name] = parse(f"--{flag}", given)
    config = SupernodeConfig(**found, notices=tuple(notices))
    _check_bandwidth(config)
    return config


def _read_base(
    section: yamlfile.Entry, source: str, found: dict[str, Any], notices: list[str]
) -> None:
    known = {**_KEYS, **dict.fromkeys(_WITHOUT_EFFECT), _ORIGIN_CERTS: None}
    for entry in yamlfile.entries(section.node, source, "base"):
        if entry.key not in known:
            raise yamlfile.unknown(entry, "base", known)
        if entry.key == _ORIGIN_CERTS:
            found["origin_certs"] = origin_certs(entry)
            continue
        if entry.key not in _KEYS:
            notices.append(f"{entry.where}: {entry.key} has no effect here")
            continue
        name, parse = _KEYS[entry.key]
        found[name] = parse(f"{entry.where}: {entry.key}", entry.text())


def _check_bandwidth(config: SupernodeConfig) -> None:
    rate = config.origin_rate
    if rate is not None and rate <= 0:
        raise ConfigError(
            f"maxBandwidth {config.max_bandwidth} leaves nothing for reading from origins "
            f"beside systemReservedBandwidth {config.system_bandwidth}"
        )
