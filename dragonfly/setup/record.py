"""What was set up, kept for ``--undo``: one small JSON file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from dragonfly.errors import ConfigError
from dragonfly.setup import jsontext

__all__ = ["RECORD", "SUFFIX", "Entry", "digest", "dump", "parse"]

RECORD = "/etc/dragonfly/setup.json"

SUFFIX = ".before-dragonfly"
"""Behind the name of a file: the file as it was. No engine reads files that end so."""


@attrs.frozen(kw_only=True)
class Entry:
    """One file that is set up.

    :ivar engine: whose it is.
    :ivar made: it was not there before.
    :ivar sha256: of what was written last; ``None``: the user changed it in between, so the
        copy from before is not what it should become again.
    :ivar ours: see :class:`~dragonfly.setup.plan.Change`.
    :ivar directories: that were made for it, the outermost first.
    """

    engine: str
    made: bool
    sha256: str | None
    ours: str = ""
    directories: tuple[str, ...] = ()


def digest(text: str) -> str:
    """Give what :attr:`Entry.sha256` holds."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str | None, source: str = RECORD) -> dict[str, Entry]:
    """Read the entries by their path.

    :raises ConfigError: it is not what :func:`dump` writes.
    """
    files = jsontext.read(text or "", source).get("files", {})
    try:
        return {str(path): _entry(each) for path, each in files.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"{source}: not a record of dfdaemon setup") from None


def dump(entries: Mapping[str, Entry]) -> str:
    """Write the entries."""
    return jsontext.dump({"files": {path: attrs.asdict(each) for path, each in entries.items()}})


def _entry(value: Any) -> Entry:
    directories = tuple(str(each) for each in value["directories"])
    return Entry(
        engine=str(value["engine"]),
        made=bool(value["made"]),
        sha256=None if value["sha256"] is None else str(value["sha256"]),
        ours=str(value["ours"]),
        directories=directories,
    )
