"""Certificates for hosts whose connections are opened: made once, kept, renewed in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure

from dragonfly.daemon.tls.authority import Authority
from dragonfly.daemon.tls.serving import server_options
from dragonfly.net.fanout import OneShot
from dragonfly.store.newest import Newest

__all__ = ["LEAVES_KEPT", "RENEW_S", "Leaves", "RunJob"]

LEAVES_KEPT = 256
"""Far more hosts than anyone has registries; 50 KiB each, mostly OpenSSL's."""

RENEW_S = 24 * 3600.0
"""So long before its end a certificate is made anew: connections that begin with it last long."""

RunJob = Callable[[Callable[[], CertificateOptions]], "Deferred[CertificateOptions]"]
"""Runs a job in a thread."""


@attrs.frozen
class _Kept:
    options: CertificateOptions
    until: float


class Leaves:
    """What TLS is served with, for each host.

    :param run: runs the minting where it delays nobody.
    :param clock: its seconds must be those since 1970.
    """

    def __init__(self, authority: Authority, *, run: RunJob, clock: IReactorTime) -> None:
        self.authority = authority
        self._run = run
        self._clock = clock
        self._kept: Newest[str, _Kept] = Newest(LEAVES_KEPT)
        self._minting: dict[str, OneShot[CertificateOptions]] = {}

    def options(self, host: str) -> Deferred[CertificateOptions]:
        """Give them for a name or an address, in lower case.

        Several who ask for one host at once wait for one minting. Cancelling the Deferred
        stops the waiting only.
        """
        kept = self._kept.get(host)
        if kept is not None and self._clock.seconds() < kept.until:
            self._kept.move_to_end(host)
            return succeed(kept.options)
        minting = self._minting.get(host)
        if minting is None:
            minting = self._mint(host)
        return minting.wait()

    def _mint(self, host: str) -> OneShot[CertificateOptions]:
        minting = self._minting[host] = OneShot()
        now = self._clock.seconds()
        ends: list[float] = []

        def job() -> CertificateOptions:
            leaf = self.authority.mint(host, now)
            ends.append(leaf.until)
            return server_options(leaf)

        def made(result: Any) -> None:
            del self._minting[host]
            if isinstance(result, Failure):
                minting.fail(result)
                return
            self._kept.put(host, _Kept(result, self._good_until(ends[0])))
            minting.fire(result)

        self._run(job).addBoth(made)
        return minting

    def _good_until(self, end: float) -> float:
        # A new one would not last longer where the authority itself ends.
        return end if end >= self.authority.until else end - RENEW_S
