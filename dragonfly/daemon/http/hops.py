"""What of a message concerns one connection only, and what goes all the way.

RFC 9110, 7.6: whoever stands between a client and a registry takes out the lines that are
about its own two connections and leaves every other line as it is: its order, the case of its
name, its repetitions.
"""

from __future__ import annotations

from dragonfly.daemon.http.messages import Headers, RequestHead, find, find_all

__all__ = [
    "binds_connection",
    "body_length",
    "came_through",
    "client_headers",
    "expects_continue",
    "upstream_headers",
]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def upstream_headers(
    head: RequestHead, *, netloc: bytes, length: int | None, via: bytes
) -> Headers:
    """The headers to ask a registry with: the client's, for our own connection.

    :param netloc: for ``Host``.
    :param length: of the body that follows; 0: none; ``None``: it is sent in chunks.
    :param via: the name that we go by in ``Via``.

    Nothing is added that tells the registry more about the client than it told itself.
    """
    kept = [line for line in _end_to_end(head.headers) if line[0].lower() != b"host"]
    framed = _framed(kept, length)
    passed = (b"Via", b"%b %b" % (head.version, via))
    return ((b"Host", netloc), *framed, passed)


def client_headers(headers: Headers) -> Headers:
    """The headers to answer a client with: the registry's, without those of its connection."""
    kept = _end_to_end(headers)
    if find_all(headers, b"transfer-encoding"):  # the chunks counted; this may say otherwise
        kept = [line for line in kept if line[0].lower() != b"content-length"]
    return tuple(kept)


def body_length(method: bytes, status: int, headers: Headers) -> int | None:
    """How many bytes of body follow an answer's head; ``None``: its framing will tell."""
    if method == b"HEAD" or status in (204, 304):
        return 0
    length = find(headers, b"content-length")
    if length is None or find(headers, b"transfer-encoding") is not None:
        return None
    return int(length)


def came_through(headers: Headers, via: bytes) -> bool:
    """Whether a request went through whoever goes by the name *via* before: a loop."""
    passed = b",".join(find_all(headers, b"via")).split(b",")
    names = (entry.split()[1:2] for entry in passed)
    return any(name == [via] for name in names)


def expects_continue(head: RequestHead) -> bool:
    """Whether the client holds its body back until it hears ``100 Continue``."""
    expectation = find(head.headers, b"expect") or b""
    return head.version != b"1.0" and expectation.strip().lower() == b"100-continue"


def binds_connection(headers: Headers) -> bool:
    """Whether a login in these headers may count for all that follows on the connection.

    NTLM and some servers' Negotiate do that: such a connection serves nobody else after it.
    """
    schemes = (value.split()[:1] for value in find_all(headers, b"authorization"))
    return any(scheme and scheme[0].lower() in (b"ntlm", b"negotiate") for scheme in schemes)


def _end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    named = b",".join(find_all(headers, b"connection")).split(b",")
    dropped = _HOP_BY_HOP | ({name.strip().lower() for name in named} - {b"content-length"})
    return [line for line in headers if line[0].lower() not in dropped]


def _framed(lines: list[tuple[bytes, bytes]], length: int | None) -> list[tuple[bytes, bytes]]:
    """The lines with one statement about the body; a length stays where it was."""
    if length is None:
        bare = [line for line in lines if line[0].lower() != b"content-length"]
        return [*bare, (b"Transfer-Encoding", b"chunked")]
    framed, said = [], False
    for name, value in lines:
        if name.lower() != b"content-length":
            framed.append((name, value))
        elif not said:
            said = True
            framed.append((name, b"%d" % length))
    if length and not said:
        framed.append((b"Content-Length", b"%d" % length))
    return framed
