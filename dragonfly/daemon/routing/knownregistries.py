"""The registries of a configuration, with whom to believe for each."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from dragonfly.config import DaemonConfig, KnownRegistry, RegistryMirror
from dragonfly.daemon.routing.registries import Registries, TrustedHosts, canonical
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.errors import ConfigError
from dragonfly.net.pem import PemFile
from dragonfly.net.trust import Trust

__all__ = ["known_registries"]


def known_registries(config: DaemonConfig) -> Registries:
    """Give all registries of ``config``; their certificates are read.

    :raises ConfigError: one is malformed, or a file of authorities cannot be used.
    """
    mirror = canonical(parse_registry(config.registry.remote, trust=_trust(config.registry)))
    known = [_known(each) for each in config.registries]
    _refuse_twice([mirror, *known])
    hosts = config.hijack.hosts if config.hijack is not None else ()
    return Registries(
        mirror,
        known,
        [
            TrustedHosts(re.compile(each.regx), _authorities(each.certs, each.insecure))
            for each in hosts
        ],
    )


def _refuse_twice(registries: Sequence[Registry]) -> None:
    """Two different descriptions of one place: nobody could say which counts."""
    seen: dict[str, Registry] = {}
    for each in registries:
        if seen.setdefault(each.place, each) != each:
            raise ConfigError(f"{each.place} is described twice by registries and registry_mirror")


def _known(each: KnownRegistry) -> Registry:
    return parse_registry(f"{each.scheme}://{each.host}", trust=_trust(each))


def _trust(each: KnownRegistry | RegistryMirror) -> Trust:
    known = _authorities(each.certs, each.insecure)
    return attrs.evolve(known, client_cert=each.client_cert, client_key=each.client_key)


def _authorities(certs: Sequence[str], insecure: bool) -> Trust:
    for path in certs:
        PemFile("certs", path).certificates()  # a mistake is told at the start
    return Trust(cacerts=tuple(certs), insecure=insecure)
