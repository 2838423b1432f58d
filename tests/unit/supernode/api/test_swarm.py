"""The calls of peers: only the holder of a key speaks for it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.python.failure import Failure

from dragonfly.control.codec import from_json, register_answer, to_json
from dragonfly.control.messages import (
    QUIET_FACTOR,
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    DirectAnswer,
    ErrorBody,
    LeaveRequest,
    Neighbour,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.control.signing import SIGNATURE_HEADER
from dragonfly.errors import (
    AddressRefused,
    ConfigError,
    DiskFull,
    DragonflyError,
    OriginChanged,
    OriginRefused,
    OriginUnreachable,
    TrackerBusy,
    TrackerError,
)
from dragonfly.signatures import SigningKey
from dragonfly.supernode.api.common import SQUEEZE_MOST
from dragonfly.supernode.api.swarm import CONNECTIONS_KEPT, KEEP_S
from tests.doubles.api import TASK, ApiLab

ANSWER = RegisterAnswer(
    task=TASK,
    fetch=7,
    piece_size=32768,
    grant=b"grant",
    grant_expires=2,
    now=1.5,
    keys=[b"k" * 32],
    announce_after=3.0,
    state="fetching",
)


@pytest.fixture
def lab(tmp_path: Path) -> ApiLab:
    """A supernode's API."""
    return ApiLab(tmp_path)


def registration(lab: ApiLab) -> RegisterRequest:
    """What a peer sends."""
    return RegisterRequest(
        url="http://origin.example/f",
        key=lab.peer.public,
        peer=Announced(port=65002),
        headers=[("Authorization", "Basic eA==")],
    )


def announcement(lab: ApiLab) -> AnnounceRequest:
    """What it sends later."""
    return AnnounceRequest(task=TASK, key=lab.peer.public, fetch=7, have_count=3)


def test_register(lab: ApiLab) -> None:
    """The message reaches the tracker as it was sent, with where it came from."""
    lab.tracker.answer = ANSWER
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert answer.status == 200
    assert register_answer(answer.body) == ANSWER
    ((message, caller),) = lab.tracker.calls
    assert message == registration(lab)
    assert caller is not None
    assert (caller.address, caller.reached, caller.secure) == ("192.0.2.2", "192.0.2.1", False)


def test_direct(lab: ApiLab) -> None:
    """What must not be shared is answered in the other form."""
    lab.tracker.answer = DirectAnswer(reason="private")
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert register_answer(answer.body) == DirectAnswer(reason="private")


def test_announce_and_leave(lab: ApiLab) -> None:
    """The same road for the other calls."""
    lab.tracker.answer = AnnounceAnswer(now=1.0, announce_after=2.0, state="ready")
    answer = lab.post("/swarm/v1/announce", announcement(lab))
    assert from_json(AnnounceAnswer, answer.body) == lab.tracker.answer
    goodbye = LeaveRequest(key=lab.peer.public)
    assert lab.post("/swarm/v1/leave", goodbye).body == b"{}\n"
    assert [message for message, _ in lab.tracker.calls] == [announcement(lab), goodbye]


NEIGHBOURS = [Neighbour(key=bytes([n]) * 32, address=f"192.0.2.{n}", port=65002) for n in range(9)]


@pytest.mark.parametrize("accepted", ["gzip", "br, GZip ,x"])
def test_long_answers_are_squeezed(lab: ApiLab, accepted: str) -> None:
    """They are less than half as long then."""
    lab.tracker.answer = attrs.evolve(ANSWER, neighbours=NEIGHBOURS)
    plain = lab.post("/swarm/v1/register", registration(lab))
    answer = lab.post("/swarm/v1/register", registration(lab), accept_encoding=accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(answer.body) < len(plain.body) / 2
    assert gzip.decompress(answer.body) == plain.body


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"neighbours": NEIGHBOURS}, "deflate, gzip;q=0"),
        ({"neighbours": NEIGHBOURS[:1]}, "gzip"),
        ({"grant": b"", "content": bytes(SQUEEZE_MOST)}, "gzip"),
    ],
)
def test_others_are_not(lab: ApiLab, changes: dict[str, Any], accepted: str) -> None:
    """For callers that do not take it, if little is saved, or if it takes long."""
    lab.tracker.answer = attrs.evolve(ANSWER, **changes)
    answer = lab.post("/swarm/v1/register", registration(lab), accept_encoding=accepted)
    assert "content-encoding" not in answer.headers
    assert register_answer(answer.body) == lab.tracker.answer


# -- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/swarm/v1/register", "/swarm/v1/announce", "/swarm/v1/leave"])
def test_only_signed(lab: ApiLab, path: str) -> None:
    """No call without a signature, and none for another's key; the tracker hears of neither."""
    messages = {
        "/swarm/v1/register": registration(lab),
        "/swarm/v1/announce": announcement(lab),
        "/swarm/v1/leave": LeaveRequest(key=lab.peer.public),
    }
    body = to_json(messages[path])
    assert lab.call("POST", path, body=body).answer().status == 401
    for wrong in ("", "zz", "00" * 64):
        headers = {SIGNATURE_HEADER: wrong}
        assert lab.call("POST", path, body=body, headers=headers).answer().status == 403
    lab.peer = SigningKey.from_bytes(b"\3" * 32)
    assert lab.post(path, messages[path]).status == 403
    assert lab.tracker.calls == []


def test_signed_for_another_call(lab: ApiLab) -> None:
    """A body that was signed for one call opens no other."""
    goodbye = LeaveRequest(key=lab.peer.public)
    answer = lab.post("/swarm/v1/leave", goodbye, signed_path="/swarm/v1/announce")
    assert answer.status == 403


def test_signed_below_a_version(lab: ApiLab) -> None:
    """What is signed is the path without the version before it."""
    goodbye = LeaveRequest(key=lab.peer.public)
    answer = lab.post("/v1.0/swarm/v1/leave", goodbye, signed_path="/swarm/v1/leave")
    assert answer.status == 200


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"key": 5}', b"{}"])
def test_malformed(lab: ApiLab, body: bytes) -> None:
    """A message that is none is the caller's error."""
    answer = lab.call("POST", "/swarm/v1/leave", body=body).answer()
    assert answer.status == 400
    error = from_json(ErrorBody, answer.body)
    assert error.code == 400
    assert error.message


@pytest.mark.parametrize(
    ("error", "status", "origin_status", "retryable"),
    [
        (ConfigError("URL 'x': it names no host"), 400, 0, False),
        (TrackerError("this peer is banned: wrong bytes", 403), 403, 0, False),
        (OriginRefused("the origin answered 401", 401), 403, 401, False),
        (OriginRefused("the origin answered 403", 403), 403, 403, False),
        (OriginRefused("the origin answered 404", 404), 404, 404, False),
        (OriginRefused("the origin answered 410", 410), 404, 410, False),
        (OriginRefused("the origin answered 503", 503), 502, 503, False),
        (OriginUnreachable("connection refused"), 502, 0, True),
        (OriginChanged("changed", 200), 502, 200, True),
        (AddressRefused("link-local"), 403, 0, False),
        (DiskFull("/x is full: 5 bytes wanted, 0 free"), 507, 0, False),
    ],
)
def test_errors(
    lab: ApiLab, error: DragonflyError, status: int, origin_status: int, retryable: bool
) -> None:
    """Each error has its status, the origin's beside it, and says if another try may help."""
    lab.tracker.error = error
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert answer.status == status
    assert from_json(ErrorBody, answer.body) == ErrorBody(
        code=status, message=str(error), origin_status=origin_status, retryable=retryable
    )


def test_bugs_are_not_shown(lab: ApiLab, no_silent_failures: list[Failure]) -> None:
    """A bug is logged with its traceback; the caller learns nothing of it."""
    lab.tracker.error = ZeroDivisionError("secret detail")
    answer = lab.post("/swarm/v1/announce", announcement(lab))
    assert (answer.status, json.loads(answer.body)["message"]) == (500, "internal error")
    assert [failure.type for failure in no_silent_failures] == [ZeroDivisionError]
    no_silent_failures.clear()


def test_whom_a_busy_supernode_sends_away(lab: ApiLab) -> None:
    """It is told when to come again, and the connection is not kept for that."""
    lab.tracker.error = TrackerBusy("too many", retry_after_s=7.2)
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert (answer.status, answer.headers["retry-after"]) == (503, "8")
    assert answer.headers["connection"] == "close"
    body = from_json(ErrorBody, answer.body)
    assert (body.retryable, body.retry_after) == (True, 7.2)


@pytest.mark.parametrize(("wait_s", "kept"), [(KEEP_S / QUIET_FACTOR, True), (KEEP_S / 2, False)])
def test_connections_are_kept_for_those_who_call_again_soon(
    lab: ApiLab, wait_s: float, kept: bool
) -> None:
    """The others would not use theirs again."""
    lab.tracker.answer = attrs.evolve(ANSWER, announce_after=wait_s)
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert ("connection" not in answer.headers) == kept
    lab.tracker.answer = AnnounceAnswer(now=0.0, announce_after=wait_s, state="ready")
    answer = lab.post("/swarm/v1/announce", announcement(lab))
    assert ("connection" not in answer.headers) == kept


@pytest.mark.parametrize(
    ("connections", "kept"), [(CONNECTIONS_KEPT, True), (CONNECTIONS_KEPT + 1, False)]
)
def test_who_got_a_small_content_keeps_its_connection_unless_there_is_a_crowd(
    lab: ApiLab, connections: int, kept: bool
) -> None:
    """It makes no announces, but may want the next content at once."""
    lab.connections = connections
    lab.tracker.answer = attrs.evolve(ANSWER, content=b"all of it", announce_after=120.0)
    answer = lab.post("/swarm/v1/register", registration(lab))
    assert ("connection" not in answer.headers) == kept
