"""Asking origins: probes for admission, streams for the content."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import attrs
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.web.iweb import IResponse

from dragonfly.errors import (
    OriginChanged,
    OriginError,
    OriginRefused,
    OriginUnreachable,
    OriginUntrusted,
)
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.agents import Use
from dragonfly.net.deadline import deadline
from dragonfly.net.doubts import Doubts
from dragonfly.net.drain import discard
from dragonfly.net.originbody import OriginBody
from dragonfly.net.originrequests import KnownMute, OriginRequests, Pairs
from dragonfly.net.origintrusts import Trusts
from dragonfly.net.proxies import Proxies
from dragonfly.net.redirects import REDIRECTS, Walk
from dragonfly.net.reply import OriginReply, Validating, read_reply, strong
from dragonfly.net.trust import Trust
from dragonfly.net.urls import parse_target

__all__ = ["OriginClient"]

# To learn a length that the answer to a GET lacks: somebody waits for the head of ours.
SOON_S = 1.0
# What servers that allow HEAD to fewer than GET do not answer: those say 403 or 405.
_BELIEVED = frozenset({401, 404})


class OriginClient:
    """Asks origins on behalf of one class of callers: one address policy, one trust.

    :param reactor: TCP, time and name resolution.
    :param policy: addresses that may be connected to.
    :param trust: certificates that are believed, and the one that is shown, at each step; of a
        plain :class:`~dragonfly.net.trust.Trust` what
        :class:`~dragonfly.net.origintrusts.WayTrusts` says. Files of those that are certainly
        needed are read here, others when they are needed.
    :param proxies: what origins are reached through; by default they are reached directly.
    :param connect_s: seconds for each address that is tried.
    :param answer_s: seconds from a request to the headers of its answer.

    Errors of all calls: :class:`~dragonfly.errors.ConfigError` for a malformed
    URL, :class:`~dragonfly.errors.OriginUnreachable`,
    :class:`~dragonfly.errors.AddressRefused`, and
    :class:`~dragonfly.errors.OriginRefused` with the origin's status.  No text
    of theirs holds userinfo, a query or a header.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: FetchPolicy | None = None,
        trust: Trust | Trusts | None = None,
        proxies: Proxies | None = None,
        connect_s: float = 10.0,
        answer_s: float = 60.0,
    ) -> None:
        self._reactor = reactor
        self._requests = OriginRequests(
            reactor,
            policy=policy or FetchPolicy(),
            trust=trust or Trust(),
            proxies=proxies,
            connect_s=connect_s,
            answer_s=answer_s,
        )
        self._doubts = Doubts()

    async def probe(
        self,
        url: str,
        headers: Pairs,
        *,
        follow: bool = True,
        brief: bool = False,
        by_get: bool = False,
    ) -> OriginReply:
        """Return what a GET would be answered, without its body.

        A HEAD, and where that tells nothing, a GET for one byte, whose answer
        counts: some servers allow no HEAD, others allow it to fewer, do not
        answer it, answer that there are 0 bytes, or tell something else than
        in the answer to the GET that follows, which is remembered.

        :param follow: with ``False`` a redirect is an answer too (status 3xx).
        :param brief: no answer to HEAD, 401 and 404 are final: for callers who ask for the
            content itself then, and need not wait for the same twice.
        :param by_get: the GET comes first, if *brief* with no more time than a HEAD has, and the
            HEAD only where that tells no length: for callers to whom this origin may not mean the
            same by both.
        """
        headers = tuple(headers)
        told: OriginReply | None = None
        doubtful = url in self._doubts or parse_target(url).origin in self._requests.mute
        if by_get or doubtful:
            told = await self._probe_by_get(url, headers, follow=follow, brisk=by_get and brief)
            if told.length is not None or doubtful:
                return told
        if told is not None:  # which is a yes; perhaps a HEAD tells the length, too
            asking = self._probe_by_head(url, headers, follow=follow, brief=False)
            return await self._soon(asking, told)
        reply = await self._probe_by_head(url, headers, follow=follow, brief=brief)
        return reply or await self._probe_by_get(url, headers, follow=follow)

    async def _soon(
        self, asking: Coroutine[Any, Any, OriginReply | None], told: OriginReply
    ) -> OriginReply:
        """The answer, if there is one in :data:`SOON_S` and it is about what was told already."""
        try:
            reply = await deadline(Deferred.fromCoroutine(asking), SOON_S, self._reactor)
            if reply is not None:
                reply.check_version(told)
        except (OriginError, defer.TimeoutError):
            return told
        return reply or told

    async def get(
        self,
        url: str,
        headers: Pairs,
        *,
        start: int = 0,
        end: int | None = None,
        validator: Validating | None = None,
        checked: bool = False,
    ) -> OriginBody:
        """Ask for the content from byte *start* on and return its body, not yet flowing.

        With an *end* only the bytes before it are asked for; more may come, for instance
        all of them if the origin does not do ranges.

        With a *validator* the rest of that very version is asked for (``If-Range``
        with its strong entity tag); if that is impossible because it has none,
        the content is asked for from the beginning.  Without one, a range is
        taken on trust: for content that is checked in another way.
        ``reply.start`` says where the body really begins: 0 if the origin does
        not do ranges.

        :param checked: the content is short and will be compared with its digest, so that a
            connection which was used before will do, if no header tells who asks: a server
            that sends more bytes than it announced would have them taken for the next body.
        :raises OriginChanged: the origin has another version now.

        Cancelling closes the connection.
        """
        part = start > 0 or end is not None
        ranged = part and (validator is None or strong(validator.etag) is not None)
        headers = tuple(headers)
        extra = _range_headers(start, end, validator) if ranged else ()
        use = Use.CHECKED if checked else Use.SINGLE
        response, walk = await self._requests.ask(b"GET", url, headers, extra, use=use)
        try:
            reply = _accept(response, walk, ranged=ranged)
            if validator is not None:
                reply.check_version(validator)
            if ranged:
                _check_start(reply, start)
            if end is None:  # less than asked for: the body was cut, and counts as such
                reply = attrs.evolve(reply, end=None)
            if reply.status == 416:  # nothing is left: an empty body that begins where asked
                reply = attrs.evolve(reply, start=start)
        except OriginError as error:
            if isinstance(error, OriginChanged) and not start:
                self._doubts.add(url)  # perhaps it is as it was, and HEAD said something else
            discard(response, self._reactor)
            raise
        if reply.status == 206 and reply.length is None:
            # Without the total nobody can tell the end of the content from the
            # end of what the origin chose to send.
            discard(response, self._reactor)
            return await self.get(url, headers, validator=validator)
        return OriginBody(reply, response, self._reactor)

    def doubt(self, url: str) -> None:
        """A HEAD told something of ``url`` that is not so: let a GET tell it from now on."""
        self._doubts.add(url)

    def close(self) -> Deferred[None]:
        """Close the idle connections; fires when they are gone."""
        return self._requests.close()

    async def _probe_by_head(
        self, url: str, headers: Pairs, *, follow: bool, brief: bool
    ) -> OriginReply | None:
        """The answer to a HEAD; ``None``: it says nothing about a GET."""
        try:
            response, walk = await self._requests.ask(
                b"HEAD", url, headers, follow=follow, use=Use.PROBING, brisk=True
            )
            reply = _accept(response, walk)
        except OriginUntrusted:
            raise
        except KnownMute:
            return None
        except OriginUnreachable:
            self._doubts.add(url)  # the next caller need not wait for the same
            if brief:
                raise
            return None
        except OriginRefused as exc:
            if exc.status < 400 or (brief and exc.status in _BELIEVED):
                raise
            return None
        discard(response, self._reactor)
        return None if reply.length == 0 and reply.status not in REDIRECTS else reply

    async def _probe_by_get(
        self, url: str, headers: Pairs, *, follow: bool, brisk: bool = False
    ) -> OriginReply:
        one_byte = (("Range", "bytes=0-0"),)
        response, walk = await self._requests.ask(
            b"GET", url, headers, one_byte, follow=follow, brisk=brisk
        )
        try:
            reply = _accept(response, walk, ranged=True)
        finally:
            discard(response, self._reactor)
        if reply.status == 416:
            if reply.length != 0:
                raise OriginRefused(f"{reply.shown_url}: the origin answered 416", 416)
            # An empty file has no first byte; that is not a refusal.
            return attrs.evolve(reply, status=200)
        return reply


def _range_headers(
    start: int, end: int | None, validator: Validating | None
) -> tuple[tuple[str, str], ...]:
    last = "" if end is None else str(end - 1)
    headers = (("Range", f"bytes={start}-{last}"),)
    tag = strong(validator.etag) if validator is not None else None
    return headers if tag is None else (*headers, ("If-Range", tag))


def _accept(response: IResponse, walk: Walk, *, ranged: bool = False) -> OriginReply:
    """Return the reply if its status is a yes."""
    reply = attrs.evolve(read_reply(response, walk.target.url), passed=walk.passed)
    fine = reply.status in (200, 203) or reply.status in REDIRECTS
    if fine or (ranged and reply.status in (206, 416)):
        return reply
    raise OriginRefused(f"{reply.shown_url}: the origin answered {reply.status}", reply.status)


def _check_start(reply: OriginReply, asked: int) -> None:
    """Check the answer to a range from *asked* on."""
    if reply.status == 416 and reply.length != asked:
        has = "fewer" if reply.length is None else reply.length
        raise OriginChanged(f"{reply.shown_url} has {has} bytes now, {asked} had come", 416)
    if reply.status == 206 and reply.start != asked:
        raise OriginRefused(
            f"{reply.shown_url}: byte {asked} was asked for, byte {reply.start} came", 206
        )
