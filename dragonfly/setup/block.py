"""Passages of ours in a file of somebody else: between two comments, and taken out exactly."""

from __future__ import annotations

import re

from dragonfly.errors import ConfigError

__all__ = ["block", "blocks", "without"]

_BEGIN = "# dfdaemon setup: begin"
_END = "# dfdaemon setup: end"
_BLOCK = re.compile(
    rf"^{_BEGIN}(?: (?P<label>\S+))?\r?\n(?P<body>.*?)^{_END}(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL
)


def block(body: str, label: str = "") -> str:
    """Put a passage, which ends in a newline, between its comments."""
    return f"{_BEGIN} {label}".rstrip() + f"\n{body}{_END}\n"


def blocks(text: str) -> dict[str, str]:
    """Give the passages by their label."""
    return {found["label"] or "": found["body"] for found in _BLOCK.finditer(text)}


def without(text: str, source: str, label: str | None = None) -> str:
    """Take passages out: all, or that of one label.

    :raises ConfigError: one has no end any more, so nobody can tell what is ours.
    """

    def rest(found: re.Match[str]) -> str:
        return "" if label is None or (found["label"] or "") == label else found[0]

    left = _BLOCK.sub(rest, text)
    stray = re.search(rf"^{_BEGIN}", _BLOCK.sub("", text), re.MULTILINE)
    if stray is not None:
        raise ConfigError(f"{source}: a line {_BEGIN!r} has no line {_END!r} behind it")
    return left
