"""The registries' client: which connection a request takes, how often, and until when."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.link import CLOSE_S
from dragonfly.errors import (
    AddressRefused,
    OriginError,
    OriginTimedOut,
    OriginTruncated,
    OriginUnreachable,
)
from dragonfly.net.proxies import Proxies
from dragonfly.net.trust import Trust
from tests.doubles.responding import FedBody
from tests.doubles.upstream import REGISTRY, Taker, UpstreamTestCase

LIMITS = UpstreamLimits()


class ConnectTests(UpstreamTestCase):
    """Getting there."""

    def test_refused(self) -> None:
        """Said with the registry's name."""
        self.registry.refuses = Refused()
        text = self.failed(self.ask(), OriginUnreachable)
        assert text == "http://registry.example: connection refused"

    def test_forbidden(self) -> None:
        """An address that we do not connect to is told as that."""
        self.registry.refuses = AddressRefused("no")
        assert self.failed(self.ask(), AddressRefused) == "no"

    def test_no_answer(self) -> None:
        """It is not tried for ever."""
        self.registry.silent = True
        asking = self.ask()
        self.clock.advance(LIMITS.dial_s)
        assert self.failed(asking, OriginTimedOut).endswith("no answer in 20 s")
        assert self.registry.cancelled == 1

    def test_cancelled(self) -> None:
        """On the way there, and while the answer is waited for."""
        self.registry.silent = True
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        assert self.registry.cancelled == 1
        self.registry.silent = False
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        assert self.visit(1).lost

    def test_handshake(self) -> None:
        """Over TLS nothing is sent before the certificate is believed."""
        secure = Registry(scheme="https", host="registry.example", port=443)
        asking = self.ask(registry=secure)
        assert self.visit(1).heard == b""
        self.clock.advance(LIMITS.dial_s)
        assert self.failed(asking, OriginTimedOut).endswith("no answer in 20 s")
        assert self.visit(1).lost
        asking = self.ask(registry=secure)
        link: Any = self.visit(2).theirs.protocol
        link.handshakeCompleted()
        assert self.visit(2).heard.startswith(b"GET ")
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

    def test_unsendable(self) -> None:
        """A request that is no HTTP opens no connection."""
        asking = self.ask(b"GET", None, (b"Host", b"twice"))
        assert "cannot be sent" in self.failed(asking, OriginError)
        assert self.registry.visits == []


class ReuseTests(UpstreamTestCase):
    """One connection for many requests, but never for a wrong one."""

    def once(self, *lines: bytes, method: bytes = b"GET") -> None:
        """A request with a whole answer."""
        asking = self.ask(method)
        self.registry.visit().answer(b"ok", *lines)
        exchange = self.successResultOf(asking)
        taker = Taker()
        exchange.deliver(taker)
        assert taker.ended

    def test_one_after_another(self) -> None:
        """The same connection."""
        for _ in range(3):
            self.once()
        assert self.visit(1).heard.count(b"GET /v2/ HTTP/1.1") == 3

    def test_at_the_same_time(self) -> None:
        """One each; all are kept."""
        first, second = self.ask(), self.ask()
        for visit, asking in zip(self.registry.visits, (first, second), strict=True):
            visit.answer()
            self.successResultOf(asking).let_go()
        self.ask()
        self.ask()
        self.visit(2)

    def test_other_registries(self) -> None:
        """Another port, scheme or trust is another registry."""
        self.once()
        others = (
            attrs.evolve(REGISTRY, port=81),
            attrs.evolve(REGISTRY, scheme="https"),
            attrs.evolve(REGISTRY, trust=Trust(insecure=True)),
        )
        for count, other in enumerate(others):
            self.ask(registry=other)
            self.visit(count + 2)

    def test_not_after_a_goodbye(self) -> None:
        """Connection: close is heeded."""
        self.once(b"Connection: close")
        self.visit(1).pump()
        assert self.visit(1).lost
        self.once()
        self.visit(2)

    def test_a_registry_that_keeps_a_closed_connection(self) -> None:
        """It is given a moment."""
        self.once()
        link: Any = self.visit(1).theirs.protocol
        self.visit(1).theirs.producer = object()  # a transport that cannot close now
        link.retire()
        assert self.visit(1).theirs.connected
        self.visit(1).theirs.producer = None
        self.clock.advance(CLOSE_S)
        assert self.visit(1).lost

    def test_not_after_more_than_the_answer(self) -> None:
        """Bytes beyond the end would pass for the next answer."""
        asking = self.ask(b"HEAD")
        self.visit(1).answer(b"a body")
        self.successResultOf(asking).let_go()
        self.visit(1).pump()
        assert self.visit(1).lost

    def test_not_after_late_bytes(self) -> None:
        """Nor those that come while it is idle."""
        self.once()
        self.visit(1).say(b"HTTP/1.1 200 OK\r\n\r\n")
        assert self.visit(1).lost
        self.once()
        self.visit(2)

    def test_not_for_ever(self) -> None:
        """An idle connection is closed before the registry does."""
        self.once()
        self.clock.advance(LIMITS.idle_s - 1)
        self.once()
        self.clock.advance(LIMITS.idle_s)
        self.visit(1).pump()
        assert self.visit(1).lost

    def test_not_for_others_after_a_login(self) -> None:
        """A login that may hold for the connection goes with it."""
        asking = self.ask(b"GET", None, (b"Authorization", b"Negotiate x"))
        self.visit(1).answer()
        self.successResultOf(asking).let_go()
        self.visit(1).pump()
        assert self.visit(1).lost

    def test_closed_while_idle(self) -> None:
        """It is not tried again."""
        self.once()
        self.visit(1).close()
        self.once()
        self.visit(2)

    def test_so_many_and_no_more(self) -> None:
        """The oldest of a registry goes."""
        asking = [self.ask() for _ in range(LIMITS.idle_links + 1)]
        for visit, each in zip(self.registry.visits, asking, strict=True):
            visit.answer()
            self.successResultOf(each).let_go()
            visit.pump()
        for visit in self.registry.visits:
            visit.pump()
        assert [visit.lost for visit in self.registry.visits] == [True] + [
            False
        ] * LIMITS.idle_links

    def test_so_many_in_all(self) -> None:
        """Many registries together have a limit too."""
        for port in range(1, LIMITS.idle_total + 2):
            asking = self.ask(registry=attrs.evolve(REGISTRY, port=port))
            self.registry.visit().answer()
            self.successResultOf(asking).let_go()
        for visit in self.registry.visits:
            visit.pump()
        assert [visit.lost for visit in self.registry.visits].count(True) == 1
        assert self.registry.visits[0].lost


class RepeatTests(UpstreamTestCase):
    """A connection that the registry gives up at the moment in which it is used."""

    def stale(self, method: bytes = b"GET", **more: Any) -> Deferred[Exchange]:
        """A request on a used connection, which the registry closes without a word."""
        asking = self.ask()
        self.visit(1).answer()
        self.successResultOf(asking).let_go()
        asking = self.ask(method, **more)
        self.visit(1).reset()
        return asking

    def test_repeated(self) -> None:
        """Once, on a new connection; nobody notices."""
        asking = self.stale()
        self.visit(2).answer(b"ok")
        assert self.body(self.successResultOf(asking)) == b"ok"

    def test_not_twice(self) -> None:
        """A registry that hangs up on new connections does not answer."""
        asking = self.stale()
        self.visit(2).reset()
        assert "lost before it answered" in self.failed(asking, OriginUnreachable)
        self.visit(2)

    def test_new_connections_too(self) -> None:
        """Where it is harmless, one attempt more may do."""
        asking = self.ask()
        self.visit(1).close()
        self.visit(2).answer()
        self.successResultOf(asking).let_go()

    def test_not_what_may_have_been_done(self) -> None:
        """A POST may have begun something."""
        self.failed(self.stale(b"POST"), OriginUnreachable)
        self.visit(1)

    def test_not_after_half_an_answer(self) -> None:
        """It did hear the request."""
        asking = self.ask()
        self.visit(1).say(b"HTTP/1.1 20")
        self.visit(1).reset()
        self.failed(asking, OriginUnreachable)
        self.visit(1)

    def test_not_with_a_body_that_began(self) -> None:
        """It is not here any more."""
        self.failed(self.stale(b"PUT", body=FedBody(3)), OriginUnreachable)
        self.visit(1)

    def test_a_body_that_did_not_begin(self) -> None:
        """It can still be sent."""
        body = FedBody(3)
        asking = self.stale(b"PUT", body=body, expects=True)
        self.visit(2).say(b"HTTP/1.1 100 Continue\r\n\r\n")
        body.feed(b"abc")
        body.end()
        self.visit(2).answer()
        self.successResultOf(asking).let_go()

    def test_what_cannot_be_repeated_takes_no_risk(self) -> None:
        """It gets a connection that was used a moment ago, or a new one."""
        asking = self.ask()
        self.visit(1).answer()
        self.successResultOf(asking).let_go()
        self.clock.advance(LIMITS.recent_s)
        asking = self.ask(b"POST")
        self.visit(1).answer()
        self.successResultOf(asking).let_go()
        self.clock.advance(LIMITS.recent_s + 1)
        self.ask(b"POST")
        self.visit(2)

    def test_not_after_silence(self) -> None:
        """Who did not answer in a minute will not in two."""
        asking = self.ask()
        self.clock.advance(LIMITS.answer_s)
        self.failed(asking, OriginUnreachable)
        self.visit(1)


class StopTests(UpstreamTestCase):
    """Stopping."""

    def test_stopping(self) -> None:
        """Idle connections are closed, busy ones are cut, and no new ones are made."""
        idle, busy = self.ask(), self.ask()
        self.registry.visits[0].answer()
        self.successResultOf(idle).let_go()
        closing = self.upstream.close()
        self.failed(busy, OriginUnreachable)
        for visit in self.registry.visits:
            visit.pump()
            assert visit.lost
        self.successResultOf(closing)
        assert "stopping" in self.failed(self.ask(), OriginUnreachable)

    def test_stopping_a_body(self) -> None:
        """It ends as one that was cut."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"), Taker()
        exchange.deliver(taker)
        self.upstream.close()
        assert isinstance(taker.error, OriginTruncated)

    def test_what_ends_after_the_stop(self) -> None:
        """Its connection is not kept."""
        self.registry.silent = True
        asking = self.ask()
        self.successResultOf(self.upstream.close())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)


class ProxyTests(UpstreamTestCase):
    """Plain http through a proxy; the tunnel of https is its endpoint's affair."""

    proxies = Proxies.of({"ALL_PROXY": "http://user:s3cret@proxy:3128", "NO_PROXY": "near.example"})
    login = b"Proxy-Authorization: Basic dXNlcjpzM2NyZXQ="

    def heard(self, registry: Registry) -> list[bytes]:
        """The head of a request, line by line."""
        count = len(self.registry.visits)
        asking = self.ask(registry=registry)
        visit = self.visit(count + 1)
        if registry.secure:
            link: Any = visit.theirs.protocol
            link.handshakeCompleted()
        visit.say(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.successResultOf(asking).let_go()
        return bytes(visit.heard).split(b"\r\n")

    def test_absolute_form(self) -> None:
        """With the login, and with the registry's Host."""
        lines = self.heard(REGISTRY)
        assert lines[:2] == [
            b"GET http://registry.example/v2/ HTTP/1.1",
            b"Host: registry.example",
        ]
        assert self.login in lines

    def test_who_does_not_get_it(self) -> None:
        """A registry that is asked directly, and one that the tunnel ends at."""
        for changes in ({"host": "near.example"}, {"scheme": "https"}):
            lines = self.heard(attrs.evolve(REGISTRY, **changes))
            assert lines[0] == b"GET /v2/ HTTP/1.1"
            assert self.login not in lines

    def test_connections_are_kept_apart(self) -> None:
        """One through the proxy serves the registry that it was opened for."""
        self.heard(REGISTRY)
        self.heard(attrs.evolve(REGISTRY, host="other.example"))
        assert len(self.registry.visits) == 2

    def test_its_login(self) -> None:
        """Is our affair: the client gets no challenge."""
        asking = self.ask()
        self.visit(1).say(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        text = self.failed(asking, OriginUnreachable)
        assert text == "http://registry.example: proxy proxy:3128 answered 407"
