"""Whether the supernode lives, what it is, what it counts; and errors of routing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragonfly.metrics import TEXT_TYPE
from tests.doubles.api import ApiLab


@pytest.fixture
def lab(tmp_path: Path) -> ApiLab:
    """A supernode's API."""
    return ApiLab(tmp_path)


def test_ping(lab: ApiLab) -> None:
    """Two bytes, as with v1: no newline, no JSON."""
    answer = lab.get("/_ping")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["content-length"] == "2"


def test_version(lab: ApiLab) -> None:
    """v1's names; what is empty is left out."""
    assert lab.json("/version") == {"Version": "1.2.3", "PythonVersion": "3.11", "OS": "linux"}


def test_health(lab: ApiLab) -> None:
    """200 while it can work, 503 while it cannot, and the same shape in both."""
    assert lab.get("/healthy").status == 200
    lab.health = {"ok": False, "peers": 0}
    answer = lab.get("/healthy")
    assert (answer.status, json.loads(answer.body)) == (503, {"ok": False, "peers": 0})


def test_metrics(lab: ApiLab) -> None:
    """Gauges are brought up to date first; requests are counted by route, not by path."""
    lab.get("/_ping")
    lab.get("/api/v1/peers/nobody")
    answer = lab.get("/metrics")
    assert answer.headers["content-type"] == TEXT_TYPE
    assert lab.looked == 1
    name = "dragonfly_supernode_http_requests_total"
    assert f'{name}{{code="200",handler="/_ping"}} 1.0' in answer.body.decode()
    assert f'{name}{{code="404",handler="/api/v1/peers/<peer>"}} 1.0' in answer.body.decode()


@pytest.mark.parametrize("path", ["/_ping", "/version", "/healthy", "/metrics", "/"])
def test_head(lab: ApiLab, path: str) -> None:
    """HEAD is answered wherever GET is, with the same headers and no body."""
    head, get = lab.call("HEAD", path).answer(), lab.get(path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_no_such_route(lab: ApiLab) -> None:
    """The error is JSON, as all errors are."""
    answer = lab.get("/nothing/here")
    assert answer.status == 404
    assert json.loads(answer.body)["code"] == 404


def test_no_such_method(lab: ApiLab) -> None:
    """405 names the methods that there are."""
    answer = lab.call("POST", "/_ping", body=b"").answer()
    assert (answer.status, json.loads(answer.body)["code"]) == (405, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("path", "right"), [("/api/v1", "/api/v1/"), ("/api//v1/bans", "/api/v1/bans")]
)
def test_almost_a_route(lab: ApiLab, path: str, right: str) -> None:
    """Another spelling is redirected to the right one."""
    answer = lab.get(path)
    assert answer.status == 308
    assert answer.headers["location"] == f"http://supernode:40001{right}"
