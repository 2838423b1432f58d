"""``WWW-Authenticate``: how a server wants to be logged in at; pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import parse_http_list, parse_keqv_list

__all__ = ["parse_challenge"]


def parse_challenge(text: str) -> tuple[str, Mapping[str, str]]:
    """Take one line of it apart: the scheme and the names of its parameters in lower case.

    What is malformed is left out.
    """
    scheme, _, rest = text.strip().partition(" ")
    pairs = [item for item in parse_http_list(rest) if item.partition("=")[2]]
    said = {name.lower(): value for name, value in parse_keqv_list(pairs).items()}
    return scheme.lower(), said
