"""The registries of a configuration, with whom to believe for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import attrs

from dragonfly.config import DaemonConfig, KnownRegistry, RegistryMirror
from dragonfly.daemon.routing.registries import Registries, TrustedHosts, canonical
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.tls.pem import joined_authorities
from dragonfly.errors import ConfigError
from dragonfly.net.trust import Trust

__all__ = ["known_registries"]


def known_registries(config: DaemonConfig, home: Path) -> Registries:
    """Give all registries of ``config``; their certificates are read.

    :param home: where certificates of several files are put together.
    :raises ConfigError: one is malformed, or a file cannot be used.
    :raises StoreError: ``home`` cannot be written.
    """
    mirror = canonical(parse_registry(config.registry.remote, trust=_trust(config.registry, home)))
    known = [_known(each, home) for each in config.registries]
    _refuse_twice([mirror, *known])
    hosts = config.hijack.hosts if config.hijack is not None else ()
    return Registries(
        mirror,
        known,
        [
            TrustedHosts(re.compile(each.regx), _authorities(each.certs, each.insecure, home))
            for each in hosts
        ],
    )


def _refuse_twice(registries: Sequence[Registry]) -> None:
    """Two different descriptions of one place: nobody could say which counts."""
    seen: dict[str, Registry] = {}
    for each in registries:
        if seen.setdefault(each.place, each) != each:
            raise ConfigError(f"{each.place} is described twice by registries and registry_mirror")


def _known(each: KnownRegistry, home: Path) -> Registry:
    return parse_registry(f"{each.scheme}://{each.host}", trust=_trust(each, home))


def _trust(each: KnownRegistry | RegistryMirror, home: Path) -> Trust:
    known = _authorities(each.certs, each.insecure, home)
    return attrs.evolve(known, client_cert=each.client_cert, client_key=each.client_key)


def _authorities(certs: Sequence[str], insecure: bool, home: Path) -> Trust:
    key = sha256("\0".join(certs).encode()).hexdigest()[:16]
    joined = joined_authorities(certs, home / f"authorities-{key}.pem")
    return Trust(cacerts=joined, insecure=insecure)
