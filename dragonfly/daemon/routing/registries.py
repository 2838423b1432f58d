"""The registries that are asked: those that the operator describes, and any other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import attrs

from dragonfly.daemon.routing.dockerhub import HUB_HOST, HUB_NAME, HUB_NAMES
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.errors import ConfigError
from dragonfly.net.blockedports import BLOCKED_PORTS
from dragonfly.net.trust import Trust

__all__ = ["Registries", "TrustedHosts", "canonical"]


@attrs.frozen
class TrustedHosts:
    """How far those are trusted whose ``host:port`` matches."""

    regx: re.Pattern[str]
    trust: Trust


class Registries:
    """Finds the registry that a request names.

    :param mirror: where no request names another.
    :param known: what the operator says of single ones; their scheme, and that of the mirror,
        counts where a request names a host only.
    :param trusted: further hosts, of which the first that matches counts.
    """

    def __init__(
        self,
        mirror: Registry,
        known: Iterable[Registry] = (),
        trusted: Iterable[TrustedHosts] = (),
    ) -> None:
        self.mirror = mirror
        self._described = {each.place: each for each in known}
        self._known = {mirror.place: mirror, **self._described}
        self._trusted = tuple(trusted)

    def named(self, text: str, *, local: bool) -> Registry:
        """The one called ``[http[s]://]host[:port]``; without a scheme it is the known one's,
        else https.

        :param local: whether it may be on this machine, if the operator did not name it.
        :raises ConfigError: it is not of that form.
        """
        if "://" in text:
            found = canonical(parse_registry(text))
            return self.at(found.scheme, found.host, found.port, local=local)
        if text.lower() in HUB_NAMES:
            return self._hub(local)
        known = _among(self._known, text)
        if known is not None:
            return known
        found = parse_registry(text)
        return self.at(found.scheme, found.host, found.port, local=local)

    def at(self, scheme: str, host: str, port: int, *, local: bool) -> Registry:
        """The one at an address."""
        found = Registry(scheme=scheme, host=host, port=port, local=local)
        known = self._known.get(found.place)
        if known is not None:
            return attrs.evolve(known, scheme=scheme)
        trust = self._matching(found.place)
        return found if trust is None else attrs.evolve(found, trust=trust)

    def trust_at(self, host: str, port: int) -> Trust | None:
        """How far the operator said that the one there is trusted; ``None``: not at all said."""
        found = Registry(scheme="https", host=host, port=port)
        known = self._known.get(found.place)
        return known.trust if known is not None else self._matching(found.place)

    def lists(self, text: str) -> bool:
        """Whether the operator has described the registry ``host[:port]`` besides the mirror's."""
        try:
            return _among(self._described, text) is not None
        except ConfigError:
            return False

    def describes(self, registry: Registry) -> bool:
        """Whether it is the operator who named that one."""
        return registry.place in self._known

    def check_port(self, registry: Registry) -> None:
        """Refuse what is no port for HTTP, unless the operator named it.

        :raises Misrouted: 403.
        """
        if registry.port in BLOCKED_PORTS and not self.describes(registry):
            raise Misrouted(403, f"port {registry.port} of {registry.host} is not for HTTP")

    def _matching(self, place: str) -> Trust | None:
        matching = (each.trust for each in self._trusted if each.regx.search(place))
        return next(matching, None)

    def _hub(self, local: bool) -> Registry:
        """Docker Hub: the mirror's if that is it, however the operator calls it."""
        if self.mirror.host in HUB_NAMES:
            return self.mirror
        return self.at("https", HUB_HOST, 443, local=local)


def _among(known: Mapping[str, Registry], text: str) -> Registry | None:
    """The one of them that ``host[:port]`` means."""
    meant = [parse_registry(f"{scheme}://{text}") for scheme in ("https", "http")]
    with_port = meant[0].port == meant[1].port
    for each in meant:
        found = known.get(each.place)
        if found is not None and (found.scheme == each.scheme or with_port):
            return found
    return None


def canonical(registry: Registry) -> Registry:
    """The registry itself, where only the name is given by which engines call Docker Hub."""
    if registry.host == HUB_NAME and registry.secure:
        return attrs.evolve(registry, host=HUB_HOST)
    return registry
