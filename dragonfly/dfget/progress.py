"""Progress for a person: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

from dragonfly.dfget.report import size

__all__ = ["Console", "Line", "Progress"]

BAR_EVERY_S = 0.2
LINE_EVERY_S = 5.0
RATE_OVER_S = 3.0
"""The shown rate is that of the last seconds."""

_SHORT = (("cache", "here"), ("cdn", "CDN"), ("peers", "peers"), ("origin", "origin"))
_BAR = 20


class Console:
    """Lines on standard error, and one that is drawn over again.

    :param verbose: 0 notices only, 1 also what happens, 2 everything.
    """

    def __init__(self, stream: TextIO, *, verbose: int = 0) -> None:
        self._stream = stream
        self._verbose = verbose
        self._drawn = False

    def notice(self, text: str) -> None:
        """Something the user should know."""
        self._print(f"dfget: {text}\n")

    def info(self, text: str) -> None:
        """What happens, for ``--console``."""
        if self._verbose >= 1:
            self._print(f"dfget: {text}\n")

    def debug(self, text: str) -> None:
        """Everything, for ``--verbose``."""
        if self._verbose >= 2:
            self._print(f"dfget: {text}\n")

    def plain(self, text: str) -> None:
        """A line as it is."""
        self._print(f"{text}\n")

    def draw(self, text: str) -> None:
        """Draw the line that stays last."""
        self._write(f"\r{text}\x1b[K")
        self._drawn = True

    def clear(self) -> None:
        """Remove that line."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def width(self) -> int:
        """Columns of the terminal."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80  # 0: not known
        except (OSError, ValueError):
            return 80

    def _print(self, text: str) -> None:
        self.clear()
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads; the download matters more


class Progress:
    """How far a download is.

    :param bar: draw a bar; else print a line every few seconds.
    :param shown: ``False``: say nothing.
    """

    def __init__(
        self,
        console: Console,
        name: str,
        *,
        shown: bool,
        bar: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._name = name
        self._shown = shown
        self._bar = bar
        self._clock = clock
        self._next = clock() + (0.0 if bar else LINE_EVERY_S)
        self._samples: list[tuple[float, int]] = []
        self._length: int | None = None
        self._sources: dict[str, int] = {}

    @property
    def tick_s(self) -> float | None:
        """How often :meth:`tick` wants to be called; ``None``: not at all."""
        if not self._shown:
            return None
        return BAR_EVERY_S if self._bar else LINE_EVERY_S

    def length(self, length: int | None) -> None:
        """How many bytes there are in all."""
        self._length = length

    def update(self, sources: dict[str, int]) -> None:
        """Where the bytes so far came from."""
        self._sources = sources

    def tick(self) -> None:
        """Show how it goes, if it is time."""
        now = self._clock()
        if not self._shown or now < self._next:
            return
        self._next = now + (BAR_EVERY_S if self._bar else LINE_EVERY_S)
        self._show(now)

    def end(self) -> None:
        """Remove the bar."""
        self._console.clear()

    def _show(self, now: float) -> None:
        received = sum(self._sources.values()) - self._sources.get("cache", 0)
        line = Line(self._name, self._length, self._rate(now, received), self._sources)
        if self._bar:
            self._console.draw(line.fitting(self._console.width() - 1))
        else:
            self._console.plain(line.fitting(200))

    def _rate(self, now: float, received: int) -> float:
        self._samples.append((now, received))
        while len(self._samples) > 2 and now - self._samples[0][0] > RATE_OVER_S:
            del self._samples[0]
        since, before = self._samples[0]
        return max(received - before, 0) / (now - since) if now > since else 0.0


class Line:
    """How far a download is, in one line.

    :param length: bytes in all, ``None`` if nobody knows.
    :param rate: bytes per second.
    :param sources: bytes so far by source.
    """

    def __init__(self, name: str, length: int | None, rate: float, sources: dict[str, int]) -> None:
        self._name = name
        self._length = length
        self._rate = rate
        self._sources = sources
        self._done = sum(sources.values())

    def fitting(self, width: int) -> str:
        """The line, no longer than ``width``: what is needed least goes first."""
        head, figures = self._share(), self._figures()
        origins = ", ".join(
            f"{words} {size(self._sources[kind])}"
            for kind, words in _SHORT
            if self._sources.get(kind)
        )
        for parts in (
            (head, self._bar(), figures, origins, self._name),
            (head, self._bar(), figures, origins),
            (head, self._bar(), figures),
            (head, figures),
        ):
            line = "  ".join(part for part in parts if part)
            if len(line) <= width:
                return line
        return line[:width]

    def _share(self) -> str:
        if self._length is None:
            return ""
        return f"{100 * self._done // self._length if self._length else 100:3d}%"

    def _bar(self) -> str:
        if not self._length:
            return ""
        full = min(_BAR * self._done // self._length, _BAR)
        return f"[{'=' * full}{' ' * (_BAR - full)}]"

    def _figures(self) -> str:
        done, length = self._done, self._length
        text = f"{size(done)}/{size(length)}" if length is not None else size(done)
        text += f"  {size(self._rate)}/s"
        if length is not None and self._rate > 0 and done < length:
            text += f"  eta {_span((length - done) / self._rate)}"
        return text


def _span(seconds: float) -> str:
    whole = int(seconds + 0.5)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
