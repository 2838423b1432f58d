"""What content is called: names that any client can compute, versions, task ids.

A *name* is what is known before anybody is asked: the URL after filters, or, where the path
carries a digest, that digest together with the origin. The caller chooses which origin is
asked, so a digest alone is not a name. A *version* is what the origin says the name stands
for now; name and version make the *task*.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from string import ascii_letters, digits
from typing import Literal, Protocol
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urlsplit

import attrs
from blake3 import blake3

from dragonfly.errors import ConfigError
from dragonfly.hostnames import ascii_host
from dragonfly.hostport import DEFAULT_PORTS
from dragonfly.task.digest import Digest
from dragonfly.task.signedurls import signing_parameters

__all__ = [
    "Name",
    "Reply",
    "Version",
    "basic_of",
    "content_version",
    "name_of",
    "origin_of",
    "split_userinfo",
    "strong_etag",
    "task_id",
]

_BLOB = re.compile(r"(.*?)/v2/.+/blobs/sha256(?::|%3[Aa])([0-9a-f]{64})")
"""The path of a registry's API: elsewhere anybody may have put a file of such a name. What stands
before it is another registry, or no registry: it is part of the name."""
_NOT_IN_HOSTS = frozenset(' "%<>\\^`{|}')  # IDNA can make a space of an accent
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, as a byte that is not UTF-8 becomes one."""
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset(f"{ascii_letters}{digits}-._~")
_AS_WRITTEN = "!#$%&'()*+,/:;=?@[]~"
_NAME_CONTEXT = b"dragonfly name 1\0"
_TASK_CONTEXT = b"dragonfly task 1\0"


@attrs.frozen(kw_only=True)
class Name:
    """What content is called by everybody who wants it.

    ``text`` is canonical and holds no userinfo; ``id`` is its BLAKE3; ``url`` is the URL
    without filtered parameters, fragment and user; ``origin`` is where it is
    (:func:`origin_of`); ``digest`` the digest that is part of it.
    """

    text: str
    id: bytes
    url: str
    origin: str
    digest: Digest | None = None


@attrs.frozen
class Version:
    """Which content a name stands for: by digest, strong ETag, modification or fetch number.

    ``audience`` is empty when every admitted caller gets the same bytes; else it keeps apart
    the callers who might not.
    """

    kind: Literal["digest", "etag", "modified", "fetch"]
    value: str
    audience: str = ""


class Reply(Protocol):
    """What of an origin's answer decides about the version."""

    @property
    def length(self) -> int | None:
        """Bytes of the whole content, None if the origin does not say."""

    def header(self, name: str) -> str | None:
        """Give a header's value, None if it was not sent."""

    def headers_all(self, name: str) -> list[str]:
        """Give all values of a header."""


def name_of(
    url: str,
    *,
    filters: Iterable[str] = (),
    identifier: str = "",
    digest: Digest | None = None,
) -> Name:
    """Compute the name of a URL.

    :param filters: names of query parameters that do not change the content. Whoever leaves out
        others than those that sign URLs shares the name with those who leave out the same, and
        not with who asks for the URL that remains: entity tags may be the same for both.
    :param identifier: makes different names of one URL.
    :param digest: what the caller knows the content to be.
    :raises ConfigError: not an absolute http or https URL.
    """
    parts = _split(url)
    origin = _origin(parts)
    blob = _blob(parts.path)
    left_out = frozenset(filters)
    path, query = parts.path or "/", _filtered(parts.query, left_out)
    local = path + (f"?{query}" if query else "")
    if blob is not None:
        known = Digest.parse(f"sha256:{blob[2]}")
        if digest is not None and digest.algorithm == known.algorithm and digest != known:
            raise ConfigError(f"the URL is for {known}, the digest asked for is {digest}")
        text = f"blob {known} at {origin}{_uniform(blob[1])}"
        digest = known
    else:
        text = f"url {origin}{_uniform(local)}{_without(parts.query, left_out)}"
        if digest is not None:
            text += f" as {digest}"
    if identifier:
        text += f" for {identifier}"
    named = blake3(_NAME_CONTEXT + text.encode("utf-8", "surrogatepass")).digest()
    return Name(text=text, id=named, url=origin + local, origin=origin, digest=digest)


def task_id(name: Name, version: Version) -> bytes:
    """Give the 32-byte id of one version of a name."""
    hasher = blake3(_TASK_CONTEXT + name.id)
    for part in (version.kind, version.value, version.audience):
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(4, "big") + data)
    return hasher.digest()


def content_version(
    reply: Reply, *, digest: Digest | None, fetch: int, audience: str = ""
) -> Version | None:
    """Say which version an origin's answer announces; None: never to be shared.

    A digest decides alone: the bytes cannot differ, and who may have them is checked for
    each caller anyway. A strong ETag makes callers share who might see different content
    otherwise. Without either, callers of different ``audience`` are kept apart.

    :param fetch: the number that stands for this moment where nothing else tells versions
        apart.
    """
    if digest is not None:
        return Version("digest", str(digest))
    if _unshareable(reply):
        return None
    etag = strong_etag(reply.header("etag"))
    if etag is not None:
        return Version("etag", etag)
    modified = reply.header("last-modified")
    if modified and reply.length is not None:
        return Version("modified", f"{modified} {reply.length}", audience)
    return Version("fetch", str(fetch), audience)


def strong_etag(header: str | None) -> str | None:
    """Give an entity tag if it is strong (RFC 9110, 8.8.1), else None."""
    if header is None:
        return None
    tag = header.strip()
    strong = len(tag) >= 2 and tag[0] == tag[-1] == '"'
    return tag if strong else None


def origin_of(url: str) -> str:
    """Give ``scheme://host:port`` of a URL, normalised.

    :raises ConfigError: not an absolute http or https URL.
    """
    return _origin(_split(url))


def split_userinfo(url: str) -> tuple[str, str | None]:
    """Take ``user:password@`` out of a URL; give it as a Basic ``Authorization`` value.

    :raises ConfigError: not an absolute http or https URL.
    """
    parts = _split(url)
    authorization = basic_of(parts.netloc)
    if authorization is None:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl(), authorization


def basic_of(netloc: str) -> str | None:
    """Give the ``Authorization`` that ``user:password@`` before a host stands for."""
    userinfo, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, _, password = userinfo.partition(":")
    plain = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {base64.b64encode(plain).decode()}"


def _split(url: str) -> SplitResult:
    shown = url.split("?", 1)[0].rpartition("@")[2] if "@" in url else url.split("?", 1)[0]
    if _BLANK.search(url):
        raise ConfigError(f"URL {shown!r}: it has a space or control character in it")
    if not url.isascii() and _HALF.search(url):
        raise ConfigError(f"URL {shown!r}: it is not Unicode text; write such bytes as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"URL {shown!r}: {error}") from None
    if parts.scheme.lower() not in DEFAULT_PORTS:
        raise ConfigError(f"URL {shown!r}: it does not begin with http:// or https://")
    if not parts.hostname:
        raise ConfigError(f"URL {shown!r}: it names no host")
    if port == 0:
        raise ConfigError(f"URL {shown!r}: port 0")
    return parts


def _origin(parts: SplitResult) -> str:
    scheme = parts.scheme.lower()
    return f"{scheme}://{_host(parts.hostname or '')}:{parts.port or DEFAULT_PORTS[scheme]}"


def _host(host: str) -> str:
    """One spelling for each host: lower case, IDNA, compressed IPv6 in brackets."""
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host.partition('%')[0]).compressed}]"
        except ValueError:
            raise ConfigError(f"URL host {host!r} is not an IPv6 address") from None
    try:
        spelled = ascii_host(host)
    except UnicodeError:
        raise ConfigError(f"URL host {host!r} is not a host name") from None
    if not spelled.strip(".") or not _NOT_IN_HOSTS.isdisjoint(spelled):
        raise ConfigError(f"URL host {host!r} is not a host name")
    return spelled.removesuffix(".")


def _blob(path: str) -> re.Match[str] | None:
    """The path of a registry's API, if it is what it looks like: servers follow dot segments."""
    if any(part.partition(";")[0] in (".", "..") for part in unquote(path).split("/")):
        return None
    return _BLOB.fullmatch(path)


def _uniform(local: str) -> str:
    """One spelling for all paths and queries that are the same by RFC 3986, 6.2.2.

    What need not be encoded is not, what must be is, in capitals.
    """
    return quote(_ESCAPE.sub(_plain_or_capitals, local), safe=_AS_WRITTEN)


def _plain_or_capitals(escape: re.Match[str]) -> str:
    if escape[1] is None:  # no escape: nothing that follows may make it look like one
        return "%%"
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _filtered(query: str, filters: frozenset[str]) -> str:
    if not filters:
        return query
    kept = (part for part in query.split("&") if unquote(part.partition("=")[0]) not in filters)
    return "&".join(kept)


def _without(query: str, filters: frozenset[str]) -> str:
    """Which parameters were left out, apart from signatures, as part of a name."""
    if not filters:
        return ""
    names = {unquote(part.partition("=")[0]) for part in query.split("&")} if query else set()
    taken = (names & filters) - set(signing_parameters("?" + query))
    return " without " + ",".join(quote(name, safe="") for name in sorted(taken)) if taken else ""


def _unshareable(reply: Reply) -> bool:
    """Whether the origin forbids that one caller's answer is given to another."""
    if reply.header("set-cookie") is not None:
        return True
    directives = {
        part.partition("=")[0].strip().lower()
        for value in reply.headers_all("cache-control")
        for part in value.split(",")
    }
    if directives & {"private", "no-store"}:
        return True
    return any(
        part.strip() == "*" for value in reply.headers_all("vary") for part in value.split(",")
    )
