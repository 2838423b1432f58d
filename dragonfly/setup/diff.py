"""A change as people read it, without what is secret in the file around it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from dragonfly.setup.plan import Change

__all__ = ["unified"]

_SECRETS = (
    (re.compile(r"(://)[^/@\s\"']+@"), r"\1***@"),
    (
        re.compile(r"(?i)([\w-]*(?:authorization|password|secret|token|auth)[\"']?\s*[=:]\s*)\S.*"),
        r"\1***",
    ),
)


def unified(change: Change) -> Iterator[str]:
    """Give the lines of a unified diff, without line ends."""
    before, after = (_lines(text) for text in (change.before, change.after))
    old, new = (_name(change.path, text) for text in (change.before, change.after))
    for line in difflib.unified_diff(before, after, old, new, lineterm=""):
        yield _plain(line)


def _name(path: str, text: str | None) -> str:
    return "/dev/null" if text is None else path


def _lines(text: str | None) -> list[str]:
    return (text or "").splitlines()


def _plain(line: str) -> str:
    for pattern, shown in _SECRETS:
        line = pattern.sub(shown, line)
    return line
