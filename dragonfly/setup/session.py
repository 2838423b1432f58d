"""One run of ``dfdaemon setup``: a plan, what is remembered of it, and how it is carried out."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from dragonfly.setup.engines import Engine
from dragonfly.setup.plan import Change, Plan, Wanted
from dragonfly.setup.record import RECORD, SUFFIX, Entry, digest, dump, parse
from dragonfly.setup.tree import Tree
from dragonfly.setup.undo import kept_backups, undone

__all__ = ["Disk", "Session"]


class Disk(Tree, Protocol):
    """A tree that can be changed; see :class:`~dragonfly.setup.disk.DiskTree`."""

    def missing(self, path: str) -> tuple[str, ...]:
        """Give the directories above a file that are not there, the outermost first."""

    def carry_out(self, changes: list[Change], like: Mapping[str, str]) -> None:
        """Do all changes in order, or none."""

    def prune(self, directories: Sequence[str]) -> None:
        """Remove these directories, the last first, as long as they are empty."""


class Session:
    """The files of one engine below one root.

    :raises ConfigError: the record of earlier runs cannot be read.
    """

    def __init__(self, tree: Disk, engine: Engine) -> None:
        self._tree = tree
        self._engine = engine
        self._text = tree.read(RECORD)
        self._entries = parse(self._text)

    # -- there -----------------------------------------------------------------------------

    def plan(self, wanted: Wanted) -> Plan:
        """Plan the set-up; nothing is written.

        :raises ConfigError: a file cannot be read or parsed, or contradicts it.
        """
        former = {path: entry.ours for path, entry in self._entries.items()}
        return self._engine.plan(self._tree, attrs.evolve(wanted, former=former))

    def set_up(self, plan: Plan) -> list[str]:
        """Do it; give the copies that were made of files as they were.

        Copies and record come first: whatever interrupts this, ``--undo`` knows the way back.

        :raises ConfigError: something cannot be written, and nothing was.
        """
        changes = [change for change in plan.changes if change.any]
        if not changes:
            return []
        copies = [copy for change in changes if (copy := self._copy(change)) is not None]
        entries = {**self._entries, **{each.path: self._entry(each) for each in changes}}
        record = Change(RECORD, self._text, dump(entries))
        like = {copy.path: copy.path.removesuffix(SUFFIX) for copy in copies}
        self._tree.carry_out([*copies, record, *changes], like)
        return [copy.path for copy in copies]

    def _copy(self, change: Change) -> Change | None:
        """A copy once: one that is there is from the time before the first run."""
        path = change.path + SUFFIX
        if change.before is None or change.path in self._entries:
            return None
        return Change(path, None, change.before) if self._tree.read(path) is None else None

    def _entry(self, change: Change) -> Entry:
        assert change.after is not None  # noqa: S101 - a set-up removes nothing
        known = self._entries.get(change.path)
        if known is None:
            # An old copy without a record: it is older than what the user has now.
            exact = change.before is None or self._tree.read(change.path + SUFFIX) is None
            return Entry(
                engine=self._engine.owner,
                made=change.before is None,
                sha256=digest(change.after) if exact else None,
                ours=change.ours,
                directories=self._tree.missing(change.path),
            )
        gone = change.before is None
        touched = not known.made if gone else known.sha256 != digest(change.before or "")
        sha256 = None if touched else digest(change.after)
        return attrs.evolve(known, sha256=sha256, ours=change.ours)

    # -- and back --------------------------------------------------------------------------

    def plan_undo(self) -> Plan:
        """Plan the way back; nothing is written.

        :raises ConfigError: a file cannot be read, or nobody can tell what in it is ours.
        """
        plan = undone(self._tree, self._mine())
        changed = [change.path for change in plan.changes if change.any]
        steps = (self._engine.back[path] for path in changed if path in self._engine.back)
        return attrs.evolve(plan, steps=tuple(steps))

    def undo(self, plan: Plan) -> list[str]:
        """Do it; give the copies that stay, because their text is nowhere else.

        :raises ConfigError: something cannot be written, and nothing was.
        """
        mine = self._mine()
        if not mine:
            return []
        kept = kept_backups(self._tree, mine, plan)
        copies = [path + SUFFIX for path in mine if path + SUFFIX not in kept]
        gone = [Change(path, "", None) for path in copies if self._tree.read(path) is not None]
        rest = {path: entry for path, entry in self._entries.items() if path not in mine}
        record = Change(RECORD, self._text, dump(rest) if rest else None)
        changes = [change for change in plan.changes if change.any]
        self._tree.carry_out([*changes, *gone, record], {})
        if not rest:
            self._tree.prune((posixpath.dirname(RECORD),))
        for entry in mine.values():
            self._tree.prune(entry.directories)
        return kept

    def _mine(self) -> Mapping[str, Entry]:
        owner = self._engine.owner
        return {path: entry for path, entry in self._entries.items() if entry.engine == owner}
