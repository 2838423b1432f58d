"""Values as users write them: each parser names the key and the text that is wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from dragonfly.errors import ConfigError
from dragonfly.limits import parse_duration, parse_rate, parse_size

__all__ = ["Parser", "count", "duration", "ip", "number", "path", "port", "rate", "size", "truth"]

Parser = Callable[[str, str], Any]
"""Takes a key, for the error, and a text; gives the value or raises ``ConfigError``."""


def number(key: str, text: str, least: int, most: int) -> int:
    """Read a decimal number within limits."""
    digits = text.isascii() and text.isdigit() and len(text) <= 18  # int() minds longer ones
    if not digits or not least <= int(text) <= most:
        raise ConfigError(f"{key}: {text!r} is not a number from {least} to {most}")
    return int(text)


def port(key: str, text: str) -> int:
    """Read a port to listen on; 0: any."""
    return number(key, text, 0, 65535)


def count(key: str, text: str) -> int:
    """Read how many of something; at least one."""
    return number(key, text, 1, 1000)


def ip(key: str, text: str) -> str:
    """Read an address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{key}: {text!r} is not an IP address") from None


def truth(key: str, text: str) -> bool:
    """Read yes or no."""
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    if text.lower() not in known:
        raise ConfigError(f"{key}: {text!r} is neither true nor false")
    return known[text.lower()]


def path(key: str, text: str) -> str:
    """Read the name of a file or directory."""
    if not text or "\0" in text:
        raise ConfigError(f"{key}: {text!r} is not a path")
    return text


def rate(key: str, text: str) -> int:
    """Read bytes for each second."""
    return parse_rate(text, key)


def size(key: str, text: str) -> int:
    """Read bytes."""
    return parse_size(text, key)


def duration(key: str, text: str) -> float:
    """Read seconds."""
    return parse_duration(text, key)
