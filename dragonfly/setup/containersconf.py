"""``registries.conf`` and its drop-ins, which podman, CRI-O, skopeo and buildah read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dragonfly.errors import ConfigError
from dragonfly.setup import tomltext
from dragonfly.setup.block import block, blocks, without
from dragonfly.setup.registryname import RegistryName

__all__ = ["mirror_location", "pointed", "registries", "released"]

_HEAD = "# Made by dfdaemon setup.\n"


def mirror_location(netloc: str, host: str, *, default: bool) -> str:
    """Give the place of the mirror for a registry: its name goes into the path of requests.

    containers/image tells a mirror by nothing else which registry it means. It takes no colon
    in a path, so the port stands behind an underscore, which no name of a host has.

    :param host: where the registry really is, with the path that its names have there.
    :param default: it is the one that dfdaemon takes without a name.
    :raises ConfigError: the host is an IPv6 address.
    """
    if default:
        return netloc
    at, _, path = host.partition("/")
    if "[" in at:
        raise ConfigError(f"registry {at}: an IPv6 address cannot stand in a path: use a name")
    return "/".join([netloc, at.replace(":", "_"), *([path] if path else [])])


def pointed(
    text: str | None,
    name: RegistryName,
    netloc: str,
    *,
    default: bool,
    elsewhere: Mapping[str, Any] | None = None,
    source: str = "50-dragonfly.conf",
) -> str:
    """Give the drop-in with a passage for the registry.

    :param netloc: of dfdaemon.
    :param default: see :func:`mirror_location`.
    :param elsewhere: what a file before this one says of the registry. A later file replaces
        the whole table, so its settings and mirrors are said here again, behind dfdaemon.
    :raises ConfigError: it is not TOML, or the user's own lines there name the registry.
    """
    rest = without(text or "", source, name.host)
    if any(each.get("prefix", each.get("location")) == name.host for each in _tables(rest, source)):
        line = tomltext.line_of(rest, rf"=\s*[\"']{name.host}[\"']")
        raise ConfigError(f"{source}:{line}: {name.host} is set up there by hand")
    passage = block(_passage(name, netloc, default, elsewhere or {}), name.host)
    if text and blocks(text).get(name.host) == blocks(passage)[name.host]:
        return text
    made = (rest or _HEAD) + ("" if not rest or rest.endswith("\n") else "\n") + passage
    tomltext.read(made, source)
    return made


def released(text: str, source: str = "50-dragonfly.conf") -> str | None:
    """Give the drop-in without our passages; ``None`` if nothing is left."""
    rest = without(text, source)
    said = [line for line in rest.splitlines() if line.strip() and not line.startswith("#")]
    return rest if said else None


def registries(text: str, source: str) -> dict[str, Mapping[str, Any]]:
    """Give the ``[[registry]]`` tables by their prefix.

    :raises ConfigError: the file is not TOML.
    """
    found = _tables(text, source)
    return {str(each.get("prefix") or each.get("location") or ""): each for each in found}


def _tables(text: str, source: str) -> list[Mapping[str, Any]]:
    found = tomltext.read(text, source).get("registry") or []
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _passage(name: RegistryName, netloc: str, default: bool, elsewhere: Mapping[str, Any]) -> str:
    location = str(elsewhere.get("location") or name.host)
    own: dict[str, Any] = {"prefix": name.host, "location": location}
    own |= {key: value for key, value in elsewhere.items() if key not in (*own, "mirror")}
    if name.scheme == "http":
        own["insecure"] = True
    at = mirror_location(netloc, location, default=default and location == name.host)
    mirrors = [{"location": at, "insecure": True}]
    mirrors += [each for each in elsewhere.get("mirror") or () if each.get("location") != at]
    return "".join([_table("registry", own), *(_table("registry.mirror", m) for m in mirrors)])


def _table(kind: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in values.items()]
    return "\n".join([f"[[{kind}]]", *lines, "", ""])


def _value(value: Any) -> str:
    """Booleans, texts and lists of them: containers-registries.conf has nothing else."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)
