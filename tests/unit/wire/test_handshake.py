"""Who gets in, who does not, and what an attacker can do with what he has seen."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.errors import BadMessage, ErrorCode, LocalProtocolError, RemoteProtocolError
from dragonfly.signatures import SigningKey, verify
from dragonfly.task.digest import piece_digest
from dragonfly.wire.codec import decode_hello, encode
from dragonfly.wire.constants import AUTH_CONTEXT, Kind
from dragonfly.wire.events import Opened
from dragonfly.wire.fake import FakeGate, SessionPair, make_nonce, make_offer
from dragonfly.wire.handshake import Handshake
from dragonfly.wire.messages import Bye, Hello, Offer
from dragonfly.wire.session import PeerSession, Role, State
from tests.doubles.wire import frame, last_bye

SUPERNODE = SigningKey.generate()
ALICE = SigningKey.generate()
BOB = SigningKey.generate()


def dialler(
    offer: Offer | None = None, *, key: SigningKey = ALICE, trusts: SigningKey = SUPERNODE
) -> PeerSession:
    """Give a session that dials with ``offer``."""
    offer = offer or make_offer(SUPERNODE, key)
    gate = FakeGate(offer, trusts.public)
    return PeerSession(Role.DIALLER, key, make_nonce(), gate, 0.0, offer)


def listener(
    offer: Offer | None = None, *, key: SigningKey = BOB, trusts: SigningKey = SUPERNODE
) -> PeerSession:
    """Give a session that listens for the task of ``offer``."""
    gate = FakeGate(offer or make_offer(SUPERNODE, key), trusts.public)
    return PeerSession(Role.LISTENER, key, make_nonce(), gate, 0.0)


def meet(one: PeerSession, two: PeerSession) -> SessionPair:
    """Let a dialler and a listener talk until they have nothing to say."""
    pair = SessionPair(one, two)
    pair.pump()
    return pair


def hello_of(session: PeerSession) -> Hello:
    """Take what a dialler says first."""
    (raw,) = session.take_output()
    return decode_hello(raw[5:])


def refused(session: PeerSession, stream: bytes, now: float = 0.0) -> ErrorCode:
    """Feed what must be refused; give the code, which BYE must carry, too."""
    with pytest.raises(RemoteProtocolError) as caught:
        session.receive(stream, now)
    code, text = last_bye(session)
    assert (code, text) == (caught.value.code, str(caught.value)[:256])
    assert session.state is State.CLOSED
    return caught.value.code


def test_both_sides_open() -> None:
    """Each side gets the other's HELLO, proved."""
    pair = SessionPair.make(seed=True)
    on_dialler, on_listener = pair.pump()
    assert [type(event) for event in on_dialler + on_listener] == [Opened, Opened]
    assert pair.dialler.is_open
    assert pair.listener.is_open
    assert pair.dialler.remote is not None
    assert pair.listener.remote is not None
    assert pair.listener.offer is not None
    assert pair.dialler.remote.grant == pair.listener.offer.grant
    assert (pair.dialler.version, pair.dialler.features) == (1, 0)


def test_the_listener_says_nothing_before_it_has_checked() -> None:
    """A caller without a grant learns nothing but the code."""
    session = listener()
    assert session.take_output() == []
    assert session.next_deadline() == 10.0
    stranger = make_offer(SigningKey.generate(), ALICE)
    (hello,) = dialler(stranger).take_output()
    with pytest.raises(RemoteProtocolError):
        session.receive(hello, 0.0)
    (bye,) = session.take_output()
    assert bye[4] == Kind.BYE


# -- grants ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "now", "code"),
    [
        (make_offer(SigningKey.generate(), ALICE), 0.0, ErrorCode.BAD_GRANT),
        (make_offer(SUPERNODE, BOB), 0.0, ErrorCode.BAD_GRANT),
        (make_offer(SUPERNODE, ALICE), 90_000.0, ErrorCode.GRANT_EXPIRED),
        (make_offer(SUPERNODE, ALICE, now=500.0), 0.0, ErrorCode.BAD_GRANT),
        (
            attrs.evolve(
                make_offer(SUPERNODE, ALICE),
                grant=make_offer(SUPERNODE, ALICE, task=b"u" * 32).grant,
            ),
            0.0,
            ErrorCode.BAD_GRANT,
        ),
        (attrs.evolve(make_offer(SUPERNODE, ALICE), grant=b""), 0.0, ErrorCode.BAD_GRANT),
    ],
    ids=["another supernode's", "stolen", "expired", "from the future", "foreign", "none"],
)
def test_grants_that_do_not_open(offer: Offer, now: float, code: ErrorCode) -> None:
    """Forged, stolen, expired and foreign grants are refused at HELLO."""
    (hello,) = dialler(offer).take_output()
    assert refused(listener(), hello, now) == code


def test_the_dialler_checks_the_listener_too() -> None:
    """Nobody takes bytes from a stranger either."""
    stranger = SigningKey.generate()
    pair = meet(dialler(), listener(make_offer(stranger, BOB)))
    assert pair.dialler_error is not None
    assert pair.dialler_error.code == ErrorCode.BAD_GRANT
    assert not pair.listener.is_open


# -- what both must agree on -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (make_offer(SUPERNODE, ALICE, task=b"u" * 32), ErrorCode.UNKNOWN_TASK),
        (make_offer(SUPERNODE, ALICE, fetch=2), ErrorCode.MANIFEST_MISMATCH),
        (make_offer(SUPERNODE, ALICE, piece_size=65536), ErrorCode.MANIFEST_MISMATCH),
    ],
)
def test_disagreement_about_the_task(offer: Offer, code: ErrorCode) -> None:
    """Piece numbers of different manifests mean different bytes."""
    (hello,) = dialler(offer).take_output()
    assert refused(listener(), hello) == code


def test_a_listener_that_answers_for_another_task() -> None:
    """The dialler compares as well."""
    session = dialler()
    (hello,) = dialler(make_offer(SUPERNODE, BOB, task=b"u" * 32), key=BOB).take_output()
    session.take_output()
    assert refused(session, hello) == ErrorCode.UNKNOWN_TASK


@pytest.mark.parametrize(
    ("version", "oldest", "good"),
    [(1, 1, True), (9, 1, True), (9, 0, True), (0, 0, False), (9, 2, False), (2, 2, False)],
)
def test_versions(version: int, oldest: int, good: bool) -> None:
    """The smaller newest version counts, if neither side is too young for it."""
    session = listener()
    hello = attrs.evolve(hello_of(dialler()), version=version, oldest=oldest)
    if good:
        session.receive(encode(hello), 0.0)
        assert session.version == 1
    else:
        assert refused(session, encode(hello)) == ErrorCode.UNSUPPORTED_VERSION


def test_unknown_features_are_ignored() -> None:
    """Only what both set is on."""
    session = listener()
    hello = attrs.evolve(hello_of(dialler()), features=0xFFFFFFFF)
    session.receive(encode(hello), 0.0)
    assert session.features == 0


# -- attacks -------------------------------------------------------------------------------------


def test_replay_of_a_whole_handshake() -> None:
    """Both frames of a good dialler, shown to the same listener again: the nonce is new."""
    caller, callee = dialler(), listener()
    hello = b"".join(caller.take_output())
    callee.receive(hello, 0.0)
    caller.receive(b"".join(callee.take_output()), 0.0)
    auth = b"".join(caller.take_output())
    callee.receive(auth, 0.0)
    assert callee.is_open
    again = listener()
    again.receive(hello, 0.0)
    assert refused(again, auth) == ErrorCode.BAD_AUTH


def test_a_stolen_hello_without_the_key() -> None:
    """The grant and the public key are seen by all; the proof needs the private key."""
    session = listener()
    session.receive(b"".join(dialler().take_output()), 0.0)
    assert refused(session, frame(Kind.AUTH, bytes(64))) == ErrorCode.BAD_AUTH


def test_reflection_of_the_proof() -> None:
    """The listener's own signature is no proof of the dialler: the role is signed."""
    session = listener()
    session.receive(b"".join(dialler().take_output()), 0.0)
    _, auth = session.take_output()
    assert refused(session, auth) == ErrorCode.BAD_AUTH


def test_reflection_of_hello() -> None:
    """Somebody sends our own HELLO back, or we have dialled ourselves."""
    session = dialler()
    (hello,) = session.take_output()
    assert refused(session, hello) == ErrorCode.SELF_CONNECTION
    assert refused(listener(key=ALICE), hello) == ErrorCode.SELF_CONNECTION


@pytest.mark.parametrize("tampered", ["dialler's", "listener's"])
def test_any_changed_bit_keeps_the_connection_closed(tampered: str) -> None:
    """Whatever somebody on the path changes in a HELLO, nobody opens in the end."""
    size = len(b"".join(dialler().take_output()))
    for at in range(size):
        one, two = dialler(), listener()
        pair = SessionPair(one, two)
        hello = bytearray(b"".join(one.take_output()))
        if tampered == "dialler's":
            hello[at] ^= 1
        pair.to_listener(bytes(hello))
        answer = bytearray(b"".join(two.take_output()))
        if tampered == "listener's":
            answer[at] ^= 1
        pair.to_dialler(bytes(answer))
        pair.pump()
        assert not one.is_open, at
        assert not two.is_open, at


def test_what_is_signed() -> None:
    """The context and the role come first, then both HELLOs by their digests."""
    caller, callee = dialler(), listener()
    (first,) = caller.take_output()
    callee.receive(first, 0.0)
    second, auth = callee.take_output()
    signed = AUTH_CONTEXT + b"\x01" + piece_digest(first[5:]) + piece_digest(second[5:])
    assert verify(BOB.public, auth[5:], signed)


# -- our own mistakes ------------------------------------------------------------------------------


def test_constructor_arguments_that_make_no_sense() -> None:
    """A dialler knows what it wants; a listener is told; nonces are 32 bytes."""
    offer = make_offer(SUPERNODE, ALICE)
    gate = FakeGate(offer, SUPERNODE.public)
    with pytest.raises(LocalProtocolError, match="offer"):
        PeerSession(Role.DIALLER, ALICE, make_nonce(), gate, 0.0)
    with pytest.raises(LocalProtocolError, match="offer"):
        PeerSession(Role.LISTENER, ALICE, make_nonce(), gate, 0.0, offer)
    with pytest.raises(LocalProtocolError, match="nonce"):
        PeerSession(Role.DIALLER, ALICE, b"short", gate, 0.0, offer)
    with pytest.raises(LocalProtocolError, match="second"):
        Handshake(Role.LISTENER, ALICE, make_nonce(), gate, None).hello()


def test_a_grant_too_long_for_a_hello_is_our_mistake() -> None:
    """It would be refused by every receiver."""
    offer = attrs.evolve(make_offer(SUPERNODE, ALICE), grant=bytes(901))
    with pytest.raises(LocalProtocolError, match="HELLO of 1025 bytes"):
        dialler(offer)


def test_hello_with_garbage_behind_it() -> None:
    """In version 1 nothing stands behind the grant."""
    (hello,) = dialler().take_output()
    assert refused(listener(), frame(Kind.HELLO, hello[5:] + b"x")) == BadMessage.code


def test_a_refusal_is_heard() -> None:
    """The dialler learns the code and may log it."""
    pair = meet(dialler(make_offer(SUPERNODE, ALICE, fetch=2)), listener())
    assert pair.listener_error is not None
    assert pair.dialler_error is None
    assert pair.dialler.state is State.CLOSED


def test_bye_reads_as_sent() -> None:
    """A BYE during the handshake is an event like any other."""
    session = dialler()
    (event,) = session.receive(encode(Bye(ErrorCode.UNKNOWN_TASK, "no such task")), 0.0)
    assert (event.code, event.text) == (10, "no such task")  # type: ignore[union-attr]
