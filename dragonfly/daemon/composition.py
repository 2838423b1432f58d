"""Composes a dfdaemon from its configuration; takes its home."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import attrs
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger

from dragonfly.config import DaemonConfig
from dragonfly.daemon.lifetime.keptaddresses import kept_addresses
from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.daemon.lifetime.takeover import DAEMON_ROLE, take_home
from dragonfly.daemon.membership import Membership
from dragonfly.daemon.place import Place
from dragonfly.daemon.routing.knownregistries import known_registries
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.service import DaemonService
from dragonfly.daemon.tls.serving import options_of_files
from dragonfly.daemon.tunnels.hijacking import authority_of
from dragonfly.errors import ConfigError
from dragonfly.net.proxies import Proxies
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.service import PeerService, make_peer
from dragonfly.peer.settings import PeerSettings

__all__ = ["KEEP_S", "SHARE_S", "make_daemon"]

KEEP_S = 7 * 24 * 3600.0
"""Layers are pulled again when a host is set up anew or an image updated, which is days
later; where the disk is short of space they leave earlier."""

SHARE_S = 3600.0
"""A task costs an announce now and then. Who pulls later than that gets the blob from the
supernode, or from a host that pulled it lately."""

_log = Logger("dragonfly.daemon")


def make_daemon(
    config: DaemonConfig,
    reactor: Any,
    *,
    rng: random.Random | None = None,
    proxies: Proxies | None = None,
    opened: Mapping[str, socket.socket] | None = None,
    takeover: bool = False,
) -> DaemonService:
    """Compose a dfdaemon; takes the home's lock, touches no port yet.

    A background peer of dfget that has the home is asked to leave, which may block for some
    seconds: this is called before the reactor runs.

    :param proxies: what registries are reached through; by default they are reached directly.
    :param opened: sockets that are listened on already, by their names in
        :data:`~dragonfly.daemon.ports.SOCKETS`:
        instead of those ports.
    :param takeover: take the place of the dfdaemon that has the home, if there is one; until
        the new one has started it goes on serving.
    :raises ConfigError: the registry or a proxy is this dfdaemon, or a file that the
        configuration names cannot be used.
    :raises HomeBusy: another dfdaemon has the home, or it was not given up.
    :raises HomeUnusable: the home cannot be used; the text says why.
    """
    proxies = proxies or Proxies()
    _refuse_loop(config, proxies)
    tls, authority = _tls(config), authority_of(config.hijack, reactor)
    registries = known_registries(config)
    runtime = _runtime(reactor, rng, proxies, registries)
    place = Place(config)
    make = partial(make_peer, _peer_settings(config, place), runtime)
    before = Predecessor.met(place.home) if takeover else None
    with ExitStack() as undo:
        if before is not None:
            undo.callback(before.close)
        opened = _opened(config, opened or {}, before)
        peer = _peer(place, partial(make, opened=opened.get("dfdaemon-peer")), before)
        undo.pop_all()
    return DaemonService(
        config,
        registries,
        runtime,
        place=place,
        membership=Membership(peer, make, place),
        tls=tls,
        authority=authority,
        opened=opened,
        before=before,
    )


def _runtime(
    reactor: Any, rng: random.Random | None, proxies: Proxies, registries: Registries
) -> Runtime:
    rng = rng or random.Random()  # noqa: S311 - it schedules
    # Of this process alone: two dfdaemons in a row are no loop.
    proxies = attrs.evolve(proxies, via=b"dfdaemon-%016x" % rng.getrandbits(64))
    return Runtime(
        reactor=reactor,
        rng=rng,
        log=Logger("dragonfly.peer"),
        proxies=proxies,
        trust_at=registries.trust_at,
    )


def _opened(
    config: DaemonConfig, opened: Mapping[str, socket.socket], before: Predecessor | None
) -> Mapping[str, socket.socket]:
    """With those that a predecessor hands over; says which of its addresses stay."""
    if before is None:
        return opened
    for kept in kept_addresses(config, before.sockets):
        _log.warn("{kept}", kept=kept)
    return {**before.sockets, **opened}


def _peer(place: Place, make: Callable[[], PeerService], before: Predecessor | None) -> PeerService:
    """The peer, once its directories are ours; a predecessor gives them up when it is asked."""

    def ours() -> PeerService:
        place.lock()
        try:
            return take_home(make, place.home, say=_say) if before is None else make()
        except BaseException:
            place.unlock()
            raise

    if before is None:
        return ours()
    return take_home(ours, place.home, say=_say, before=before)


def _refuse_loop(config: DaemonConfig, proxies: Proxies) -> None:
    """The mistakes that are easily made; others are found when a request comes around."""
    registry = parse_registry(config.registry.remote)
    if _is_here(config, registry.host, registry.port):
        raise ConfigError(f"registry {registry} is this dfdaemon itself: name the real one")
    for proxy in proxies.all:
        if _is_here(config, proxy.host, proxy.port):
            raise ConfigError(f"the environment's proxy {proxy} is this dfdaemon itself")


def _is_here(config: DaemonConfig, host: str, port: int) -> bool:
    here = ("localhost", "127.0.0.1", "::1", config.host_ip)
    return bool(config.port) and port == config.port and host in here


def _tls(config: DaemonConfig) -> CertificateOptions | None:
    if config.certpem is None or config.keypem is None:
        return None
    return options_of_files(config.certpem, config.keypem)


def _peer_settings(config: DaemonConfig, place: Place) -> PeerSettings:
    return PeerSettings(
        home=place.home,
        port=config.peer_port,
        address=config.peer_ip or "",
        expire_s=KEEP_S,
        share_s=SHARE_S,
        keep_free=True,
        store=place.store,
        total_limit=config.rate_limit,
        role=DAEMON_ROLE,
    )


def _say(text: str) -> None:
    _log.info("{text}", text=text)
