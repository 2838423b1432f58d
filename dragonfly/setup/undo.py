"""The way back: files as they were, or, where the user changed them since, without our entries."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from dragonfly.setup import containersconf, criconfig, dockerjson, hosts
from dragonfly.setup.block import without
from dragonfly.setup.plan import Change, Plan
from dragonfly.setup.record import SUFFIX, Entry, digest
from dragonfly.setup.tree import Tree

__all__ = ["kept_backups", "undone"]

_Release = Callable[[str, "str | None", str, str], "str | None"]
"""Takes the text, the text as it was, what is ours, and the path for errors."""


def undone(tree: Tree, entries: Mapping[str, Entry]) -> Plan:
    """Plan the way back for all of these.

    :raises ConfigError: a file cannot be read, or nobody can tell any more what in it is ours.
    """
    changes, notes = [], []
    for path, entry in entries.items():
        now = tree.read(path)
        before = None if entry.made else tree.read(path + SUFFIX)
        if now is None:
            notes.append(f"{path} is not there any more")
            continue
        if _untouched(now, before, entry):
            changes.append(Change(path, now, before))
            continue
        changes.append(Change(path, now, _taken_out(path, now, before, entry)))
        notes.append(f"{path} was changed since: only the entries of dfdaemon setup are taken out")
    return Plan(tuple(changes), tuple(notes))


def kept_backups(tree: Tree, entries: Mapping[str, Entry], plan: Plan) -> list[str]:
    """Give the copies that are worth keeping: what they hold is nowhere else afterwards."""
    after = {change.path: change.after for change in plan.changes}
    copies = {path: tree.read(path + SUFFIX) for path in entries}
    return [p + SUFFIX for p, text in copies.items() if text is not None and text != after.get(p)]


def _untouched(now: str, before: str | None, entry: Entry) -> bool:
    return entry.sha256 == digest(now) and (entry.made or before is not None)


def _taken_out(path: str, now: str, before: str | None, entry: Entry) -> str | None:
    """The file without our entries; it goes only if we made it, also where its copy is lost."""
    was = before if entry.made or before is not None else ""
    after = _release(path)(now, was, entry.ours, path)
    return without(now, path) if after is None and not entry.made else after


def _release(path: str) -> _Release:
    name = posixpath.basename(path)
    return _RELEASES.get(name, _leave) if not path.endswith(".conf") else _containers


def _hosts(now: str, _before: str | None, _ours: str, source: str) -> str | None:
    return hosts.released(now, source)


def _containers(now: str, _before: str | None, _ours: str, source: str) -> str | None:
    return containersconf.released(now, source)


def _leave(now: str, _before: str | None, _ours: str, _source: str) -> str | None:
    """A certificate that the user put in the place of ours."""
    return now


_RELEASES: Mapping[str, _Release] = {
    "hosts.toml": _hosts,
    "config.toml": criconfig.undirected,
    "daemon.json": dockerjson.released,
}
