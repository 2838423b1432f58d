"""Tasks and peers for reading, as v1's clients expect them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import OriginRefused
from dragonfly.supernode.api.v1 import PAGE_MAX
from dragonfly.supernode.views import PeerView
from dragonfly.task.digest import Digest
from tests.doubles.api import TASK, ApiLab
from tests.doubles.cdn import PIECE, content_of

BODY = content_of(3 * PIECE + 1)


@pytest.fixture
def lab(tmp_path: Path) -> ApiLab:
    """A supernode's API, with an origin that delivers when it is told to."""
    return ApiLab(tmp_path, body=BODY, silent=True)


def view(number: int, **more: Any) -> PeerView:
    """A peer as it is shown."""
    values: dict[str, Any] = {
        "key": bytes([number]) * 32,
        "address": f"192.0.2.{number}",
        "port": 1000 + number,
        "hostname": f"host{number}",
        "version": "1",
        "created": f"2024-01-01T00:00:{number:02}.000Z",
    }
    return PeerView(**{**values, **more})


# -- tasks -----------------------------------------------------------------------------------


def test_task(lab: ApiLab) -> None:
    """From running to success, with the digest it was asked by; zero values are left out."""
    digest = Digest("md5", hashlib.md5(BODY, usedforsecurity=False).digest())
    content = lab.cdn.obtain(lab.cdn.wanted(digest=digest))
    path = f"/api/v1/tasks/{TASK.hex()}"
    running = {
        "ID": TASK.hex(),
        "cdnStatus": "RUNNING",
        "fileLength": len(BODY),
        "httpFileLength": len(BODY),
        "md5": digest.value.hex(),
        "pieceSize": PIECE,
        "pieceTotal": 4,
        "rawURL": "http://origin.example:80/f",
        "taskURL": "http://origin.example:80/f",
    }
    assert lab.json(path) == running
    lab.cdn.reader.give(len(BODY))
    lab.cdn.settle(content)
    assert lab.json(path) == {
        **running,
        "cdnStatus": "SUCCESS",
        "realMd5": digest.value.hex(),
    }


def test_failed_task(lab: ApiLab) -> None:
    """A fetch that failed says so."""
    lab.cdn.reader.errors = [OriginRefused("gone", 404)]
    lab.cdn.fetch()
    assert lab.json(f"/api/v1/tasks/{TASK.hex()}")["cdnStatus"] == "FAILED"


@pytest.mark.parametrize("name", ["00" * 32, "00" * 31, "xyz", "T" * 32, "%2e%2e"])
@pytest.mark.parametrize("kind", ["tasks", "peers"])
def test_unknown(lab: ApiLab, kind: str, name: str) -> None:
    """404, where v1 said 500."""
    answer = lab.get(f"/api/v1/{kind}/{name}")
    assert (answer.status, json.loads(answer.body)["code"]) == (404, 404)


# -- peers -----------------------------------------------------------------------------------


def test_peer(lab: ApiLab) -> None:
    """v1's names; what is empty is left out."""
    lab.tracker.peers = [view(1), view(2, hostname="", port=0)]
    assert lab.json(f"/api/v1/peers/{(bytes([1]) * 32).hex()}") == {
        "ID": (bytes([1]) * 32).hex(),
        "IP": "192.0.2.1",
        "created": "2024-01-01T00:00:01.000Z",
        "hostName": "host1",
        "port": 1001,
        "version": "1",
    }
    assert "hostName" not in lab.json(f"/api/v1/peers/{(bytes([2]) * 32).hex()}")


def ports(lab: ApiLab, query: str) -> list[int]:
    """The ports of the peers on a page, which tell them apart."""
    return [peer["port"] for peer in lab.json(f"/api/v1/peers?{query}")]


def test_pages(lab: ApiLab) -> None:
    """Pages follow each other without a gap, and end empty."""
    lab.tracker.peers = [view(number) for number in (3, 1, 2)]
    assert ports(lab, "pageNum=0&pageSize=2") == [1001, 1002]
    assert ports(lab, "pageNum=1&pageSize=2") == [1003]
    assert ports(lab, "pageNum=2&pageSize=2") == []


@pytest.mark.parametrize("key", ["created", "IP", "hostName", "port"])
def test_sorted(lab: ApiLab, key: str) -> None:
    """By each of the keys, both ways; equal ones stay apart."""
    lab.tracker.peers = [view(2), view(1), view(3)]
    query = f"pageNum=0&pageSize=10&sortKey={key}"
    assert ports(lab, query) == [1001, 1002, 1003]
    assert ports(lab, f"{query}&sortDirect=desc") == [1003, 1002, 1001]
    assert ports(lab, "pageNum=0&pageSize=10&sortKey=version") == [1001, 1002, 1003]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "pageNum"),
        ("pageNum=0", "pageSize"),
        ("pageNum=-1&pageSize=1", "pageNum"),
        ("pageNum=x&pageSize=1", "pageNum"),
        ("pageNum=%D9%A1&pageSize=1", "pageNum"),
        ("pageNum=0&pageSize=0", "pageSize"),
        (f"pageNum=0&pageSize={PAGE_MAX + 1}", "pageSize"),
        (f"pageNum={'9' * 5000}&pageSize=1", "pageNum"),
        ("pageNum=0&pageSize=1&sortKey=key", "sortKey"),
        ("pageNum=0&pageSize=1&sortDirect=up", "sortDirect"),
    ],
)
def test_wrong_queries(lab: ApiLab, query: str, named: str) -> None:
    """The error names the parameter that is wrong."""
    answer = lab.get(f"/api/v1/peers?{query}")
    assert answer.status == 400
    assert named in json.loads(answer.body)["message"]


def test_bans(lab: ApiLab) -> None:
    """Who is kept out, and why."""
    lab.tracker.bans = {b"\7" * 32: "wrong bytes"}
    assert lab.json("/api/v1/bans") == [{"ID": "07" * 32, "reason": "wrong bytes"}]


def test_listings(lab: ApiLab) -> None:
    """The lists of routes name those that there are, with variables in braces."""
    everything = lab.json("/")
    assert {"method": "POST", "path": "/swarm/v1/register"} in everything["api"]
    assert {"method": "GET", "path": "/cdn/{task}"} in everything["api"]
    below = lab.json("/api/v1/")
    assert (below["category"], below["prefix"]) == ("v1", "/api/v1")
    assert {"method": "GET", "path": "/api/v1/tasks/{task}"} in below["api"]
    assert all(route["path"].startswith("/api/v1/") for route in below["api"])
