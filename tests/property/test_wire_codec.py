"""What is encoded decodes to the same, whatever its values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import RemoteProtocolError
from dragonfly.wire.codec import decode, decode_data, encode
from dragonfly.wire.constants import BYE_TEXT_BYTES, FRAME_LIMITS, HEADER_BYTES, Kind
from dragonfly.wire.framing import FrameReader
from dragonfly.wire.messages import (
    KINDS,
    Bye,
    Data,
    Message,
)
from tests.doubles.wire import frames_of, heads, messages


@given(messages)
def test_round_trip(message: Message) -> None:
    """A message is its bytes."""
    ((kind, payload),) = frames_of(encode(message))
    assert kind == KINDS[type(message)]
    assert decode(Kind(kind), payload) == message


@given(heads)
def test_round_trip_of_heads(head: Data) -> None:
    """The head of a DATA is all of the frame but the slice."""
    raw = encode(head)
    length = int.from_bytes(raw[:4], "big")
    assert length == len(raw) - HEADER_BYTES + head.length
    assert decode_data(raw[HEADER_BYTES:], length) == head


@given(st.text())
def test_any_text_makes_a_bye_that_is_accepted(text: str) -> None:
    """Texts come from exceptions; none of them may break the goodbye."""
    ((_, payload),) = frames_of(encode(Bye(5, text)))
    assert len(payload) <= 2 + BYE_TEXT_BYTES
    heard = decode(Kind.BYE, payload)
    assert isinstance(heard, Bye)
    assert heard.text.isprintable()


@given(st.sampled_from(sorted(set(Kind) - {Kind.DATA})), st.data())
def test_payloads_decode_or_are_refused(kind: Kind, data: st.DataObject) -> None:
    """Any bytes of an allowed size: a message that encodes to them, or the one error."""
    least, most = FRAME_LIMITS[kind]
    payload = data.draw(st.binary(min_size=least, max_size=min(most, least + 64)))
    try:
        message = decode(kind, payload)
    except RemoteProtocolError:
        return
    if kind not in (Kind.HELLO, Kind.BYE):  # bytes behind a newer HELLO, unprintable texts
        assert encode(message)[HEADER_BYTES:] == payload


@given(st.lists(messages, max_size=8), st.integers(1, 700))
def test_frames_survive_any_cut(sent: list[Message], size: int) -> None:
    """The reader gives the same frames for every size of reads."""
    stream = b"".join(map(encode, sent))
    reader = FrameReader()
    items = [
        item for at in range(0, len(stream), size) for item in reader.feed(stream[at : at + size])
    ]
    assert items == list(FrameReader().feed(stream))
    assert len(items) == len(sent)
