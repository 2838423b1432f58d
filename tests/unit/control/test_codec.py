"""Control messages as JSON: what is read, what is refused, and what the text names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragonfly.control.codec import MESSAGE_LIMIT, from_json, register_answer, to_json
from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    DirectAnswer,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import BadControlMessage

KEY = "ab" * 32
REGISTER: dict[str, Any] = {"url": "http://host/f", "key": KEY, "peer": {"port": 1}}
ANSWER: dict[str, Any] = {
    "task": KEY,
    "fetch": 1,
    "piece_size": 32768,
    "grant": "AAEC",
    "grant_expires": 5,
    "now": 1,
    "keys": [KEY],
    "announce_after": 2.5,
    "state": "ready",
}


def encode(body: object) -> bytes:
    """As any client's JSON library would."""
    return json.dumps(body).encode()


def test_a_small_request() -> None:
    """What may be left out has its default."""
    read = from_json(RegisterRequest, encode(REGISTER))
    assert read.key == bytes.fromhex(KEY)
    assert read.peer.port == 1
    assert (read.headers, read.filters, read.have, read.pattern) == ([], [], None, "p2p")


def test_unknown_fields() -> None:
    """Newer peers may say more than this supernode understands."""
    read = from_json(
        RegisterRequest, encode({**REGISTER, "colour": "red", "peer": {"port": 2, "x": 1}})
    )
    assert read.peer.port == 2


def test_one_line() -> None:
    """A message is one line of compact JSON: lines can be logged and framed."""
    data = to_json(from_json(RegisterRequest, encode({**REGISTER, "identifier": "a\nb"})))
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1
    assert b": " not in data


def test_bytes_in_json() -> None:
    """Ids and keys are hexadecimal, long fields base64."""
    sent = json.loads(to_json(from_json(RegisterAnswer, encode({**ANSWER, "runs": ["AAE="]}))))
    assert sent["task"] == KEY
    assert sent["keys"] == [KEY]
    assert sent["grant"] == "AAEC"
    assert sent["runs"] == ["AAE="]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": 5}, "message.url"),
        ({"url": None}, "message.url"),
        ({"url": "\ud800"}, "message.url"),
        ({"key": "ab"}, "message.key"),
        ({"key": "zz" * 32}, "message.key"),
        ({"key": "ab " * 32}, "message.key"),
        ({"key": "a b" * 32}, "message.key"),
        ({"key": 7}, "message.key"),
        ({"peer": None}, "message.peer"),
        ({"peer": {}}, "message.peer.port"),
        ({"peer": {"port": "1"}}, "message.peer.port"),
        ({"peer": {"port": True}}, "message.peer.port"),
        ({"peer": {"port": 1.0}}, "message.peer.port"),
        ({"peer": {"port": 2**64}}, "message.peer.port"),
        ({"headers": "ab"}, "message.headers"),
        ({"headers": ["ab"]}, "message.headers"),
        ({"headers": {"a": "b"}}, "message.headers"),
        ({"headers": [["a"]]}, "message.headers"),
        ({"headers": [["a", "b", "c"]]}, "message.headers"),
        ({"headers": [["a", 1]]}, "message.headers"),
        ({"filters": "abc"}, "message.filters"),
        ({"filters": {"a": 1}}, "message.filters"),
        ({"filters": [None]}, "message.filters"),
        ({"pattern": "ftp"}, "message.pattern"),
        ({"have": []}, "message.have"),
        ({"have": {"task": KEY}}, "message.have"),
    ],
)
def test_wrong_fields(changes: dict[str, Any], field: str) -> None:
    """A field of another type is named; nothing is converted on a guess."""
    with pytest.raises(BadControlMessage, match=field) as caught:
        from_json(RegisterRequest, encode({**REGISTER, **changes}))
    assert "http://host/f" not in str(caught.value)


@pytest.mark.parametrize("missing", REGISTER)
def test_missing_fields(missing: str) -> None:
    """What is needed and not there is named."""
    body = {name: value for name, value in REGISTER.items() if name != missing}
    with pytest.raises(BadControlMessage, match=missing):
        from_json(RegisterRequest, encode(body))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"grant": "A"}, "message.grant"),
        ({"grant": "A AE="}, "message.grant"),
        ({"grant": "ä"}, "message.grant"),
        ({"runs": "AAE="}, "message.runs"),
        ({"runs": [1]}, "message.runs"),
        ({"state": "done"}, "message.state"),
        ({"now": "1"}, "message.now"),
        ({"now": False}, "message.now"),
        ({"now": 10**400}, "message.now"),
        ({"announce_after": float("nan")}, "message.announce_after"),
        ({"announce_after": float("inf")}, "message.announce_after"),
        ({"validator": {"length": "5"}}, "message.validator.length"),
    ],
)
def test_wrong_answers(changes: dict[str, Any], field: str) -> None:
    """A peer believes a supernode's answer no more than the supernode a request."""
    with pytest.raises(BadControlMessage, match=field):
        from_json(RegisterAnswer, encode({**ANSWER, **changes}))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff{}", b"[" * 100_000, b"9" * 5000, b'{"a":' * 50_000],
    ids=["empty", "half", "no-utf8", "deep", "long-number", "deep-objects"],
)
def test_not_json(data: bytes) -> None:
    """Anything that is not JSON is told so, however it fails."""
    with pytest.raises(BadControlMessage, match="not JSON"):
        from_json(RegisterRequest, data)


@pytest.mark.parametrize("body", [[], "x", 5, None, True])
def test_not_an_object(body: object) -> None:
    """A message is an object."""
    with pytest.raises(BadControlMessage, match="a message is an object"):
        from_json(RegisterRequest, encode(body))


def test_too_long() -> None:
    """It is not even parsed; both numbers are named."""
    with pytest.raises(BadControlMessage, match=f"{MESSAGE_LIMIT + 1} bytes, at most"):
        from_json(RegisterRequest, b" " * (MESSAGE_LIMIT + 1))
    with pytest.raises(BadControlMessage, match="11 bytes, at most 10"):
        from_json(RegisterRequest, b" " * 11, limit=10)


def test_both_answers_to_a_registration() -> None:
    """Either the task, or the advice to fetch it oneself."""
    assert isinstance(register_answer(encode(ANSWER)), RegisterAnswer)
    direct = register_answer(encode({"direct": True, "reason": "private"}))
    assert direct == DirectAnswer(reason="private")
    with pytest.raises(BadControlMessage, match="DirectAnswer"):
        register_answer(encode({"direct": True}))
    with pytest.raises(BadControlMessage, match="a message is an object"):
        register_answer(b"[]")


def test_announces() -> None:
    """Empty lists, missing holdings and an error inside an answer come through."""
    asked = AnnounceRequest(task=b"t" * 32, key=b"k" * 32, fetch=1, have_count=0)
    assert from_json(AnnounceRequest, to_json(asked)) == asked
    body = {
        "now": 1,
        "announce_after": 1,
        "state": "failed",
        "error": {"code": 404, "message": "no"},
    }
    answer = from_json(AnnounceAnswer, encode(body))
    assert answer.error is not None
    assert answer.error.code == 404
    assert answer.grant == b""
    assert from_json(AnnounceAnswer, to_json(answer)) == answer
