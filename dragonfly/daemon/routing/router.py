"""Tells by its first line whom a request is for; pure.

A request comes in one of four forms: to a mirror (a path; the registry is named by a header, by
``?ns=``, by the path itself, or is the configured one), behind a prefix (``/x/https://host/path``),
to a forward proxy (an absolute URL), or inside a connection to its origin that was opened here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

import attrs

from dragonfly.daemon.http.messages import RequestHead, find
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.ownnames import OwnNames
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.daemon.routing.rules import Rules, matched_text
from dragonfly.daemon.routing.wishes import Wishes, wishes_of, without_wishes
from dragonfly.errors import ConfigError

__all__ = ["Router"]

# Many clients make one slash of two.
_PREFIXED = re.compile(
    rb"(/(?:[^/?]+/)?)(https?):/{1,2}([^/?#]+)([/?].*)?", re.IGNORECASE | re.DOTALL
)
_ABSOLUTE = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/?#]*)([/?].*)?", re.IGNORECASE | re.DOTALL)
_BY_PATH = re.compile(rb"/v2/([^/?]+)(/[^?]+(?:\?.*)?)", re.DOTALL)
# containers/image allows no colon there, and containerd's directories have the same form.
_PORT = re.compile(r"_([0-9]{1,5})_?$")
_SHARED = frozenset((b"GET", b"HEAD"))
_API = b"/v2/"


class Router:
    """Finds the way of each request.

    :param hosts_in_paths: whether ``/v2/host.with.dots/...`` names a registry that the operator
        did not describe: true where the mirror's own images have no such names, as Docker Hub's.
    :param own: the names under which a request may choose its target.
    """

    def __init__(
        self,
        registries: Registries,
        rules: Rules,
        *,
        hosts_in_paths: bool,
        own: OwnNames | None = None,
    ) -> None:
        self._own = own or OwnNames()
        self._registries = registries
        self._rules = rules
        self._hosts_in_paths = hosts_in_paths

    def route(self, head: RequestHead) -> Route:
        """Find it.

        :raises Misrouted: it is nothing that we do, or must not be done.
        """
        wishes = wishes_of(head.headers)
        head = attrs.evolve(head, headers=without_wishes(head.headers))
        local = head.local
        try:
            route = self._by_form(head, wishes, local)
            return self._by_rule(route)
        except ConfigError as error:
            raise Misrouted(400, str(error)) from None

    def repository(self, name: str, head: RequestHead) -> tuple[Registry, str]:
        """Where the repository is that *name* in a path leads to, and what it is called there.

        :raises Misrouted: it must not be asked.
        """
        target = b"/v2/%b/manifests/x" % name.encode("latin-1", "replace")
        try:
            registry, there, _ = self._by_path(target, head.local)
            if registry != self._registries.mirror:
                self._own.check_page(attrs.evolve(head, target=target))
            asking = Route(mode=Mode.MIRROR, registry=registry, head=_asking(head, there))
            registry = self._by_rule(asking).registry
        except ConfigError as error:
            raise Misrouted(400, str(error)) from None
        return registry, there[4:-12].decode("latin-1") if name else ""

    def describes(self, registry: Registry) -> bool:
        """Whether it is the operator who named that one."""
        return self._registries.describes(registry)

    def origin(self, url: str, head: RequestHead) -> Registry:
        """The origin of an absolute URL that a registry named for a client.

        :raises Misrouted: it must not be asked.
        """
        parts = _ABSOLUTE.fullmatch(url.encode("latin-1", "replace"))
        if parts is None:
            raise Misrouted(502, "the registry's realm for tokens is no URL")
        try:
            route = self._absolute(Mode.PROXY, head, parts.groups(), head.local)
        except (ConfigError, Misrouted) as error:
            raise Misrouted(502, f"the registry's realm for tokens: {error}") from None
        self._registries.check_port(route.registry)
        return route.registry

    # -- the form -------------------------------------------------------------------------

    def _by_form(self, head: RequestHead, wishes: Wishes, local: bool) -> Route:
        if head.target == b"*":
            raise Misrouted(501, "OPTIONS for the server as a whole is not supported")
        if head.tunnel:
            return self._opened(head, wishes, local)
        prefixed = _PREFIXED.fullmatch(head.target)
        if prefixed is not None:
            self._own.check(head)
            route = self._absolute(Mode.PREFIX, head, prefixed.groups()[1:], local)
            return attrs.evolve(route, wishes=wishes, prefix=prefixed[1])
        if head.target.startswith(b"/"):
            return self._mirrored(head, wishes, local)
        absolute = _ABSOLUTE.fullmatch(head.target)
        if absolute is None:
            raise Misrouted(400, "the request target is neither a path nor an absolute URL")
        return attrs.evolve(
            self._absolute(Mode.PROXY, head, absolute.groups(), local), wishes=wishes
        )

    def _absolute(
        self, mode: Mode, head: RequestHead, parts: Sequence[bytes | None], local: bool
    ) -> Route:
        scheme, netloc, rest = (part or b"" for part in parts)
        if scheme.lower() not in (b"http", b"https"):
            shown = scheme.decode("ascii", "replace")
            raise Misrouted(400, f"URLs of the scheme {shown} are not fetched: http and https are")
        named = parse_registry(f"{scheme.lower().decode()}://{_text(netloc)}")
        registry = self._registries.at(named.scheme, named.host, named.port, local=local)
        return Route(mode=mode, registry=registry, head=_asking(head, rest))

    def _opened(self, head: RequestHead, wishes: Wishes, local: bool) -> Route:
        named = parse_registry(f"https://{head.tunnel}")
        target, host = head.target, find(head.headers, b"host")
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            host, target = absolute[2], absolute[3] or b"/"
        if host is not None and _place(host) != named.place:
            shown = _text(host)
            raise Misrouted(421, f"this connection is to {head.tunnel}, the request is for {shown}")
        registry = self._registries.at("https", named.host, named.port, local=local)
        asking = _asking(head, target)
        return Route(mode=Mode.INTERCEPT, registry=registry, head=asking, wishes=wishes)

    # -- the mirror -----------------------------------------------------------------------

    def _mirrored(self, head: RequestHead, wishes: Wishes, local: bool) -> Route:
        target, ns = _without_ns(head.target)
        if wishes.registry:
            ns = quote(wishes.registry, safe="").encode("ascii")
        prefix = b""
        if ns:
            registry = self._registries.named(unquote(ns.decode("latin-1")), local=local)
        else:
            registry, target, prefix = self._by_path(target, local)
        if registry != self._registries.mirror:
            self._own.check_page(head)
        asking = _asking(head, target)
        return Route(
            mode=Mode.MIRROR,
            registry=registry,
            head=asking,
            wishes=wishes,
            prefix=prefix,
            ns=ns,
        )

    def _by_path(self, target: bytes, local: bool) -> tuple[Registry, bytes, bytes]:
        """Engines of the containers/image family can put the registry into the path only."""
        found = _BY_PATH.fullmatch(target)
        if found is not None and b"/" in found[2][1:]:
            said = unquote(found[1].decode("latin-1"))
            host = said if self._registries.lists(said) else _PORT.sub(r":\1", said)
            if ":" in said or self._is_host(host):  # names of repositories have no colons
                registry = self._registries.named(host, local=local)
                return registry, b"/v2" + found[2], b"/v2/%b/" % found[1]
        return self._registries.mirror, target, _API

    def _is_host(self, text: str) -> bool:
        if self._registries.lists(text):
            return True
        return self._hosts_in_paths and "." in text.strip(".")

    # -- the rule -------------------------------------------------------------------------

    def _by_rule(self, route: Route) -> Route:
        registry, target = route.registry, route.head.target
        self._registries.check_port(registry)
        rule = self._rules.first(matched_text(registry.scheme, registry.netloc, target))
        shared = route.head.method in _SHARED
        if rule is not None:
            registry = self._sent_to(registry, rule.redirect, rule.use_https)
        swarm = (rule is not None and not rule.direct) or route.wishes.use_p2p
        return attrs.evolve(route, registry=registry, named=route.registry, swarm=swarm and shared)

    def _sent_to(self, registry: Registry, redirect: str, use_https: bool) -> Registry:
        if redirect:  # the operator's own words
            text = redirect if "://" in redirect else f"{registry.scheme}://{redirect}"
            there = parse_registry(text)
            registry = self._registries.at(there.scheme, there.host, there.port, local=True)
        if use_https and not registry.secure:
            port = 443 if registry.port == 80 else registry.port
            registry = self._registries.at("https", registry.host, port, local=registry.local)
        return registry


def _asking(head: RequestHead, target: bytes) -> RequestHead:
    target = target if target.startswith(b"/") else b"/" + target
    return attrs.evolve(head, target=target.partition(b"#")[0])


def _without_ns(target: bytes) -> tuple[bytes, bytes]:
    """Take containerd's name of the registry out of the query."""
    path, _, query = target.partition(b"?")
    parts = query.split(b"&") if query else []
    named = [part for part in parts if part.startswith(b"ns=")]
    if not named:
        return target, b""
    kept = b"&".join(part for part in parts if part not in named)
    return path + (b"?" + kept if kept else b""), named[-1][3:]


def _place(host: bytes) -> str:
    return parse_registry(f"https://{_text(host)}").place


def _text(value: bytes) -> str:
    return value.decode("latin-1")
