"""``hosts.toml`` of containerd, which Docker 28 and nerdctl read as well."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from dragonfly.errors import ConfigError
from dragonfly.setup import tomltext
from dragonfly.setup.block import block, without
from dragonfly.setup.registryname import RegistryName

__all__ = ["asked_hosts", "pointed", "released", "same"]

_TABLE = re.compile(r"""^[ \t]*\[[ \t]*["']?host["']?[ \t]*\.""", re.MULTILINE)


def pointed(
    text: str | None,
    mirror: str,
    name: RegistryName | None = None,
    *,
    source: str = "hosts.toml",
    beside: Sequence[str] = (),
) -> str:
    """Give the file with the mirror as its first host; all else stays, other hosts behind it.

    :param name: the registry; ``None``: the file is that of ``_default``.
    :param beside: names of the files in its directory: containerd does not look at certificates
        there any more once there is a hosts.toml, so a new one names them.
    :raises ConfigError: it is not TOML, or its hosts are not written as tables.
    """
    if text is None:
        return _head(name, beside) + block(_entry(mirror, name))
    hosts = tomltext.table(tomltext.read(text, source), "host")
    if any(same(url, mirror) for url in hosts):
        return text
    rest = without(text, source)
    at = _place(rest)
    gap = "" if at < len(rest) or rest.endswith("\n") or not rest else "\n"
    made = rest[:at] + gap + block(_entry(mirror, name)) + rest[at:]
    _check(rest, made, mirror, source)
    return made


def released(text: str, source: str = "hosts.toml") -> str | None:
    """Give the file without the mirror; ``None`` if nothing else is said in it.

    :raises ConfigError: a passage of ours has lost its end.
    """
    rest = without(text, source)
    said = [line for line in rest.splitlines() if line.strip() and not line.startswith("#")]
    return rest if said else None


def asked_hosts(text: str, source: str) -> tuple[str, ...]:
    """Give the URLs that are asked before the registry itself, in their order.

    :raises ConfigError: it is not TOML.
    """
    return tuple(tomltext.table(tomltext.read(text, source), "host"))


def _head(name: RegistryName | None, beside: Sequence[str]) -> str:
    lines = ["# Made by dfdaemon setup."]
    if name is not None:
        lines.append(f"server = {json.dumps(name.server)}")
    authorities = [each for each in beside if each.endswith(".crt")]
    if authorities:
        lines.append(f"ca = {json.dumps(authorities)}")
    pairs = [[each, f"{each[:-5]}.key"] for each in beside if each.endswith(".cert")]
    pairs = [pair for pair in pairs if pair[1] in beside]
    if pairs:
        lines.append(f"client = {json.dumps(pairs)}")
    return "\n".join([*lines, "", ""])


def _entry(mirror: str, name: RegistryName | None) -> str:
    lines = [f"[host.{json.dumps(mirror)}]", '  capabilities = ["pull", "resolve"]']
    if name is not None and name.scheme == "http":  # ?ns= does not tell the scheme
        lines += [f"  [host.{json.dumps(mirror)}.header]"]
        lines += [f"    X-Dragonfly-Registry = [{json.dumps(name.server)}]"]
    return "\n".join([*lines, "", ""])


def _place(text: str) -> int:
    """Where the first host begins, with the comment that stands on it."""
    found = _TABLE.search(text)
    if found is None:
        return len(text)
    before = text[: found.start()].splitlines(keepends=True)
    while before and before[-1].lstrip().startswith("#"):
        before.pop()
    return len("".join(before))


def _check(rest: str, made: str, mirror: str, source: str) -> None:
    """Read it again: what was said must be said still, and the mirror first."""
    was = tomltext.read(rest, source)
    line = tomltext.line_of(rest, r"^[ \t]*[\"']?host\b")
    shape = ConfigError(f'{source}:{line}: write its hosts as tables, [host."https://..."]')
    try:
        now = tomltext.read(made, source)
    except ConfigError:
        raise shape from None
    hosts = dict(tomltext.table(now, "host"))
    first = next(iter(hosts), None)
    hosts.pop(mirror, None)
    others = {key: value for key, value in now.items() if key != "host"}
    kept = {key: value for key, value in was.items() if key != "host"}
    same = others == kept and list(hosts.items()) == list(tomltext.table(was, "host").items())
    if first != mirror or not same:
        raise shape


def same(one: str, other: str) -> bool:
    """Whether two URLs are the same mirror."""
    return one.rstrip("/").removesuffix("/v2") == other.rstrip("/")
