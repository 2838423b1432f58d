"""Host names: the form in which they are asked, and which can be asked at all.

IDNA knows no underscores, and nothing that its tables do not list; names in private networks
(``my_registry``, as Compose makes them) have both, and every resolver and every other client
takes them. So IDNA is for what is not ASCII, and the rest is taken as it is.
"""

from __future__ import annotations

import re

__all__ = ["ascii_host", "is_host_name"]

_LABEL = "[a-z0-9_-]{1,63}"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_CHARS = 253


def ascii_host(host: str) -> str:
    """Return a host as it is asked for: lower-case ASCII, by IDNA 2008 with the mapping of
    UTS 46 as Go's clients and curl do it. An address comes back as it is.

    :raises UnicodeError: the name has characters that no host's name can have.
    """
    if host.isascii():
        return host.lower()
    import idna  # noqa: PLC0415 - takes 7 ms, and hardly anyone needs it

    mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
    labels = (x if x.isascii() else idna.alabel(x).decode("ascii") for x in mapped.split("."))
    name = ".".join(labels)
    if not is_host_name(name):  # the mapping can make a slash of what looks like one
        raise UnicodeError("no name that a host can have")
    return name


def is_host_name(host: str) -> bool:
    """Whether a resolver can be asked for it: letters, digits, hyphens and underscores in
    parts of at most 63, at most 253 in all, and perhaps a dot at the end (RFC 1035, 2.3.4)."""
    return len(host.removesuffix(".")) <= _CHARS and _NAME.fullmatch(host) is not None
