"""Grants: the supernode's word that one peer may take part in one task.

``doc/protocol.rst`` has the byte layout. A grant names its holder's public key and is worth
nothing to anybody who cannot sign with it.
"""

from __future__ import annotations

import struct

import attrs

from dragonfly.errors import BadGrant, ErrorCode
from dragonfly.signatures import KEY_ID_BYTES, SIGNATURE_BYTES, KeyRing, SigningKey, verify

__all__ = [
    "CLOCK_SKEW_S",
    "GRANT_BYTES",
    "PROOF_AGE_S",
    "Grant",
    "cdn_proof",
    "check_cdn_proof",
    "check_grant",
    "parse_grant",
    "sign_grant",
]

CLOCK_SKEW_S = 30
"""How far two clocks that follow the same supernode may be apart."""

PROOF_AGE_S = 60
"""How old a proof for the plain HTTP CDN may be."""

_MAGIC = b"DFGRT\x01"
_CONTEXT = b"dragonfly grant\0"
_PROOF_CONTEXT = b"dragonfly cdn\0"
_BODY = struct.Struct(f">6s{KEY_ID_BYTES}s32s32sQQB")
_SEED = 1

GRANT_BYTES = _BODY.size + SIGNATURE_BYTES


@attrs.frozen(kw_only=True)
class Grant:
    """Permission for the holder of ``key``; times are seconds of the supernode's clock."""

    task: bytes
    key: bytes
    issued: int
    expires: int
    seed: bool = False


def sign_grant(grant: Grant, signer: SigningKey) -> bytes:
    """Give the wire form of a grant, signed; :data:`GRANT_BYTES` long."""
    body = _BODY.pack(
        _MAGIC,
        signer.key_id,
        grant.task,
        grant.key,
        grant.issued,
        grant.expires,
        _SEED if grant.seed else 0,
    )
    return body + signer.sign(_CONTEXT + body)


def parse_grant(raw: bytes) -> Grant:
    """Read the fields of a grant without believing them.

    :raises BadGrant: it is not a grant.
    """
    if len(raw) != GRANT_BYTES:
        raise BadGrant(f"a grant has {GRANT_BYTES} bytes, not {len(raw)}")
    magic, _, task, key, issued, expires, flags = _BODY.unpack(raw[: _BODY.size])
    if magic != _MAGIC or flags & ~_SEED:
        raise BadGrant(f"a grant of unknown form: {magic!r}, flags {flags}")
    return Grant(task=task, key=key, issued=issued, expires=expires, seed=bool(flags & _SEED))


def check_grant(raw: bytes, keys: KeyRing, *, task: bytes, key: bytes, now: float) -> Grant:
    """Read a grant and check everything about it; ``now`` is the supernode's time.

    :raises BadGrant: malformed, signed by nobody we believe, for another task or another
        key, not valid yet, or expired (code ``GRANT_EXPIRED``).
    """
    grant = parse_grant(raw)
    signer = raw[len(_MAGIC) : len(_MAGIC) + KEY_ID_BYTES]
    public = keys.find(signer)
    if public is None:
        raise BadGrant(f"a grant signed by the unknown key {signer.hex()}")
    if not verify(public, raw[_BODY.size :], _CONTEXT + raw[: _BODY.size]):
        raise BadGrant("a grant with a wrong signature")
    if grant.task != task:
        raise BadGrant(f"a grant for task {grant.task.hex()[:16]}, not {task.hex()[:16]}")
    if grant.key != key:
        raise BadGrant(f"a grant for peer {grant.key.hex()[:16]}, not {key.hex()[:16]}")
    if now > grant.expires + CLOCK_SKEW_S:
        raise BadGrant(f"a grant that expired at {grant.expires}", ErrorCode.GRANT_EXPIRED)
    if now < grant.issued - CLOCK_SKEW_S:
        raise BadGrant(f"a grant that begins at {grant.issued}, now is {now:.0f}")
    return grant


def cdn_proof(holder: SigningKey, task: bytes, at: int, grant: bytes) -> bytes:
    """Prove at second ``at`` of the supernode's clock that we hold the grant's key."""
    return holder.sign(_proof_body(task, at, grant))


def check_cdn_proof(
    proof: bytes, grant: bytes, keys: KeyRing, *, task: bytes, at: int, now: float
) -> Grant:
    """Check a grant together with its holder's proof of possession.

    :raises BadGrant: as :func:`check_grant`, or the proof is too old or wrong.
    """
    found = check_grant(grant, keys, task=task, key=parse_grant(grant).key, now=now)
    if not now - PROOF_AGE_S <= at <= now + PROOF_AGE_S or at < 0:
        raise BadGrant(f"a proof made at {at}, now is {now:.0f}", ErrorCode.GRANT_EXPIRED)
    if not verify(found.key, proof, _proof_body(task, at, grant)):
        raise BadGrant("a proof with a wrong signature")
    return found


def _proof_body(task: bytes, at: int, grant: bytes) -> bytes:
    return _PROOF_CONTEXT + task + at.to_bytes(8, "big", signed=False) + grant
