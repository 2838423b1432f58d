"""The manifest of a task: piece digests in runs that the supernode signed.

``doc/protocol.rst`` has the byte layout of a run. Nobody who serves bytes can vouch for
them: digests come only from runs, and runs only from a key on the ring.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress

import attrs

from dragonfly.errors import BadRun
from dragonfly.signatures import KEY_ID_BYTES, SIGNATURE_BYTES, KeyRing, SigningKey, verify
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.digest import PIECE_DIGEST_BYTES
from dragonfly.task.layout import MAX_PIECES, PIECE_MAX, PIECE_MIN, Layout

__all__ = ["MAX_RUN_BYTES", "RUN_DIGESTS", "Manifest", "Run", "parse_good", "parse_run", "sign_run"]

RUN_DIGESTS = 256
"""Digests under one signature: 8 KiB, so a signature costs under 1 % of a run's bytes."""

_MAGIC = b"DFRUN\x01"
_CONTEXT = b"dragonfly run\0"
_HEAD = struct.Struct(f">6s{KEY_ID_BYTES}s32sQIBBQIH")
_BLAKE3 = 1
_LENGTH_KNOWN = 1

MAX_RUN_BYTES = _HEAD.size + RUN_DIGESTS * PIECE_DIGEST_BYTES + SIGNATURE_BYTES


@attrs.frozen(kw_only=True)
class Run:
    """Consecutive piece digests of one fetch of a task; ``length`` is None while unknown."""

    task: bytes
    fetch: int
    piece_size: int
    first: int
    digests: tuple[bytes, ...]
    length: int | None = None

    @property
    def end(self) -> int:
        """The piece after the last one."""
        return self.first + len(self.digests)

    @property
    def layout(self) -> Layout:
        """Piece size and length as this run states them."""
        return Layout(self.piece_size, self.length)


def sign_run(run: Run, key: SigningKey) -> bytes:
    """Give the wire form of a run, signed.

    :raises ValueError: more than :data:`RUN_DIGESTS` digests, or pieces beyond the length.
    """
    problem = _problem(run)
    if problem:
        raise ValueError(problem)
    head = _HEAD.pack(
        _MAGIC,
        key.key_id,
        run.task,
        run.fetch,
        run.piece_size,
        _BLAKE3,
        0 if run.length is None else _LENGTH_KNOWN,
        run.length or 0,
        run.first,
        len(run.digests),
    )
    body = head + b"".join(run.digests)
    return body + key.sign(_CONTEXT + body)


def parse_run(raw: bytes, keys: KeyRing) -> Run:
    """Read a run and check that one of ``keys`` signed it.

    :raises BadRun: malformed, of an unknown kind, inconsistent in itself, or not signed by
        a key on the ring.
    """
    if not _HEAD.size + SIGNATURE_BYTES <= len(raw) <= MAX_RUN_BYTES:
        raise BadRun(f"a run of {len(raw)} bytes")
    magic, signer, task, fetch, piece_size, kind, flags, length, first, count = _HEAD.unpack(
        raw[: _HEAD.size]
    )
    if magic != _MAGIC or kind != _BLAKE3 or flags & ~_LENGTH_KNOWN:
        raise BadRun(f"a run of unknown form: {magic!r}, digests {kind}, flags {flags}")
    end = _HEAD.size + count * PIECE_DIGEST_BYTES
    if len(raw) != end + SIGNATURE_BYTES:
        raise BadRun(f"a run of {count} digests has {end + SIGNATURE_BYTES} bytes, not {len(raw)}")
    public = keys.find(signer)
    if public is None:
        raise BadRun(f"a run signed by the unknown key {signer.hex()}")
    if not verify(public, raw[end:], _CONTEXT + raw[:end]):
        raise BadRun(f"a run at piece {first} with a wrong signature")
    digests = tuple(
        raw[at : at + PIECE_DIGEST_BYTES] for at in range(_HEAD.size, end, PIECE_DIGEST_BYTES)
    )
    known = length if flags & _LENGTH_KNOWN else None
    run = Run(
        task=task, fetch=fetch, piece_size=piece_size, first=first, digests=digests, length=known
    )
    problem = _problem(run)
    if problem:
        raise BadRun(problem)
    return run


def parse_good(raws: Iterable[bytes], keys: KeyRing) -> list[Run]:
    """Read runs up to the first that is bad; as :func:`parse_run`."""
    runs: list[Run] = []
    with suppress(BadRun):
        for raw in raws:
            runs.append(parse_run(raw, keys))  # noqa: PERF401 - what came before counts
    return runs


def _problem(run: Run) -> str:
    """Say what is inconsistent in a run by itself; empty if nothing is."""
    if len(run.digests) > RUN_DIGESTS:
        return f"a run of {len(run.digests)} digests, at most {RUN_DIGESTS} are allowed"
    if not PIECE_MIN <= run.piece_size <= PIECE_MAX or run.piece_size & (run.piece_size - 1):
        return f"a run with pieces of {run.piece_size} bytes"
    if run.end > MAX_PIECES:
        return f"a run up to piece {run.end}, at most {MAX_PIECES} are allowed"
    count = run.layout.piece_count
    if count is not None and count > MAX_PIECES:
        return f"a run of content with {count} pieces, at most {MAX_PIECES} are allowed"
    if count is not None and run.end > count:
        return f"a run up to piece {run.end} of content with {count} pieces"
    if not run.digests and run.first != count:
        return f"a run without digests at piece {run.first}"
    return ""


@attrs.frozen
class _Kept:
    """A run as it is passed on; ``closing``: it states the length and reaches the end."""

    end: int
    closing: bool
    raw: bytes


class Manifest:
    """What is known of a task's pieces; grows run by run, never contradicts itself."""

    def __init__(self, task: bytes, fetch: int, piece_size: int, length: int | None = None) -> None:
        self.task = task
        self.fetch = fetch
        self.layout = Layout(piece_size, length)
        self.known = Bitfield()
        self._digests: dict[int, bytes] = {}
        self._runs: dict[int, _Kept] = {}
        self._full = 0  # pieces below are full: a run without length named one of them

    def add(self, raw: bytes, run: Run) -> list[int]:
        """Take a parsed run with its wire form; give the pieces whose digests are new.

        :raises BadRun: it is of another task, fetch or piece size, or contradicts what is
            known; nothing of it is taken then.
        """
        self._check(run)
        if run.length is not None and self.layout.length is None:
            self.layout = self.layout.with_length(run.length)
        new = [piece for piece in range(run.first, run.end) if piece not in self._digests]
        for piece in new:
            self._digests[piece] = run.digests[piece - run.first]
        self.known.update(new)
        if run.length is None:
            self._full = max(self._full, run.end)
        self._keep(raw, run)
        return new

    def digest(self, piece: int) -> bytes | None:
        """Give the digest of a piece, None while it is not known."""
        return self._digests.get(piece)

    @property
    def length(self) -> int | None:
        """The length of the content, None while it is not known."""
        return self.layout.length

    @property
    def piece_size(self) -> int:
        """Bytes of a piece."""
        return self.layout.piece_size

    @property
    def piece_count(self) -> int | None:
        """The number of pieces, None while the length is not known."""
        return self.layout.piece_count

    @property
    def complete(self) -> bool:
        """Whether the length and all digests are known."""
        return self.piece_count is not None and len(self._digests) == self.piece_count

    def first_unknown(self) -> int:
        """Give the lowest piece whose digest is not known."""
        return self.known.first_gap()

    @property
    def runs(self) -> list[bytes]:
        """All runs in their wire form, in the order of their first pieces."""
        return [self._runs[first].raw for first in sorted(self._runs)]

    def runs_from(self, first: int, limit: int | None = None) -> list[bytes]:
        """Give the runs that hold digests from ``first`` on, in order, at most ``limit``.

        The run that ends the content counts as one that does: it states the length.
        """
        found = [
            kept.raw
            for _, kept in sorted(self._runs.items(), key=lambda item: item[0])
            if kept.end > first or (kept.closing and kept.end >= first)
        ]
        return found if limit is None else found[:limit]

    def _keep(self, raw: bytes, run: Run) -> None:
        """Of the runs that begin at one piece, keep the one that says most; one that says all
        that others do takes their place."""
        fresh = _Kept(run.end, run.end == run.layout.piece_count, raw)
        kept = self._runs.get(run.first)
        if kept is not None and (kept.end, kept.closing) >= (fresh.end, fresh.closing):
            return
        self._runs[run.first] = fresh
        for first in range(run.first + 1, run.end + 1):
            inside = self._runs.get(first)
            if inside is not None and (inside.end, inside.closing) <= (fresh.end, fresh.closing):
                del self._runs[first]

    def _check(self, run: Run) -> None:
        theirs = (run.task, run.fetch, run.piece_size)
        if theirs != (self.task, self.fetch, self.piece_size):
            raise BadRun(
                f"a run of fetch {run.fetch} with pieces of {run.piece_size} bytes, "
                f"expected {self.fetch} and {self.piece_size}"
            )
        if run.length is not None and self.length is not None and run.length != self.length:
            raise BadRun(f"a run for {run.length} bytes, the content has {self.length}")
        # A digest signed while the length is unknown is that of a full piece.
        full = max(self._full, run.end if run.length is None else 0)
        length = self.length if run.length is None else run.length
        if length is not None and full * self.piece_size > length:
            raise BadRun(f"{full} full pieces of {self.piece_size} bytes in {length} bytes")
        for piece, digest in enumerate(run.digests, run.first):
            if self._digests.get(piece, digest) != digest:
                raise BadRun(f"piece {piece}: a second, different digest")
