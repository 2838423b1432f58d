"""The status port: four pages for programs, and no patience."""

from __future__ import annotations

import json

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from dragonfly.daemon.status import IDLE_S, REQUEST_S, make_status_site
from dragonfly.metrics import TEXT_TYPE, BuildInfo, DaemonMetrics
from tests.doubles.bounded_pipe import BoundedPipe, pump
from tests.doubles.http import HttpAnswer, HttpCall


class Lab:
    """The site, in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health: dict[str, object] = {"ok": True}
        self.looked = 0
        build = BuildInfo(version="1.2", os="linux")
        self.site = make_status_site(
            build=build,
            metrics=DaemonMetrics(build),
            health=lambda: self.health,
            before_metrics=self._look,
            clock=self.clock,
        )

    def _look(self) -> None:
        self.looked += 1

    def call(self, path: str, method: str = "GET", **how: object) -> HttpAnswer:
        """One request."""
        return HttpCall(self.site, method, path, **how).answer()  # type: ignore[arg-type]


@pytest.fixture
def lab() -> Lab:
    """One of them."""
    return Lab()


def test_ping_and_version(lab: Lab) -> None:
    """As the supernode answers them."""
    assert lab.call("/_ping").body == b"OK"
    assert json.loads(lab.call("/version").body) == {"Version": "1.2", "OS": "linux"}


def test_health(lab: Lab) -> None:
    """200 while it can work, 503 while it cannot, the same shape in both."""
    assert lab.call("/healthy").status == 200
    lab.health = {"ok": False, "tasks": 3}
    answer = lab.call("/healthy")
    assert (answer.status, json.loads(answer.body)) == (503, {"ok": False, "tasks": 3})
    assert answer.headers["cache-control"] == "no-store"


def test_metrics(lab: Lab) -> None:
    """Gauges are brought up to date first."""
    answer = lab.call("/metrics")
    assert answer.headers["content-type"] == TEXT_TYPE
    assert b"dragonfly_dfdaemon_build_info" in answer.body
    assert lab.looked == 1


def test_head(lab: Lab) -> None:
    """The length, and no body."""
    head, get = lab.call("/version", "HEAD"), lab.call("/version")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v2/", 404), ("/healthy/x", 404)])
def test_there_is_nothing_else(lab: Lab, path: str, status: int) -> None:
    """Least of all a registry."""
    assert lab.call(path).status == status


def test_nothing_can_be_changed(lab: Lab) -> None:
    """It only tells."""
    assert lab.call("/metrics", "DELETE").status == 405


def test_a_body_is_not_kept(lab: Lab) -> None:
    """It is read and dropped, as long as there is time."""
    assert lab.call("/_ping", body=b"x" * 200_000).body == b"OK"


def test_a_slow_request_is_cut_off(lab: Lab) -> None:
    """A byte now and then does not keep a connection for ever."""
    server, client = BoundedPipe.pair(high=1024, low=512)
    client.connect(Protocol())
    protocol = lab.site.buildProtocol(IPv4Address("TCP", "192.0.2.2", 1))
    assert protocol is not None
    server.connect(protocol)
    client.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n")
    pump(server, client)
    lab.clock.advance(REQUEST_S - 1)
    assert server.connected
    lab.clock.advance(2)
    assert not server.connected


def test_an_idle_connection_is_closed(lab: Lab) -> None:
    """Scrapers come back with another."""
    call = HttpCall(lab.site, "GET", "/_ping")
    assert not call.cut
    lab.clock.advance(IDLE_S + 1)
    assert call.cut
