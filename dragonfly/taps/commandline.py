"""The command line of this process, for another one that takes its place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dragonfly.errors import ConfigError

__all__ = ["next_command", "next_twistd_command"]

_TAKEOVER = "--takeover"


def next_command(executable: str, whole: Sequence[str], argv: Sequence[str]) -> list[str]:
    """What runs the same again, with ``--takeover``.

    The files are looked up anew: what is at their paths by then is the new version.

    :param executable: the interpreter's path; empty: as it was typed.
    :param whole: everything that was typed, the interpreter and its options too.
    :param argv: what the program got of it.
    """
    command = [executable or whole[0], *whole[1:]]
    return command if _TAKEOVER in argv[1:] else [*command, _TAKEOVER]


def next_twistd_command(executable: str, whole: Sequence[str], argv: Sequence[str]) -> list[str]:
    """The same for ``twistd dfdaemon``.

    :raises ConfigError: it is a daemon or has a pid file, which names the process that was
        started, keeps others from starting, and is removed when that one ends.
    """
    words = list(argv[1:])
    ours = words.index("dfdaemon") if "dfdaemon" in words else 0
    if not (_in_foreground(words[:ours]) and _without_pid_file(words[:ours])):
        raise ConfigError(
            "that needs 'twistd --nodaemon --pidfile= dfdaemon ...', or 'dfdaemon ...'"
        )
    return next_command(executable, whole, argv)


def _in_foreground(words: Sequence[str]) -> bool:
    return "--nodaemon" in words or any(set("n") < set(word) <= set("-nobe") for word in words)


def _without_pid_file(words: Sequence[str]) -> bool:
    return "--pidfile=" in words or ("--pidfile", "") in pairwise(words)
