"""``get`` on the home's socket: what a client may ask for, out of a JSON object."""

from __future__ import annotations

from typing import Any

from dragonfly.config import parse_node
from dragonfly.errors import ConfigError
from dragonfly.net.trust import Trust
from dragonfly.peer.download.request import FetchRequest
from dragonfly.task.digest import Digest

__all__ = ["parse_get"]


def parse_get(message: dict[str, Any]) -> FetchRequest:
    """Turn a ``get`` message into a request.

    :raises ConfigError: a field is missing or wrong; the text names it.
    """
    digest = _optional(message, "digest", str)
    return FetchRequest(
        url=_need(message, "url", str),
        headers=tuple(_pair(each) for each in _list(message, "headers")),
        filters=tuple(_text("filters", each) for each in _list(message, "filters")),
        identifier=_optional(message, "identifier", str) or "",
        digest=Digest.parse(digest) if digest else None,
        pattern=_optional(message, "pattern", str) or "p2p",
        notbs=bool(message.get("notbs", False)),
        nodes=tuple(parse_node(_text("nodes", each)) for each in _list(message, "nodes")),
        local_limit=_count(message, "locallimit"),
        total_limit=_count(message, "totallimit"),
        min_rate=_count(message, "minrate"),
        timeout_s=_optional(message, "timeout", (int, float)),
        client_queue=_count(message, "clientqueue"),
        trust=Trust(
            cacerts=_optional(message, "cacerts", str),
            insecure=bool(message.get("insecure", False)),
        ),
        callsystem=_optional(message, "callsystem", str) or "",
    )


def _need(message: dict[str, Any], key: str, kind: Any) -> Any:
    value = _optional(message, key, kind)
    if value is None:
        raise ConfigError(f"the request lacks {key!r}")
    return value


def _optional(message: dict[str, Any], key: str, kind: Any) -> Any:
    value = message.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ConfigError(f"{key!r} has a value of the wrong type: {value!r}")
    return value


def _count(message: dict[str, Any], key: str) -> int | None:
    value: int | None = _optional(message, key, int)
    if value is not None and value < 1:
        raise ConfigError(f"{key!r} is {value}, less than one")
    return value


def _list(message: dict[str, Any], key: str) -> list[Any]:
    value = _optional(message, key, list)
    return [] if value is None else list(value)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{key!r} holds {value!r}, which is not text")
    return value


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigError("'headers' holds something other than a pair of name and value")
    return _text("headers", value[0]), _text("headers", value[1])
