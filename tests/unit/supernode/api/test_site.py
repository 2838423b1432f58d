"""The HTTP server around the routes: bodies are bounded, nothing a stranger sends is a bug."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher

from dragonfly.supernode.api.site import BODY_MAX, IDLE_S, REQUEST_S, make_site
from tests.doubles.api import ApiLab
from tests.doubles.http import HttpCall


@pytest.fixture
def lab(tmp_path: Path) -> ApiLab:
    """A supernode's API."""
    return ApiLab(tmp_path)


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large(lab: ApiLab, chunked: bool) -> None:
    """A body that is too large is refused, however it is framed, and never held."""
    call = lab.call("POST", "/swarm/v1/leave", body=bytes(BODY_MAX + 1), chunked=chunked)
    answer = call.answer()
    assert answer.status == 413
    assert str(BODY_MAX) in json.loads(answer.body)["message"]
    assert lab.tracker.calls == []


@pytest.mark.parametrize("chunked", [False, True])
def test_large_enough(lab: ApiLab, chunked: bool) -> None:
    """One byte less is read, and judged by the route."""
    call = lab.call("POST", "/swarm/v1/leave", body=bytes(BODY_MAX), chunked=chunked)
    assert call.answer().status == 400


def test_far_too_large(lab: ApiLab) -> None:
    """Who goes on for ever is cut off."""
    call = lab.call("POST", "/swarm/v1/leave", body=bytes(10 * BODY_MAX))
    assert call.cut


@pytest.mark.parametrize("prefix", ["/v1", "/v1.0", "/v1.0.6"])
def test_versioned(lab: ApiLab, prefix: str) -> None:
    """Every path also exists under a version, as with v1."""
    assert lab.get(f"{prefix}/_ping").body == b"OK"
    assert lab.get(f"{prefix}/nothing").status == 404


@pytest.mark.parametrize("path", ["/vx/_ping", "/v1_ping", "/v1/v1/_ping"])
def test_not_a_version(lab: ApiLab, path: str) -> None:
    """What only looks like one is just another path."""
    assert lab.get(path).status == 404


@pytest.mark.parametrize("path", ["/%ff%fe", "/cdn/%80"])
def test_paths_that_are_no_text(lab: ApiLab, path: str) -> None:
    """A stranger's bytes are his error, not a traceback in our log."""
    answer = lab.get(path)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, 400)


@pytest.mark.parametrize("path", ["/a%2Fb", "/cdn/a:b+c", "/cdn/..%2f..%2fetc", "/%00"])
def test_odd_paths(lab: ApiLab, path: str) -> None:
    """Whatever characters a path has, it leads nowhere it should not."""
    assert lab.get(path).status in (401, 404)


def test_measured(lab: ApiLab) -> None:
    """Each request is counted once, with the bytes of both bodies."""
    lab.call("POST", "/swarm/v1/leave", body=b"12345")
    lab.get("/_ping")
    numbers = lab.numbers()
    name = "dragonfly_supernode_http"
    leave = 'handler="/swarm/v1/leave"'
    assert numbers[f'{name}_requests_total{{code="400",{leave}}}'] == 1
    assert numbers[f"{name}_request_size_bytes_sum{{{leave}}}"] == 5
    assert numbers[f'{name}_response_size_bytes_sum{{handler="/_ping"}}'] == 2
    assert numbers[f'{name}_request_duration_seconds_count{{handler="/_ping"}}'] == 1


@pytest.mark.parametrize("verbose", [False, True])
def test_requests_are_logged_when_that_is_wanted(lab: ApiLab, verbose: bool) -> None:
    """One line each, without the query; else none, however many come."""
    lines: list[str] = []
    site = make_site(lab.app.resource(), lab.cdn.metrics, lab.clock, verbose=verbose)

    def observe(event: Any) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        HttpCall(site, "GET", "/_ping?token=secret").answer()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert [line.partition(": ")[2] for line in lines] == ["GET /_ping answered 200"] * verbose


def test_idle_connections_are_closed(lab: ApiLab) -> None:
    """A connection that asks nothing more goes after a while."""
    call = lab.call("GET", "/_ping")
    assert not call.cut
    lab.clock.advance(IDLE_S + 1)
    call.pump()
    lab.clock.advance(16)
    assert call.cut


def test_a_request_that_never_ends_is_cut_off(lab: ApiLab) -> None:
    """A byte now and then keeps a connection from being idle, but not for ever."""
    call = lab.call("GET", "/_ping")
    call.client.write(b"GET /_ping HTTP/1.1\r\nHost: ")
    for seconds in (REQUEST_S / 2, REQUEST_S / 2 - 1):
        call.pump()
        lab.clock.advance(seconds)
        call.client.write(b"x")
    call.pump()
    assert not call.cut
    lab.clock.advance(1)
    assert call.cut


def test_a_request_that_came_in_time_is_not_cut_off(lab: ApiLab) -> None:
    """Nor is one whose client left."""
    slow = lab.call("GET", "/_ping")
    slow.client.write(b"POST /swarm/v1/leave HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    slow.pump()
    lab.clock.advance(REQUEST_S - 1)
    slow.client.write(b"}")
    slow.pump()
    lab.clock.advance(2)
    slow.pump()
    assert slow.received.count(b"HTTP/1.1") == 2
    assert not slow.cut
    gone = lab.call("GET", "/_ping")
    gone.client.write(b"GET /_ping HTTP/1.1\r\n")
    gone.pump()
    gone.hang_up()
    slow.hang_up()
    gone.pump()
    assert lab.clock.getDelayedCalls() == []
