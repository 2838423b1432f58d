"""The calls between peer and supernode as frozen classes; ``doc/api.rst`` describes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from dragonfly.errors import BadControlMessage

__all__ = [
    "BASE64",
    "INLINE_BYTES",
    "PREFIX_BYTES",
    "RUNS_INLINE_BYTES",
    "AnnounceAnswer",
    "AnnounceRequest",
    "Announced",
    "Complaint",
    "DirectAnswer",
    "ErrorBody",
    "Holding",
    "LeaveRequest",
    "Neighbour",
    "Rates",
    "RegisterAnswer",
    "RegisterRequest",
    "State",
    "Validator",
    "prefix_of",
    "prefixed",
    "prefixes",
    "quiet_s",
]

RUNS_INLINE_BYTES = 4096
"""At most that much of a manifest comes in a register answer: thousands may ask at once."""

INLINE_BYTES = 64 * 1024
"""Contents up to this length come inside a register answer: configurations of images and
small layers, and less than a connection to the seed costs in time."""

PREFIX_BYTES = 6
"""Of a public key: what an announce calls a neighbour. A neighbour has 64 digits in JSON, and ten
of them were two thirds of an announce. Who makes 2**48 keys can pass for one neighbour of
somebody, as far as the graph goes, and has that one left out."""

QUIET_FACTOR = 3
QUIET_MAX_S = 120.0
"""Who has no news announces so many times less often, but this often, for the sake of its grant.
Where peers are few that is after 18 s: a connection is kept for 30."""

State = Literal["fetching", "ready", "failed"]

BASE64 = "base64"
"""Metadata of byte fields that are long: base64 in JSON where all others are hexadecimal."""

_LONG = {BASE64: True}


@attrs.frozen(kw_only=True)
class Announced:
    """What a peer says of itself; without an address the caller's own is taken."""

    port: int
    address: str | None = None
    hostname: str = ""
    version: str = ""
    idc: str = ""
    location: str = ""


@attrs.frozen(kw_only=True)
class Holding:
    """Which pieces of a task a peer has; ``bits`` in the form of BITFIELD."""

    task: bytes
    fetch: int
    piece_size: int
    count: int
    bits: bytes = attrs.field(repr=False, metadata=_LONG)


@attrs.frozen(kw_only=True)
class RegisterRequest:
    """One peer wants one URL.

    ``inline`` is how many bytes of content it takes inside the answer.  ``loopback`` tells
    whether it wants what only this host's loopback serves, if it is on the supernode's host.
    """

    url: str = attrs.field(repr=False)
    key: bytes
    peer: Announced
    headers: list[tuple[str, str]] = attrs.field(factory=list, repr=False)
    filters: list[str] = attrs.field(factory=list)
    identifier: str = ""
    digest: str | None = None
    callsystem: str = ""
    pattern: Literal["p2p", "cdn"] = "p2p"
    have: Holding | None = None
    inline: int = 0
    loopback: bool = True


@attrs.frozen(kw_only=True)
class Validator:
    """What tells a version of the origin's content from another."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None


@attrs.frozen(kw_only=True)
class Neighbour:
    """A peer to connect to."""

    key: bytes
    address: str
    port: int
    seed: bool = False


@attrs.frozen(kw_only=True)
class RegisterAnswer:
    """Admitted: the task, a grant, and whom to connect to.

    ``now`` is the supernode's clock, by which grants expire; ``keys`` are the public keys
    that sign runs and grants; ``down_limit`` is how many pieces to ask for at once.

    Without a grant the content is in the answer, all of it; there is nothing to take part in.
    """

    task: bytes
    fetch: int
    piece_size: int
    grant: bytes = attrs.field(repr=False, metadata=_LONG)
    grant_expires: int
    now: float
    keys: list[bytes]
    announce_after: float
    state: State
    length: int | None = None
    digest: str | None = None
    validator: Validator = attrs.field(factory=Validator)
    runs: list[bytes] = attrs.field(factory=list, repr=False, metadata=_LONG)
    neighbours: list[Neighbour] = attrs.field(factory=list)
    content_type: str | None = None
    down_limit: int = 12
    content: bytes = attrs.field(default=b"", repr=False, metadata=_LONG)


@attrs.frozen(kw_only=True)
class DirectAnswer:
    """Admitted, but the origin does not let this content be shared: fetch it yourself."""

    reason: str
    direct: bool = True


@attrs.frozen(kw_only=True)
class Rates:
    """Bytes for each second now, and totals by source."""

    down: float = 0.0
    up: float = 0.0
    from_cdn: int = 0
    from_peers: int = 0
    from_origin: int = 0


@attrs.frozen(kw_only=True)
class Complaint:
    """A neighbour misbehaved."""

    key: bytes
    piece: int
    why: str


@attrs.frozen(kw_only=True)
class AnnounceRequest:
    """How one peer is doing with one task.

    ``neighbours`` are whom it is connected to, as :func:`prefixes`.
    """

    task: bytes
    key: bytes
    fetch: int
    have_count: int
    complete: bool = False
    holding: Holding | None = None
    rates: Rates = attrs.field(factory=Rates)
    dead: list[bytes] = attrs.field(factory=list)
    complaints: list[Complaint] = attrs.field(factory=list)
    starving: bool = False
    neighbours: bytes = attrs.field(default=b"", metadata=_LONG)
    expected_s: float | None = None


@attrs.frozen(kw_only=True)
class ErrorBody:
    """The body of every error answer; ``code`` repeats the HTTP status.

    ``retry_after`` is in seconds: the same call is to be made again then (0: nothing is said).
    """

    code: int
    message: str
    origin_status: int = 0
    retryable: bool = False
    retry_after: float = 0.0


@attrs.frozen(kw_only=True)
class AnnounceAnswer:
    """What follows from an announce.

    ``ticket`` is for how many seconds the origin may be read (0: not now). ``known`` is
    false when the supernode has no such peer in the task any more: register again. ``drop``
    are whom to let go, as :func:`prefixes`.
    """

    now: float
    announce_after: float
    state: State
    grant: bytes = attrs.field(default=b"", repr=False, metadata=_LONG)
    grant_expires: int = 0
    neighbours: list[Neighbour] = attrs.field(factory=list)
    drop: bytes = attrs.field(default=b"", metadata=_LONG)
    ticket: float = 0.0
    error: ErrorBody | None = None
    known: bool = True


@attrs.frozen(kw_only=True)
class LeaveRequest:
    """A peer leaves one task, or all of them (``task`` None)."""

    key: bytes
    task: bytes | None = None


def quiet_s(announce_after: float) -> float:
    """After how many seconds a peer without news announces, if it was told ``announce_after``."""
    return max(announce_after, min(QUIET_MAX_S, QUIET_FACTOR * announce_after))


def prefix_of(key: bytes) -> bytes:
    """What announces and their answers call the holder of ``key``."""
    return key[:PREFIX_BYTES]


def prefixed(keys: Iterable[bytes]) -> bytes:
    """A field that names the holders of ``keys``, to be read by :func:`prefixes`."""
    return b"".join(map(prefix_of, keys))


def prefixes(raw: bytes) -> list[bytes]:
    """The neighbours in a field that names them one after another, each once.

    :raises BadControlMessage: its length is no multiple of :data:`PREFIX_BYTES`.
    """
    if len(raw) % PREFIX_BYTES:
        raise BadControlMessage(
            f"neighbours of {PREFIX_BYTES} bytes each cannot have {len(raw)} together"
        )
    starts = range(0, len(raw), PREFIX_BYTES)
    return list(dict.fromkeys(raw[at : at + PREFIX_BYTES] for at in starts))
