"""HELLO and AUTH: what is said, what is checked, in which order."""

from __future__ import annotations

from typing import Protocol

from dragonfly.errors import (
    ErrorCode,
    LocalProtocolError,
    RemoteProtocolError,
    UnsupportedVersion,
)
from dragonfly.signatures import SigningKey, verify
from dragonfly.task.digest import piece_digest
from dragonfly.wire.codec import decode_hello, encode_payload
from dragonfly.wire.constants import (
    AUTH_CONTEXT,
    FEATURES,
    NONCE_BYTES,
    OLDEST_VERSION,
    VERSION,
)
from dragonfly.wire.messages import Auth, Hello, Offer
from dragonfly.wire.table import Role

__all__ = ["Gate", "Handshake"]


class Gate(Protocol):
    """Decides who is let in. Its refusals reach the other side as BYE."""

    def offer(self, task: bytes) -> Offer:
        """Give our side of a task that a dialler wants to talk about.

        :raises RemoteProtocolError: we do not take part (code ``UNKNOWN_TASK``).
        """

    def admit(self, hello: Hello, now: float) -> None:
        """Check the grant of the other side, in both roles; ``now`` is the session's time.

        :raises BadGrant: it is not one for this task and key, or has expired.
        :raises RemoteProtocolError: any other reason not to go on.
        """


class Handshake:
    """Both HELLOs of one connection, and the proofs over them.

    :raises LocalProtocolError: the dialler has no offer, or the listener has one, or the
        nonce has the wrong length.
    """

    def __init__(
        self, role: Role, key: SigningKey, nonce: bytes, gate: Gate, offer: Offer | None
    ) -> None:
        if len(nonce) != NONCE_BYTES:
            raise LocalProtocolError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        if (offer is None) is (role is Role.DIALLER):
            raise LocalProtocolError("a dialler brings its offer, a listener is asked for it")
        self._role = role
        self._key = key
        self._nonce = nonce
        self._gate = gate
        self._ours = b""
        self._theirs = b""
        self.offer = offer
        self.remote: Hello | None = None
        self.version = VERSION
        self.features = FEATURES

    def hello(self) -> Hello:
        """Give our HELLO; once the offer is known."""
        offer = self.offer
        if offer is None:
            raise LocalProtocolError("a listener speaks second")
        hello = Hello(
            version=VERSION,
            oldest=OLDEST_VERSION,
            features=FEATURES,
            task=offer.task,
            key=self._key.public,
            nonce=self._nonce,
            fetch=offer.fetch,
            piece_size=offer.piece_size,
            port=offer.port,
            grant=offer.grant,
        )
        self._ours = encode_payload(hello)
        return hello

    def check(self, payload: bytes, now: float) -> Hello:
        """Accept the other side's HELLO, or say why not.

        :raises RemoteProtocolError: with the code for BYE.
        """
        hello = decode_hello(payload)
        self._agree(hello)
        if hello.key == self._key.public:
            raise RemoteProtocolError("both ends have the same key", ErrorCode.SELF_CONNECTION)
        offer = self.offer = self.offer or self._gate.offer(hello.task)
        _compare(hello, offer)
        self._gate.admit(hello, now)
        self._theirs = payload
        self.remote = hello
        return hello

    def proof(self) -> Auth:
        """Prove our key."""
        return Auth(self._key.sign(self._signed(self._role)))

    def check_proof(self, auth: Auth) -> Hello:
        """Believe that the other side holds the key of its HELLO; give that again.

        :raises RemoteProtocolError: code ``BAD_AUTH``.
        """
        other = Role.LISTENER if self._role is Role.DIALLER else Role.DIALLER
        hello = self.remote
        if hello is None or not verify(hello.key, auth.signature, self._signed(other)):
            raise RemoteProtocolError("the proof of the key is wrong", ErrorCode.BAD_AUTH)
        return hello

    def _agree(self, hello: Hello) -> None:
        version = min(VERSION, hello.version)
        if version < OLDEST_VERSION or version < hello.oldest:
            raise UnsupportedVersion(
                f"versions {hello.oldest} to {hello.version}, here {OLDEST_VERSION} to {VERSION}"
            )
        self.version = version
        self.features = FEATURES & hello.features

    def _signed(self, role: Role) -> bytes:
        ours, theirs = piece_digest(self._ours), piece_digest(self._theirs)
        both = ours + theirs if self._role is Role.DIALLER else theirs + ours
        return AUTH_CONTEXT + bytes((role.value,)) + both


def _compare(hello: Hello, offer: Offer) -> None:
    """Check that both sides mean the same bytes by the same numbers."""
    if hello.task != offer.task:
        raise RemoteProtocolError(
            f"task {hello.task.hex()[:16]}, not {offer.task.hex()[:16]}", ErrorCode.UNKNOWN_TASK
        )
    theirs, ours = (hello.fetch, hello.piece_size), (offer.fetch, offer.piece_size)
    if theirs != ours:
        raise RemoteProtocolError(
            f"fetch {theirs[0]} in pieces of {theirs[1]} bytes, here {ours[0]} and {ours[1]}",
            ErrorCode.MANIFEST_MISMATCH,
        )
