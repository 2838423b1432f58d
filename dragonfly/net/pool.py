"""Connections of HTTP clients, kept without a line in the log for each."""

from __future__ import annotations

from typing import Any

from twisted.web.client import HTTPConnectionPool
from twisted.web.client import _HTTP11ClientFactory as HTTP11ClientFactory

__all__ = ["quiet_pool"]


class _QuietFactory(HTTP11ClientFactory):
    noisy = False


def quiet_pool(reactor: Any, *, persistent: bool) -> HTTPConnectionPool:
    """Make a pool that does not log "Starting factory" for each of its connections.

    :param persistent: whether connections are kept for further requests.
    """
    pool = HTTPConnectionPool(reactor, persistent=persistent)
    pool._factory = _QuietFactory  # noqa: SLF001 - there is no other way to say it
    return pool
