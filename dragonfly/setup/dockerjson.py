"""``daemon.json`` of dockerd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dragonfly.errors import ConfigError
from dragonfly.setup import jsontext

__all__ = ["NO_PROXY", "mirrored", "other_proxies", "proxied", "released"]

NO_PROXY = "localhost,127.0.0.0/8,::1"
"""What dockerd reaches without us: itself and its neighbours."""

_MIRRORS = "registry-mirrors"
_PROXIES = "proxies"


def mirrored(
    text: str | None, mirror: str, source: str = "daemon.json", *, former: str = ""
) -> str:
    """Give the file with the mirror before other mirrors; keys and their order stay.

    :param former: a mirror that an earlier run put there, and that this one replaces.
    :raises ConfigError: it is not JSON, or the key is no list.
    """
    values = jsontext.read(text or "", source)
    given = _list(values, source)
    mirrors = [each for each in given if each == mirror or each != former]
    there = any(_same(each, mirror) for each in mirrors)
    if there and mirrors == given:
        return text or ""
    values[_MIRRORS] = mirrors if there else [mirror, *mirrors]
    return jsontext.dump(values, text or "")


def proxied(text: str | None, proxy: str, source: str = "daemon.json") -> str:
    """Give the file with dfdaemon as dockerd's proxy; its list of exceptions stays.

    :raises ConfigError: it is not JSON, or the key is no object.
    """
    values = jsontext.read(text or "", source)
    given = _proxies(values, source)
    wanted = {**given, **_ours(proxy)}
    wanted.setdefault("no-proxy", NO_PROXY)
    if wanted == given:
        return text or ""
    values[_PROXIES] = wanted
    return jsontext.dump(values, text or "")


def other_proxies(text: str | None, known: Sequence[str], source: str = "daemon.json") -> list[str]:
    """Give the keys below ``proxies`` that name another proxy than these."""
    given = _proxies(jsontext.read(text or "", source), source)
    return [key for key in _ours("") if given.get(key) not in (None, "", *known)]


def released(text: str, before: str | None, ours: str, source: str = "daemon.json") -> str | None:
    """Give the file without our entries; those that ours took the place of come back.

    :param before: the file as it was; ``None``: there was none.
    :param ours: the URL of the mirror.
    :returns: ``None`` if nothing is left that was not made by us.
    """
    values = jsontext.read(text, source)
    was = jsontext.read(before or "", source)
    mirrors = _list(values, source)
    if ours in mirrors and ours not in _list(was, source):
        mirrors.remove(ours)
        values[_MIRRORS] = mirrors
        if not mirrors and _MIRRORS not in was:
            del values[_MIRRORS]
    _release_proxies(values, was, ours, source)
    if not values and before is None:
        return None
    return jsontext.dump(values, text) if values != jsontext.read(text, source) else text


def _release_proxies(values: dict[str, Any], was: dict[str, Any], ours: str, source: str) -> None:
    given = _proxies(values, source)
    old = _proxies(was, source)
    if not any(given.get(key) == ours for key in _ours(ours)):
        return
    for key, value in {**_ours(ours), "no-proxy": NO_PROXY}.items():
        if given.get(key) == value:
            del given[key]
            given |= {key: old[key]} if key in old else {}
    values[_PROXIES] = given
    if not given and _PROXIES not in was:
        del values[_PROXIES]


def _ours(proxy: str) -> dict[str, str]:
    return {"http-proxy": proxy, "https-proxy": proxy}


def _same(one: object, other: str) -> bool:
    return str(one).rstrip("/") == other


def _list(values: dict[str, Any], source: str) -> list[Any]:
    found = values.get(_MIRRORS) or []
    if not isinstance(found, list):
        raise ConfigError(f"{source}: {_MIRRORS} must be a list")
    return list(found)


def _proxies(values: dict[str, Any], source: str) -> dict[str, Any]:
    found = values.get(_PROXIES) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{source}: {_PROXIES} must be an object")
    return dict(found)
