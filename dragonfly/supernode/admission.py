"""May this caller have this content, and which version of it is there now?

The origin decides, asked with the caller's own headers: what a cache holds must not open a
door that the origin keeps shut. An answer counts only if the question was put after the
caller asked, so that a file which was replaced a moment ago is seen; callers who come
while a question is under way share the next one. So the origin sees at most one question
for each URL and credential per round trip of its own, however many callers there are.

A yes to a HEAD is no yes where everybody gets it: some origins ask for credentials with a GET
only. So it counts if the origin refuses strangers a HEAD, or if it has answered a GET for one byte
to the same caller within :data:`~dragonfly.supernode.questions.GIVEN_S`; else such a GET decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from blake3 import blake3
from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import OriginError, OriginRefused, OriginUndecided, OriginUnreachable
from dragonfly.net.reply import OriginReply, strong
from dragonfly.net.tasks import TaskSet
from dragonfly.store.newest import Newest
from dragonfly.supernode.questions import Access, Prober, Questions

__all__ = [
    "ADMISSION_S",
    "HARMLESS",
    "Admission",
    "Admitted",
]

ADMISSION_S = 300.0
"""How long a yes holds for content named by its digest: the life of a grant."""

ADMITTED_MAX = 4096
"""Answers kept; an answer has a few KiB of headers, so this stays near 10 MiB."""

HARMLESS = frozenset(
    {"accept", "accept-language", "cache-control", "pragma", "user-agent", "x-request-id"}
)
"""Headers (lower case) that say nothing of who asks; all others may be what admits a caller."""

_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@attrs.frozen(kw_only=True)
class Admitted:
    """The origin's yes.

    ``access`` is what to fetch with: without credentials where the content is public.
    ``audience`` is empty if everybody the origin admits gets the same bytes; otherwise only
    callers with the same audience may share them, unless a digest or a strong validator
    shows that the bytes are the same.
    """

    reply: OriginReply
    access: Access
    public: bool
    audience: str = ""

    @property
    def for_everybody(self) -> bool:
        """Whether all callers whatever get these bytes: public, and no header decides (Vary)."""
        return self.public and not _varied(self.reply)


class Admission:
    """Asks origins on behalf of callers; see the module's text for the rules.

    :param prober: the client for callers on loopback (``True``) and for all others.
    :param secret: keys the hashes that stand for credentials; 32 bytes.
    :param failure_s: how long an unreachable URL is not tried again; doubles, to a minute.
    """

    def __init__(
        self,
        prober: Callable[[bool], Prober],
        clock: IReactorTime,
        tasks: TaskSet,
        *,
        secret: bytes,
        failure_s: float = 5.0,
    ) -> None:
        self._questions = Questions(prober, clock, tasks, failure_s=failure_s)
        self._clock = clock
        self._secret = secret
        self._admitted: Newest[tuple[bytes, bytes], tuple[float, Admitted]] = Newest(ADMITTED_MAX)

    def access(
        self, url: str, headers: Sequence[tuple[str, str]] = (), *, loopback: bool = False
    ) -> Access:
        """Name one caller's way to ``url``; headers that are the fetcher's own are left out."""
        kept = tuple((name, value) for name, value in headers if name.lower() not in _OURS)
        hasher = blake3(key=self._secret)
        for part in (url, str(loopback), *(text for pair in sorted(kept) for text in pair)):
            data = part.encode("utf-8", "surrogateescape")
            hasher.update(len(data).to_bytes(4, "big") + data)
        return Access(url=url, headers=kept, loopback=loopback, key=hasher.digest())

    async def check(
        self, access: Access, name: bytes, *, immutable: bool = False, opening: bool = False
    ) -> Admitted:
        """Ask the origin whether ``access`` is admitted, first without its credentials.

        Where strangers are given the same version, the content is public.

        :param name: id of the content's name.
        :param immutable: the name contains the digest: a yes is good for
            :data:`ADMISSION_S` and need not be fresh.
        :param opening: nothing of it is here: a yes will be followed by the fetch.
        :raises OriginRefused: the origin says no to this caller.
        :raises OriginError: it cannot be reached, or must not be.

        Cancelling gives up this caller's place; the question, shared by others, goes on.
        """
        anonymous = self._without_credentials(access)
        if immutable:
            for kept in (anonymous, access):
                admitted = self._remembered(name, kept)
                if admitted is not None:
                    return admitted
        admitted = await self._ask(access, anonymous, opening=opening)
        if immutable:
            self._remember(name, admitted)
        return admitted

    async def _ask(self, access: Access, anonymous: Access, *, opening: bool) -> Admitted:
        if anonymous is access:
            return self._public(await self._certain(access, opening=opening), access)
        told_apart = True
        try:
            public = await self._questions.fresh(anonymous)
            if not self._questions.counts(anonymous):
                told_apart = False
                public = await self._questions.fresh(anonymous, by_get=True)
        except OriginRefused as refusal:  # the caller's own credentials decide
            by_get = not (told_apart or self._questions.counts(access))
            return self._private(await self._decided(access, refusal, by_get=by_get), access)
        own = await self._certain(access)
        if self._varies_by_credential(public, access) or not _same_version(public, own):
            # Strangers get something else, perhaps a page where to log in.
            return self._private(own, access)
        return self._public(public, anonymous)

    async def _certain(self, access: Access, *, opening: bool = False) -> OriginReply:
        """The answer to a HEAD if that counts, else to a GET."""
        by_get = not self._questions.counts(access)
        return await self._questions.fresh(access, by_get=by_get, opening=opening)

    async def _decided(
        self, access: Access, refusal: OriginRefused, *, by_get: bool
    ) -> OriginReply:
        """The answer to credentials where strangers are refused.

        What an outage lets through must not be had by sending what causes one.
        """
        try:
            return await self._questions.fresh(access, by_get=by_get)
        except OriginError as error:
            silent = isinstance(error, OriginUnreachable) or error.status >= 500
            if not silent or refusal.status >= 500:
                raise
            raise OriginUndecided(str(error), error.status) from None

    def _public(self, reply: OriginReply, access: Access) -> Admitted:
        variant = self._variant(reply, access)
        return Admitted(reply=reply, access=access, public=True, audience=variant)

    def _private(self, reply: OriginReply, access: Access) -> Admitted:
        return Admitted(reply=reply, access=access, public=False, audience=access.key.hex())

    # -- who may share -------------------------------------------------------------

    def _without_credentials(self, access: Access) -> Access:
        """The same access with harmless headers only; itself if it has no others."""
        harmless = tuple(pair for pair in access.headers if pair[0].lower() in HARMLESS)
        if harmless == access.headers:
            return access
        return self.access(access.url, harmless, loopback=access.loopback)

    def _varies_by_credential(self, reply: OriginReply, access: Access) -> bool:
        return any(
            name not in HARMLESS and access.header(name) is not None for name in _varied(reply)
        )

    def _variant(self, reply: OriginReply, access: Access) -> str:
        """What of the request the content depends on, hashed; empty for nothing."""
        sent = [(name, access.header(name)) for name in sorted(_varied(reply))]
        told = [f"{name}: {value}" for name, value in sent if value is not None]
        if not told:
            return ""
        return blake3("\n".join(told).encode(), key=self._secret).hexdigest()

    # -- memory ------------------------------------------------------------------------

    def _remembered(self, name: bytes, access: Access) -> Admitted | None:
        until, admitted = self._admitted.get((name, access.key), (0.0, None))
        return admitted if self._clock.seconds() < until else None

    def _remember(self, name: bytes, admitted: Admitted) -> None:
        until = self._clock.seconds() + ADMISSION_S
        self._admitted.put((name, admitted.access.key), (until, admitted))


def _same_version(one: OriginReply, other: OriginReply) -> bool:
    """Whether two answers are certainly about the same bytes."""
    tags = strong(one.etag), strong(other.etag)
    if tags != (None, None):
        return tags[0] == tags[1]
    dated = one.last_modified is not None and one.length is not None
    return dated and (one.last_modified, one.length) == (other.last_modified, other.length)


def _varied(reply: OriginReply) -> set[str]:
    """Names of request headers that the answer depends on; the encoding is always ours."""
    lists = reply.headers_all("vary")  # often several, one for each layer of a server
    names = {part.strip().lower() for each in lists for part in each.split(",")}
    return names - {"", "*", "accept-encoding", "origin"}
