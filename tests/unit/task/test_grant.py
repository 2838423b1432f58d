"""Grants: what is believed, and every way in which one is not."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.errors import BadGrant, ErrorCode
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.task.grant import (
    CLOCK_SKEW_S,
    GRANT_BYTES,
    PROOF_AGE_S,
    Grant,
    cdn_proof,
    check_cdn_proof,
    check_grant,
    parse_grant,
    sign_grant,
)

SUPERNODE = SigningKey.from_bytes(bytes(range(32)))
HOLDER = SigningKey.from_bytes(bytes(range(1, 33)))
STRANGER = SigningKey.from_bytes(bytes(range(2, 34)))
TASK = b"t" * 32
GRANT = Grant(task=TASK, key=HOLDER.public, issued=1000, expires=1300)
RING = KeyRing([SUPERNODE.public])


def check(raw: bytes, now: float = 1100.0, task: bytes = TASK, key: bytes = HOLDER.public) -> Grant:
    """Check as an uploader does."""
    return check_grant(raw, RING, task=task, key=key, now=now)


@pytest.mark.parametrize("seed", [False, True])
def test_round_trip(seed: bool) -> None:
    """What was signed is what is read, at the size that the protocol states."""
    grant = attrs.evolve(GRANT, seed=seed)
    raw = sign_grant(grant, SUPERNODE)
    assert len(raw) == GRANT_BYTES == 159
    assert parse_grant(raw) == check(raw) == grant


def test_layout_on_the_wire() -> None:
    """The bytes are those of the specification."""
    raw = sign_grant(GRANT, SUPERNODE)
    assert raw[:6] == b"DFGRT\x01"
    assert raw[6:14] == SUPERNODE.key_id
    assert raw[14:46] == TASK
    assert raw[46:78] == HOLDER.public
    assert int.from_bytes(raw[78:86], "big") == 1000
    assert int.from_bytes(raw[86:94], "big") == 1300
    assert raw[94] == 0


@pytest.mark.parametrize("at", range(0, GRANT_BYTES, 7))
def test_any_changed_byte(at: int) -> None:
    """No field can be changed behind the supernode's back."""
    raw = bytearray(sign_grant(GRANT, SUPERNODE))
    raw[at] ^= 0x40
    with pytest.raises(BadGrant) as caught:
        check(bytes(raw))
    assert caught.value.code is ErrorCode.BAD_GRANT


@pytest.mark.parametrize("size", [0, 1, GRANT_BYTES - 1, GRANT_BYTES + 1])
def test_wrong_size(size: int) -> None:
    """Cut or prolonged, it is none, and both sizes are named."""
    raw = (sign_grant(GRANT, SUPERNODE) + b"\0")[:size]
    with pytest.raises(BadGrant, match=f"{GRANT_BYTES} bytes, not {size}"):
        parse_grant(raw)


def test_another_signer() -> None:
    """A stranger's signature is worth nothing, however well formed."""
    with pytest.raises(BadGrant, match=f"unknown key {STRANGER.key_id.hex()}"):
        check(sign_grant(GRANT, STRANGER))


def test_another_task_or_key() -> None:
    """A grant that was seen on the wire opens nothing for others."""
    raw = sign_grant(GRANT, SUPERNODE)
    with pytest.raises(BadGrant, match="for task"):
        check(raw, task=b"u" * 32)
    with pytest.raises(BadGrant, match="for peer"):
        check(raw, key=STRANGER.public)


def test_unknown_flags() -> None:
    """A flag of a later version may mean anything, so it is refused, signed or not."""
    raw = bytearray(sign_grant(GRANT, SUPERNODE))
    raw[94] = 2
    with pytest.raises(BadGrant, match=r"unknown form.*flags 2"):
        parse_grant(bytes(raw))


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (1000 - CLOCK_SKEW_S, None),
        (1000 - CLOCK_SKEW_S - 0.5, ErrorCode.BAD_GRANT),
        (1300 + CLOCK_SKEW_S, None),
        (1300 + CLOCK_SKEW_S + 0.5, ErrorCode.GRANT_EXPIRED),
    ],
)
def test_time(now: float, code: ErrorCode | None) -> None:
    """Thirty seconds of difference between clocks count for nothing, more does."""
    raw = sign_grant(GRANT, SUPERNODE)
    if code is None:
        assert check(raw, now) == GRANT
        return
    with pytest.raises(BadGrant) as caught:
        check(raw, now)
    assert caught.value.code is code


# -- proof of possession ----------------------------------------------------------------


def prove(proof: bytes, raw: bytes, at: int = 1100, now: float = 1100.0) -> Grant:
    """Check as the plain HTTP CDN does."""
    return check_cdn_proof(proof, raw, RING, task=TASK, at=at, now=now)


def test_proof() -> None:
    """The holder, and nobody else, can use a grant."""
    raw = sign_grant(GRANT, SUPERNODE)
    assert prove(cdn_proof(HOLDER, TASK, 1100, raw), raw) == GRANT
    with pytest.raises(BadGrant, match="proof with a wrong signature"):
        prove(cdn_proof(STRANGER, TASK, 1100, raw), raw)
    with pytest.raises(BadGrant, match="proof with a wrong signature"):
        prove(cdn_proof(HOLDER, b"u" * 32, 1100, raw), raw)
    with pytest.raises(BadGrant, match="proof with a wrong signature"):
        prove(cdn_proof(HOLDER, TASK, 1101, raw), raw)


@pytest.mark.parametrize("age", [-PROOF_AGE_S, 0, PROOF_AGE_S])
def test_age_of_a_proof(age: int) -> None:
    """A recorded proof is of no use a minute later, nor one made in advance."""
    raw = sign_grant(GRANT, SUPERNODE)
    at = 1100 + age
    proof = cdn_proof(HOLDER, TASK, at, raw)
    assert prove(proof, raw, at) == GRANT
    if age:
        beyond = at + (1 if age > 0 else -1)
        with pytest.raises(BadGrant, match=f"proof made at {beyond}") as caught:
            prove(cdn_proof(HOLDER, TASK, beyond, raw), raw, beyond)
        assert caught.value.code is ErrorCode.GRANT_EXPIRED


@pytest.mark.parametrize(("at", "now"), [(10**400, 1100.0), (-5, 0.0)])
def test_absurd_times_of_a_proof(at: int, now: float) -> None:
    """A number that no clock shows is refused like any other, not a crash."""
    raw = sign_grant(attrs.evolve(GRANT, issued=0), SUPERNODE)
    with pytest.raises(BadGrant, match="a proof made at"):
        prove(b"\0" * 64, raw, at, now)
