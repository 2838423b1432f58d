"""``hijack_https`` of a configuration, with its authority, as what opens connections."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool

from dragonfly.config import Hijack
from dragonfly.daemon.tls.authority import Authority, load_authority
from dragonfly.daemon.tls.leaves import Leaves
from dragonfly.daemon.tunnels.interception import Interception, Knocker

__all__ = ["authority_of", "interception_of"]


def authority_of(hijack: Hijack | None, clock: IReactorTime) -> Authority | None:
    """Read its files; ``None``: nothing is opened.

    :raises ConfigError: see :func:`~dragonfly.daemon.tls.authority.load_authority`.
    """
    if hijack is None:
        return None
    return load_authority(hijack.cert, hijack.key, now=clock.seconds())


def interception_of(
    hijack: Hijack | None, authority: Authority | None, upstream: Knocker, reactor: Any
) -> Interception | None:
    """Put it together; certificates are minted in threads of the reactor."""
    if hijack is None or authority is None:
        return None
    run = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    return Interception(
        [re.compile(each.regx) for each in hijack.hosts],
        leaves=Leaves(authority, run=run, clock=reactor),
        upstream=upstream,
        clock=reactor,
    )
