"""What a check says: one line, with what to do."""

from __future__ import annotations

from enum import Enum

import attrs

__all__ = ["Finding", "Level", "fail", "ok", "skipped", "warn"]


class Level(Enum):
    """How bad it is; only ``FAIL`` counts for the exit code."""

    OK = "ok"
    SKIPPED = "skip"
    WARN = "WARN"
    FAIL = "FAIL"


@attrs.frozen
class Finding:
    """The result of one check.

    :ivar what: the thing that was looked at.
    :ivar remedy: what to do; empty where nothing is to be done.
    """

    level: Level
    what: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.level.value:<5} {self.what}: {self.text}{remedy}"


def ok(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, what, text)


def skipped(what: str, text: str) -> Finding:
    """It could not be looked at, which says nothing."""
    return Finding(Level.SKIPPED, what, text)


def warn(what: str, text: str, remedy: str) -> Finding:
    """It works, but not as it might."""
    return Finding(Level.WARN, what, text, remedy)


def fail(what: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, what, text, remedy)
