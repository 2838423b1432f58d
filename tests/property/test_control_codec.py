"""Control messages come back as they were sent, and nothing else comes through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.control.codec import from_json, register_answer, to_json
from dragonfly.control.messages import (
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    Complaint,
    DirectAnswer,
    ErrorBody,
    Holding,
    LeaveRequest,
    Neighbour,
    Rates,
    RegisterAnswer,
    RegisterRequest,
    Validator,
)
from dragonfly.errors import BadControlMessage

text = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.binary(min_size=32, max_size=32)
raw = st.binary(max_size=40)
whole = st.integers(-(2**63), 2**64 - 1)
number = st.floats(allow_nan=False, allow_infinity=False)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Or nothing."""
    return st.none() | strategy


def listed(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A few of them."""
    return st.lists(strategy, max_size=3)


holdings = st.builds(Holding, task=ids, fetch=whole, piece_size=whole, count=whole, bits=raw)
peers = st.builds(
    Announced,
    port=whole,
    address=optional(text),
    hostname=text,
    version=text,
    idc=text,
    location=text,
)
neighbours = st.builds(Neighbour, key=ids, address=text, port=whole, seed=st.booleans())
errors = st.builds(
    ErrorBody, code=whole, message=text, origin_status=whole, retryable=st.booleans()
)
states = st.sampled_from(["fetching", "ready", "failed"])
messages = st.one_of(
    st.builds(
        RegisterRequest,
        url=text,
        key=ids,
        peer=peers,
        headers=listed(st.tuples(text, text)),
        filters=listed(text),
        identifier=text,
        digest=optional(text),
        callsystem=text,
        pattern=st.sampled_from(["p2p", "cdn"]),
        have=optional(holdings),
    ),
    st.builds(
        RegisterAnswer,
        task=ids,
        fetch=whole,
        piece_size=whole,
        grant=raw,
        grant_expires=whole,
        now=number,
        keys=listed(ids),
        announce_after=number,
        state=states,
        length=optional(whole),
        digest=optional(text),
        validator=st.builds(
            Validator, etag=optional(text), last_modified=optional(text), length=optional(whole)
        ),
        runs=listed(raw),
        neighbours=listed(neighbours),
        content_type=optional(text),
        down_limit=whole,
    ),
    st.builds(DirectAnswer, reason=text),
    st.builds(
        AnnounceRequest,
        task=ids,
        key=ids,
        fetch=whole,
        have_count=whole,
        complete=st.booleans(),
        holding=optional(holdings),
        rates=st.builds(
            Rates, down=number, up=number, from_cdn=whole, from_peers=whole, from_origin=whole
        ),
        dead=listed(ids),
        complaints=listed(st.builds(Complaint, key=ids, piece=whole, why=text)),
        starving=st.booleans(),
        neighbours=raw,
        expected_s=optional(number),
    ),
    st.builds(
        AnnounceAnswer,
        now=number,
        announce_after=number,
        state=states,
        grant=raw,
        grant_expires=whole,
        neighbours=listed(neighbours),
        drop=raw,
        ticket=number,
        error=optional(errors),
        known=st.booleans(),
    ),
    st.builds(LeaveRequest, key=ids, task=optional(ids)),
    errors,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=8,
)


@given(messages)
def test_round_trip(message: object) -> None:
    """Every message is one line that reads back as the same value."""
    data = to_json(message)
    assert data.count(b"\n") == 1
    assert from_json(type(message), data) == message
    if isinstance(message, (RegisterAnswer, DirectAnswer)):
        assert register_answer(data) == message


@given(messages, st.data())
def test_one_field_of_another_type(message: object, data: st.DataObject) -> None:
    """It is refused by our error, or what was read has the declared types still."""
    body = json.loads(to_json(message))
    field = data.draw(st.sampled_from(sorted(body)))
    body[field] = data.draw(anything)
    try:
        read = from_json(type(message), json.dumps(body).encode())
    except BadControlMessage:
        return
    assert from_json(type(message), to_json(read)) == read


@given(st.sampled_from([RegisterRequest, AnnounceRequest, LeaveRequest]), st.binary(max_size=80))
def test_any_bytes(kind: type, data: bytes) -> None:
    """Bytes from anybody are our error, whatever they are."""
    with pytest.raises(BadControlMessage):
        from_json(kind, data)


@given(anything)
def test_any_json(body: object) -> None:
    """Nor does JSON of any other shape do more."""
    data = json.dumps(body).encode()
    with pytest.raises(BadControlMessage) as caught:
        register_answer(data)
    str(caught.value).encode()
