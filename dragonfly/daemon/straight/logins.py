"""Logging in at registries that only the path names; pure.

Engines of the containers/image family (podman, CRI-O, skopeo, buildah) ask ``GET /v2/`` how to log
in, which names no registry, and have one token for each repository. So they are sent to us for
tokens: the scope of a token names the repository, with the registry in its path. A token of the
registry's own is passed on; where the registry knows passwords only, or asks for nothing, ours
stands for that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from urllib.parse import parse_qsl, urlencode

import attrs

from dragonfly.daemon.http.messages import Headers, RequestHead, find, find_all
from dragonfly.daemon.straight.challenge import parse_challenge

__all__ = [
    "TOKEN_PATH",
    "Challenge",
    "asks_how",
    "challenge_of",
    "local_token",
    "our_challenge",
    "scope_of",
    "token_target",
    "with_credentials",
]

TOKEN_PATH = b"/dragonfly/token"

_FAMILY = re.compile(rb"^(containers|skopeo|buildah|podman|libpod|cri-o)/", re.IGNORECASE)
_HOST = re.compile(rb"[A-Za-z0-9.:\[\]_-]{1,255}")
_BASIC = b"dragonfly-basic."
_NOBODY = b"dragonfly-nobody"


@attrs.frozen(kw_only=True)
class Challenge:
    """How a registry wants to be logged in at.

    :ivar scheme: ``bearer``, ``basic``, or empty: it asks for nothing.
    """

    scheme: str = ""
    realm: str = ""
    service: str = ""


def asks_how(head: RequestHead) -> bool:
    """Whether this is such an engine that asks how to log in, not knowing where."""
    path = head.target.partition(b"?")[0].rstrip(b"/")
    agent = find(head.headers, b"user-agent") or b""
    known = find(head.headers, b"authorization") is not None
    return path == b"/v2" and head.method == b"GET" and not known and bool(_FAMILY.match(agent))


def our_challenge(head: RequestHead) -> Headers:
    """The lines that send a client to us for tokens."""
    host = find(head.headers, b"host") or b""
    if not _HOST.fullmatch(host):  # it stands in a quoted string
        host = b"localhost"
    scheme = b"https" if head.secure else b"http"
    realm = b'Bearer realm="%b://%b%b",service="dragonfly"' % (scheme, host, TOKEN_PATH)
    return (
        (b"WWW-Authenticate", realm),
        (b"Docker-Distribution-Api-Version", b"registry/2.0"),
    )


def challenge_of(headers: Headers) -> Challenge | None:
    """What a registry's 401 asks for; ``None``: nothing that is known here."""
    for line in find_all(headers, b"www-authenticate"):
        scheme, said = parse_challenge(line.decode("latin-1"))
        if scheme == "basic":
            return Challenge(scheme=scheme)
        if scheme == "bearer" and said.get("realm"):
            return Challenge(scheme=scheme, realm=said["realm"], service=said.get("service", ""))
    return None


def scope_of(target: bytes) -> tuple[str, str]:
    """Repository and actions of the first scope in a request for a token; empty: none."""
    for name, value in _query(target):
        kind, _, rest = value.partition(":")
        repository, _, actions = rest.rpartition(":")
        if name == "scope" and kind == "repository" and repository:
            return repository, actions
    return "", ""


def token_target(path: str, query: str, asked: bytes, scope: str, service: str) -> bytes:
    """What the registry's realm is asked for: the client's request, with names as they are there.

    :param path: of the realm, percent-encoded.
    :param query: that the realm has already.
    """
    kept = [(name, value) for name, value in _query(asked) if name not in ("scope", "service")]
    kept += [("service", service)] if service else []
    kept += [("scope", scope)] if scope else []
    said = "&".join(part for part in (query, urlencode(kept)) if part)
    return f"{path or '/'}?{said}".encode("ascii", "replace")


def local_token(challenge: Challenge, headers: Headers, place: str) -> bytes:
    """A token of our own, as JSON: for the registry at ``place`` (``host:port``), which gives
    none. It counts there only."""
    token = _NOBODY
    given = find(headers, b"authorization") or b""
    if challenge.scheme == "basic" and given.lower().startswith(b"basic "):
        token = _mark(place) + base64.urlsafe_b64encode(given[6:].strip())
    return json.dumps({"token": token.decode(), "access_token": token.decode()}).encode()


def with_credentials(headers: Headers, place: str) -> Headers:
    """The headers with what our own tokens stand for at the registry ``place``."""
    kept = []
    for name, value in headers:
        if name.lower() == b"authorization" and value.lower().startswith(b"bearer dragonfly-"):
            credentials = _behind(value[7:].strip(), _mark(place))
            if credentials:
                kept.append((name, credentials))
        else:
            kept.append((name, value))
    return tuple(kept)


def _mark(place: str) -> bytes:
    return _BASIC + hashlib.sha256(place.encode()).hexdigest()[:16].encode() + b"."


def _behind(token: bytes, mark: bytes) -> bytes:
    if not token.startswith(mark):
        return b""
    try:
        return b"Basic " + base64.b64decode(token[len(mark) :], b"-_", validate=True)
    except binascii.Error:
        return b""


def _query(target: bytes) -> list[tuple[str, str]]:
    text = target.partition(b"?")[2].decode("latin-1")
    return parse_qsl(text, keep_blank_values=True)
