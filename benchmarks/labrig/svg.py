"""Line charts as SVG, without any library. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import attrs

__all__ = ["COLOURS", "Chart", "Line", "ticks"]

COLOURS = ("#1b6ca8", "#c8553d", "#4f772d", "#7b4b94", "#b8860b", "#555555")

Point = tuple[float, float]

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 40, 50
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
    'font-family="sans-serif" font-size="12">'
)


@attrs.frozen(kw_only=True)
class Line:
    """One curve.

    :ivar label: in the legend; empty: not there.
    :ivar staircase: level until the next point.
    """

    points: Sequence[Point]
    colour: str
    label: str = ""
    width: float = 2.0
    dashes: str = ""
    staircase: bool = False


def ticks(most: float, about: int = 8) -> list[float]:
    """Round numbers from 0 to ``most``, some ``about`` of them."""
    if most <= 0:
        return [0.0]
    rough = most / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= rough * 0.999)
    return [round(step * at, 10) for at in range(math.floor(most / step + 1e-9) + 1)]


@attrs.frozen(kw_only=True)
class Chart:
    """A chart of shares (0 to 1) over seconds."""

    title: str
    lines: Sequence[Line]
    x_label: str = "seconds"
    y_label: str = "%"

    def render(self) -> str:
        """The whole file."""
        most = max((x for line in self.lines for x, _ in line.points), default=1.0) * 1.02 or 1.0
        parts = [
            _HEAD,
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            _text(_WIDTH / 2, 20, self.title, anchor="middle", size=14),
            *self._axes(most),
            *(_curve(line, most) for line in self.lines if line.points),
            *self._legend(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _axes(self, most: float) -> list[str]:
        parts = []
        for value in ticks(most):
            x = _x(value, most)
            parts.append(_rule(x, _y(0), x, _y(1)))
            parts.append(_text(x, _y(0) + 16, f"{value:g}", anchor="middle"))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            parts.append(_rule(_x(0, most), _y(share), _x(most, most), _y(share)))
            parts.append(_text(_LEFT - 6, _y(share) + 4, f"{100 * share:g}", anchor="end"))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(_text(middle, _HEIGHT - 12, self.x_label, anchor="middle"))
        return [*parts, _text(_LEFT - 6, _TOP - 8, self.y_label, anchor="end")]

    def _legend(self) -> list[str]:
        parts = []
        labelled = [line for line in self.lines if line.label]
        for at, line in enumerate(labelled):
            y = _y(0) - 14 - 17 * (len(labelled) - 1 - at)
            x = _WIDTH - _RIGHT - 250
            parts.append(
                f'<line x1="{x}" y1="{y - 4:.1f}" x2="{x + 24}" y2="{y - 4:.1f}" {_stroke(line)}/>'
            )
            parts.append(_text(x + 30, y, line.label))
        return parts


def _x(value: float, most: float) -> float:
    return _LEFT + value / most * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _curve(line: Line, most: float) -> str:
    points = _stairs(line.points) if line.staircase else line.points
    path = " ".join(f"{_x(x, most):.1f},{_y(y):.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" {_stroke(line)}/>'


def _stairs(points: Sequence[Point]) -> list[Point]:
    """Corner points: each level holds until the next point."""
    corners: list[Point] = [(0.0, 0.0)]
    for x, y in points:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _stroke(line: Line) -> str:
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    return f'stroke="{line.colour}" stroke-width="{line.width:g}"{dashes}'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )
