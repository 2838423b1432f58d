"""Bytes to frames. Small frames are gathered; slices of DATA pass through as views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import attrs

from dragonfly.errors import BadMagic, BadMessage, FrameTooLarge, ProtocolError, UnexpectedMessage
from dragonfly.wire.codec import FRAME, decode_data
from dragonfly.wire.constants import DATA_PREFIX_BYTES, FRAME_LIMITS, HEADER_BYTES, Kind
from dragonfly.wire.messages import Data

__all__ = ["Frame", "FrameReader", "Item"]


@attrs.frozen
class Frame:
    """A whole frame of any kind but DATA."""

    kind: Kind
    payload: bytes


Item: TypeAlias = "Frame | Data | memoryview"
"""What a reader yields: a frame; for DATA its head, then its slice in as many views as reads
brought it."""


class FrameReader:
    """Cuts one byte stream into frames.

    Holds at most one frame that is not DATA. After an error it must not be fed again.

    :param check: called with the kind of each frame once its header is there, before any of
        its payload is kept; raises an error if it may not come now.
    """

    def __init__(self, check: Callable[[Kind], object] = lambda _: None) -> None:
        self._check = check
        self._held = bytearray()
        self._wanted = HEADER_BYTES
        self._kind: Kind | None = None
        self._length = 0
        self._slice_left = 0
        self._first = True

    @property
    def slice_left(self) -> int:
        """Bytes of the slice under way that are still to come; 0 between slices."""
        return self._slice_left

    def feed(self, data: bytes) -> Iterator[Item]:
        """Give what ``data`` completes, item by item; must be run to its end.

        Frames are checked against the limits of their kinds at their headers.

        :raises BadMagic: the first frame shows that this is another protocol.
        :raises FrameTooLarge: a length above the limit of its kind.
        :raises BadMessage: a length below it, or a bad head of a DATA.
        :raises UnexpectedMessage: a kind that does not exist, or what ``check`` raises.
        """
        view, at, end = memoryview(data), 0, len(data)
        while True:
            if self._slice_left:
                if at == end:
                    return
                begin, at = at, min(end, at + self._slice_left)
                self._slice_left -= at - begin
                yield view[begin:at]
                continue
            short = self._wanted - len(self._held)
            if end - at < short:
                self._held += view[at:end]
                return
            part = data[at : at + short]
            if self._held:
                part = bytes(self._held) + part
                self._held.clear()
            at += short
            item = self._gathered(part)
            if item is not None:
                yield item

    def _gathered(self, part: bytes) -> Item | None:
        """Make something of the ``_wanted`` bytes, and say how many come next."""
        if self._kind is None:
            self._header(part)
            return None
        if self._kind is Kind.DATA:
            return self._data_head(part)
        frame = Frame(self._kind, part)
        self._next_frame()
        return frame

    def _header(self, part: bytes) -> None:
        length, number = FRAME.unpack(part)
        try:
            self._kind = _check_length(length, number)
        except ProtocolError as error:
            if self._first:
                raise BadMagic(f"a connection begins with {part!r}") from error
            raise
        self._first = False
        self._length = length
        self._wanted = DATA_PREFIX_BYTES if self._kind is Kind.DATA else length
        self._check(self._kind)

    def _data_head(self, part: bytes) -> Data | None:
        """Read the head of a DATA: its fixed part first, which tells how many HAVEs ride."""
        head = decode_data(part, self._length)
        prefix = self._length - head.length
        if len(part) < prefix:
            self._held += part
            self._wanted = prefix
            return None
        self._next_frame()
        self._slice_left = head.length
        return head

    def _next_frame(self) -> None:
        self._kind = None
        self._wanted = HEADER_BYTES


def _check_length(length: int, number: int) -> Kind:
    try:
        kind = Kind(number)
    except ValueError:
        raise UnexpectedMessage(f"a frame of the unknown type {number}") from None
    least, most = FRAME_LIMITS[kind]
    if length > most:
        raise FrameTooLarge(f"{kind.name} of {length} bytes, {most} are allowed")
    if length < least:
        raise BadMessage(f"{kind.name} of {length} bytes, {least} are needed")
    return kind
