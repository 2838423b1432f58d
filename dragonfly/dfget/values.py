"""What the texts of flags mean; each wrong one is a ConfigError that names the flag and it.

Whatever costs more than a millisecond to import waits until a flag needs it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from dragonfly.errors import ConfigError
from dragonfly.limits import parse_duration

__all__ = [
    "address",
    "chosen_digest",
    "chosen_url",
    "count",
    "header",
    "nodes",
    "number",
    "optional",
    "positive_time",
    "readable",
]

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x1f\x7f]*)")
# What certainly is a node; anything else is read by dragonfly.config, which costs 30 ms.
_PLAIN_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?")


def chosen_url(flag: str | None, positional: str | None) -> str:
    """The URL, which may be given as a flag or as the argument."""
    url = flag or positional
    if not url:
        raise ConfigError("which URL? Give it as the argument or with --url")
    if flag and positional and flag != positional:
        raise ConfigError(f"two URLs: --url {flag!r} and {positional!r}")
    if not _URL.fullmatch(url):
        raise ConfigError(f"URL {url!r}: it must begin with http:// or https:// and a host")
    return url


def chosen_digest(md5: str | None, digest: str | None, identifier: str) -> str | None:
    """The expected digest, with its algorithm."""
    if md5 is not None and digest is not None:
        raise ConfigError("--md5 and --digest: give one of them")
    flag, text = ("--digest", digest) if md5 is None else ("--md5", f"md5:{md5}")
    if text is None:
        return None
    if identifier:
        raise ConfigError(f"--identifier cannot go with {flag}: the digest tells files apart")
    from dragonfly.task.digest import Digest  # noqa: PLC0415 - most downloads name no digest

    try:
        return str(Digest.parse(text))
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from None


def header(text: str) -> tuple[str, str]:
    """A header line for the origin, as name and value."""
    match = _HEADER.fullmatch(text)
    if match is None:  # its value may be a secret, which stays out of terminals and logs
        name = text.partition(":")[0]
        raise ConfigError(f"--header: {name!r} is not the beginning of 'Name: value'")
    return match[1], match[2].rstrip()


def nodes(texts: Sequence[str]) -> list[str]:
    """Supernodes, each as it was given; several may stand in one text."""
    found = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if not all(_PLAIN_NODE.fullmatch(node) for node in found):
        from dragonfly.config import parse_nodes  # noqa: PLC0415 - costs 30 ms, with yaml

        try:
            parse_nodes(",".join(found))
        except ConfigError as error:
            raise ConfigError(f"--node: {error}") from None
    return found


def readable(flag: str, path: str | None) -> str | None:
    """The absolute path of a file that can be read."""
    if path is None:
        return None
    if not os.access(path, os.R_OK) or os.path.isdir(path):
        raise ConfigError(f"{flag}: cannot read {path}")
    return os.path.abspath(path)


def address(text: str) -> str:
    """An IP address, without brackets; empty: none."""
    if not text:
        return ""
    import ipaddress  # noqa: PLC0415 - this flag is rare

    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ConfigError(f"--ip: {text!r} is not an IP address") from None


def number(flag: str, text: str, least: int, most: int) -> int:
    """A whole number in that range."""
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ConfigError(f"{flag}: {text!r} is not a number from {least} to {most}")
    return int(text)


def count(text: str, flag: str) -> int:
    """How many pieces at once."""
    return number(flag, text, 1, 1000)


def positive_time(text: str, flag: str) -> float:
    """Seconds, more than none."""
    seconds = parse_duration(text, flag)
    if seconds <= 0:
        raise ConfigError(f"{flag}: {text!r} leaves no time at all")
    return seconds


def optional(parser: Callable[[str, str], Any], flag: str, text: str | None) -> Any:
    """What *parser* makes of the text, if there is one."""
    return None if text is None else parser(text, flag)
