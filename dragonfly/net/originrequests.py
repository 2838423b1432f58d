"""Requests to origins, with the redirects that they lead to.

A bare Agent, because treq decodes what it receives: digests, ranges and lengths
are about the bytes that were stored at the origin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, gatherResults
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

import dragonfly
from dragonfly.errors import AddressRefused, ConfigError, OriginUnreachable, OriginUntrusted
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.agents import Agents, Use
from dragonfly.net.deadline import deadline
from dragonfly.net.doubts import DOUBTS_MAX
from dragonfly.net.drain import discard
from dragonfly.net.endpoints import CheckedEndpoints
from dragonfly.net.origintrusts import Trusts, WayTrusts
from dragonfly.net.proxies import Proxies
from dragonfly.net.reasons import cause, innermost, untrusted
from dragonfly.net.redirects import REDIRECTS, Walk
from dragonfly.net.reply import read_headers
from dragonfly.net.trust import Trust
from dragonfly.net.urls import Target
from dragonfly.store.lately import Lately

__all__ = ["HEAD_S", "READER", "KnownMute", "OriginRequests", "Pairs"]

READER = "dragonfly"
"""The name in ``Via`` of whoever reads origins for a swarm.  A proxy is told it: one that is a
dfdaemon would else look for the content in the very swarm that waits for this reader."""

HEAD_S = 10.0
"""Some servers never answer a HEAD; a GET is tried while the caller still waits."""

MUTE_S = 600.0
"""So long an origin that did that is asked by GET; who asks for its other URLs does not wait
again."""

USER_AGENT = f"dragonfly/{dragonfly.__version__}"
# Requests to one origin that wait for their headers at the same time.  Agents
# open a connection for each request without limit; this is the limit.
MAX_WAITING = 16

Pairs = Iterable[tuple[str, str]]


class KnownMute(OriginUnreachable):
    """The origin leaves HEADs unanswered: others found that out while this one waited for its
    turn."""


class OriginRequests:
    """Puts them, and follows redirects; the parameters are those of
    :class:`~dragonfly.net.origin.OriginClient`.

    :ivar mute: origins that left a HEAD unanswered, or had it end at one that did.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: FetchPolicy,
        trust: Trust | Trusts,
        proxies: Proxies | None,
        connect_s: float,
        answer_s: float,
    ) -> None:
        self._reactor = reactor
        self._answer_s = answer_s
        self._policy = policy
        self._proxies = proxies
        self._connect_s = connect_s
        self._trusts: Trusts = WayTrusts(trust) if isinstance(trust, Trust) else trust
        # Apart by trust: what was believed here, or was shown our certificate, is not for
        # requests that believe less.  No more than there are places that something is said of.
        self._agents: dict[Trust, Agents] = {}
        for each in self._trusts.certain:
            self._agents_for(each)
        self._turns: WeakValueDictionary[tuple[str, str, int], DeferredSemaphore]
        self._turns = WeakValueDictionary()
        self.mute: Lately[tuple[str, str, int]] = Lately(reactor.seconds, MUTE_S, DOUBTS_MAX)

    async def ask(
        self,
        method: bytes,
        url: str,
        headers: Pairs,
        extra: Pairs = (),
        *,
        follow: bool = True,
        use: Use = Use.SINGLE,
        brisk: bool = False,
    ) -> tuple[IResponse, Walk]:
        """Return the answer, its body not yet flowing, and the way there.

        :param extra: headers that go to whatever it redirects to as well.
        :param follow: with ``False`` a redirect is an answer too.
        :param brisk: in no more than :data:`HEAD_S`.
        :raises OriginUnreachable: there is none; :class:`KnownMute`: no HEAD is sent.
        :raises OriginUntrusted: because of its certificate.
        :raises AddressRefused: its address must not be asked.
        :raises ConfigError: the URL or a header is malformed.

        Cancelling closes the connection.
        """
        walk = Walk(url, headers)
        while True:
            response = await self._send(method, walk, extra, use, brisk)
            if response.code not in REDIRECTS or not follow:
                return response, walk
            location = response.headers.getRawHeaders(b"location", [b""])[-1]
            walk.passed += read_headers(response)
            discard(response, self._reactor)
            walk.follow(response.code, location.decode("utf-8", "replace"))

    def close(self) -> Deferred[None]:
        """Close the idle connections; fires when they are gone."""
        closing = [agents.close() for agents in self._agents.values()]
        done: Deferred[None] = gatherResults(closing).addCallback(lambda _: None)
        return done

    async def _send(
        self, method: bytes, walk: Walk, extra: Pairs, use: Use, brisk: bool
    ) -> IResponse:
        agents = self._agents_for(self._trusts.at(walk.home, walk.target))
        use = use if walk.anonymous else Use.SINGLE
        url = walk.target.url.encode("ascii")
        headers = _to_headers((*walk.headers, *extra, *self._told_proxies(walk.target)))
        turn = self._turns.setdefault(walk.target.origin, DeferredSemaphore(MAX_WAITING))
        async with turn:
            if method == b"HEAD" and walk.home.origin in self.mute:
                raise KnownMute(f"{walk.home.netloc}: it leaves HEADs unanswered")
            limit_s = min(HEAD_S, self._answer_s) if brisk else self._answer_s
            until = self._reactor.seconds() + limit_s
            sent = deadline(agents.request(use, method, url, headers), limit_s, self._reactor)
            try:
                return await sent.addErrback(_unreachable, walk)
            except OriginUnreachable:
                if method == b"HEAD" and self._reactor.seconds() >= until:
                    self.mute.add(walk.home.origin)  # before the next one's turn
                raise

    def _told_proxies(self, target: Target) -> Pairs:
        proxies = self._proxies or Proxies()
        proxy = proxies.proxy_for(target.scheme, target.host, target.port)
        return () if proxy is None else (("Via", f"1.1 {READER}"),)

    def _agents_for(self, trust: Trust) -> Agents:
        found = self._agents.get(trust)
        if found is None:
            endpoints = CheckedEndpoints(
                self._reactor,
                policy=self._policy,
                trust=trust.policy(),
                timeout_s=self._connect_s,
                proxies=self._proxies,
            )
            found = Agents(self._reactor, endpoints, idle=MAX_WAITING, proxies=self._proxies)
            self._agents[trust] = found
        return found


def _to_headers(pairs: Pairs) -> Headers:
    headers = Headers({"Accept-Encoding": ["identity"]})
    try:
        for name, value in pairs:
            headers.addRawHeader(name, value)
    except ValueError:
        raise ConfigError("a request header has a malformed name") from None
    for name, value in (("User-Agent", USER_AGENT), ("Accept", "*/*")):
        if not headers.hasHeader(name):
            headers.addRawHeader(name, value)
    return headers


def _unreachable(failure: Failure, walk: Walk) -> NoReturn:
    """Turn whatever kept a request from being answered into an error of ours."""
    failed = innermost(failure)
    if failure.check(CancelledError):
        failure.raiseException()
    if isinstance(failed, AddressRefused):
        raise failed
    kind = OriginUntrusted if untrusted(failure) else OriginUnreachable
    raise kind(f"{walk.target.netloc}: {cause(failure)}") from None
