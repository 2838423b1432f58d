"""Room for a guest, a peer that nobody can reach, where nobody has any."""

from __future__ import annotations

from collections.abc import Sequence

from dragonfly.sched.nodes import Nodes

__all__ = ["GUEST_LEAST", "squeeze_in"]

GUEST_LEAST = 6
"""A guest with fewer neighbours is let in where others have chords."""


def squeeze_in(nodes: Nodes, key: bytes, hosts: Sequence[bytes]) -> None:
    """Bring a guest between two of the core that share a chord, so that nobody has more
    neighbours than before; if it has nobody at all, let it take one place of a guest that has
    several.

    :param hosts: some of the core.
    """
    hosts = [host for host in hosts if _free(nodes, key, host)]
    for host in hosts:
        if nodes.degree(key) >= GUEST_LEAST:
            return
        _share_chords(nodes, key, host)
    for host in hosts if not nodes.degree(key) else ():
        richest = max(nodes.guests_of(host), key=nodes.degree, default=None)
        if richest is not None and nodes.degree(richest) > 1:
            nodes.unlink(host, richest)
            nodes.link(key, host)
            return


def _share_chords(nodes: Nodes, key: bytes, host: bytes) -> None:
    for other in nodes.bare_chords(host):
        core = nodes.all[other].core
        if core and _free(nodes, key, host) and _free(nodes, key, other):
            nodes.unlink(host, other)
            nodes.link(key, host)
            nodes.link(key, other)


def _free(nodes: Nodes, key: bytes, other: bytes) -> bool:
    """Whether a chord between the two would be of use."""
    node = nodes.all[key]
    return other not in node.chords and nodes.suits(node, other)
