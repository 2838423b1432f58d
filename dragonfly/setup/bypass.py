"""Whether the files of engines lead to dfdaemon, and what leads around it silently; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from dragonfly.errors import ConfigError
from dragonfly.hostport import parse_host_port
from dragonfly.setup import containersconf, criconfig, hosts, jsontext, tomltext
from dragonfly.setup.engines import (
    CONTAINERD_CONFIG,
    DOCKER_CERTS_D,
    DOCKER_CONFIG,
    DROP_INS,
    REGISTRIES_CONF,
)
from dragonfly.setup.finding import Finding, Level, fail, ok, skipped, warn
from dragonfly.setup.plan import Mirror
from dragonfly.setup.registryname import RegistryName, host_of_directory
from dragonfly.setup.tree import Tree

__all__ = ["Target", "check_engines"]

_TRANSFERRED = {
    "use_local_image_pull": False,
    "discard_unpacked_layers": False,
    "image_pull_with_sync_fs": False,
    "disable_snapshot_annotations": True,
    "max_concurrent_downloads": 3,
}
"""With any other value containerd 2.1 and later pull without the transfer service."""

_LOOPBACK = re.compile(r"(127\.[0-9.]+|localhost|\[::1\])(:\d+)?")


@attrs.frozen
class Target:
    """Where engines should come.

    :ivar remote: the registry that dfdaemon takes where a request names none.
    :ivar listed: registries that its configuration describes.
    """

    mirror: Mirror
    remote: RegistryName
    listed: tuple[str, ...] = ()


def check_engines(tree: Tree, target: Target) -> list[Finding]:
    """Look at every engine that has a directory in ``/etc``."""
    found: list[Finding] = []
    for name, (directory, check) in _ENGINES.items():
        if tree.names(directory):
            try:
                found += check(tree, target)
            except ConfigError as error:
                found.append(fail(name, str(error), "correct it: the engine does not take it"))
    if not found:
        return [warn("engines", "none found in /etc", "dfdaemon setup ENGINE")]
    return found


# -- containerd ----------------------------------------------------------------------------


def _containerd(tree: Tree, target: Target) -> Iterator[Finding]:
    text = tree.read(CONTAINERD_CONFIG) or ""
    values = tomltext.read(text, CONTAINERD_CONFIG)
    if values.get("imports"):
        remedy = "compare 'containerd config dump'"
        yield warn("containerd", f"{CONTAINERD_CONFIG} imports files not looked at here", remedy)
    if criconfig.without_cri(values):
        yield skipped("containerd", "its CRI plugin is disabled, so only --hosts-dir counts")
        yield from _hosts_files(tree, criconfig.CERTS_D, target.mirror, "containerd")
        return
    registry = criconfig.registry_of(text, CONTAINERD_CONFIG)
    given = str(registry.get("config_path") or "")
    directory = next((part for part in given.split(":") if part), criconfig.CERTS_D)
    found = list(_hosts_files(tree, directory, target.mirror, "containerd"))
    yield from found
    if any(each.level is Level.OK for each in found):
        yield from _config_path(text, registry, given, local=_pulls_locally(values))
        yield from _proxy_of(tree, "containerd", target.mirror)


def _config_path(
    text: str, registry: Mapping[str, Any], given: str, *, local: bool
) -> Iterator[Finding]:
    problem = criconfig.problem(text, registry, CONTAINERD_CONFIG)
    if problem and given:
        yield fail("containerd", problem, "then: dfdaemon setup containerd")
    elif problem:
        yield warn("containerd", problem, "then: dfdaemon setup containerd")
    elif not given:
        text = "config_path is not set, so CRI reads no hosts.toml"
        yield fail("containerd", text, "dfdaemon setup containerd")
    elif ":" in given and not local:
        text = f"config_path {given!r} is one name for pulls by the transfer service (2.1 on)"
        remedy = "dfdaemon setup containerd, or use_local_image_pull = true"
        yield fail("containerd", text, remedy)
    else:
        yield ok("containerd", f"config_path is {given}")


def _pulls_locally(values: Mapping[str, Any]) -> bool:
    """By itself, or because of a setting that the transfer service does not have."""
    section = tomltext.table(values, "plugins", "io.containerd.cri.v1.images")
    usual = {**_TRANSFERRED, **{key: section[key] for key in _TRANSFERRED if key in section}}
    return usual != _TRANSFERRED


def _hosts_files(tree: Tree, directory: str, mirror: Mirror, what: str) -> Iterator[Finding]:
    """Each hosts.toml: broken ones are ignored by the engine without a word."""
    ours = []
    for name in tree.names(directory):
        path = f"{directory}/{name}/hosts.toml"
        text = tree.read(path)
        try:
            asked = hosts.asked_hosts(text, path) if text is not None else ()
        except ConfigError as error:
            remedy = "correct it: the engine ignores the file silently"
            yield fail(what, str(error), remedy)
            continue
        at = [hosts.same(each, mirror.url) for each in asked]
        if at[:1] == [True]:
            ours.append(name)
        elif any(at):  # by hand: dfdaemon setup leaves that as it is
            yield warn(what, f"{path} asks {asked[0]} before dfdaemon", "reorder its hosts")
        elif asked or "_default" in tree.names(directory):
            text = f"{directory}/{name} does not lead to dfdaemon"
            remedy = f"dfdaemon setup {what} --registry {host_of_directory(name)}"
            yield warn(what, text, remedy if name != "_default" else f"dfdaemon setup {what}")
    if ours:
        yield ok(what, f"comes to dfdaemon for {', '.join(ours)}")
    elif what == "containerd":
        yield warn(what, f"nothing in {directory} leads to dfdaemon", "dfdaemon setup containerd")


# -- docker --------------------------------------------------------------------------------


def _docker(tree: Tree, target: Target) -> Iterator[Finding]:
    mirror, remote = target.mirror, target.remote
    values = jsontext.read(tree.read(DOCKER_CONFIG) or "", DOCKER_CONFIG)
    mirrors = values.get("registry-mirrors") or []
    proxies = values.get("proxies") or {}
    if not isinstance(mirrors, list) or not isinstance(proxies, dict):
        raise ConfigError(f"{DOCKER_CONFIG}: registry-mirrors must be a list, proxies an object")
    mirrored = any(hosts.same(str(each), mirror.url) for each in mirrors)
    proxied = mirror.url in (proxies.get("http-proxy"), proxies.get("https-proxy"))
    if mirrored and not remote.hub:
        text = f"asks dfdaemon for images of Docker Hub, and dfdaemon asks {remote.host}"
        yield fail("docker", text, "set registry_mirror.remote to https://index.docker.io")
    elif mirrored and not hosts.same(str(mirrors[0]), mirror.url):
        yield warn("docker", f"asks {mirrors[0]} before dfdaemon", f"reorder {DOCKER_CONFIG}")
    elif mirrored or proxied:
        text = "by registry-mirrors, for Docker Hub" if mirrored else "as its proxy"
        yield ok("docker", f"comes to dfdaemon {text}")
    yield from _hosts_files(tree, DOCKER_CERTS_D, mirror, "docker")
    if not mirrored and not proxied:
        yield warn("docker", f"{DOCKER_CONFIG} does not name dfdaemon", "dfdaemon setup docker")
    if not proxied:
        yield from _proxy_of(tree, "docker", mirror)


def _proxy_of(tree: Tree, unit: str, mirror: Mirror) -> Iterator[Finding]:
    """A proxy of the engine stands before a mirror on another address than loopback, which
    Go programs never reach by one."""
    if _LOOPBACK.fullmatch(mirror.netloc):
        return
    found: dict[str, str] = {}
    directory = f"/etc/systemd/system/{unit}.service.d"
    for name in tree.names(directory):
        for line in (tree.read(f"{directory}/{name}") or "").splitlines():
            if line.strip().startswith("Environment="):
                pairs = re.findall(r"(\w+)=([^\s\"']+)", line.partition("=")[2])
                found |= {key.upper(): value for key, value in pairs}
    host, _ = parse_host_port("--mirror", mirror.netloc)
    if {"HTTP_PROXY", "HTTPS_PROXY"} & set(found) and host not in found.get("NO_PROXY", ""):
        text = f"the proxy in {directory} stands before {mirror.netloc}"
        yield warn(unit, text, f"add {host} to NO_PROXY there")


# -- podman, CRI-O -------------------------------------------------------------------------


def _containers(tree: Tree, target: Target) -> Iterator[Finding]:
    mirror = target.mirror
    names = [f"{DROP_INS}/{name}" for name in tree.names(DROP_INS) if name.endswith(".conf")]
    tables: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for path in (REGISTRIES_CONF, *names):
        text = tree.read(path) or ""
        found = containersconf.registries(text, path)
        tables.update({prefix: (path, table) for prefix, table in found.items()})
    ours = []
    for prefix, (path, table) in tables.items():
        location = _first_mirror(table)
        if location == mirror.netloc or location.startswith(f"{mirror.netloc}/"):
            wrong = _misplaced(prefix, table, location, target)
            if wrong:
                yield fail("podman/crio", f"{path}: {wrong}", "dfdaemon setup podman")
            else:
                ours.append(prefix)
        elif mirror.netloc in str(table.get("mirror")):
            text = f"{path}: {prefix} has another mirror before dfdaemon"
            yield warn("podman/crio", text, "reorder them")
    if ours:
        yield ok("podman/crio", f"come to dfdaemon for {', '.join(ours)}")
    else:
        text = "no registry in registries.conf(.d) has dfdaemon as its mirror"
        yield warn("podman/crio", text, "dfdaemon setup podman, or crio")


def _first_mirror(table: Mapping[str, Any]) -> str:
    mirrors = table.get("mirror") or [{}]
    return str(mirrors[0].get("location", ""))


def _misplaced(prefix: str, table: Mapping[str, Any], location: str, target: Target) -> str:
    """Why requests would come, and not be for that registry; empty: they would be."""
    path = location[len(target.mirror.netloc) + 1 :]
    remote = target.remote
    if ":" in path:
        return f"{location} has a colon in its path, with which every pull of {prefix} fails"
    real = str(table.get("location") or prefix)
    if not path and real != remote.host:
        return f"{prefix} comes without its name, and dfdaemon takes that for {remote.host}"
    host = path.partition("/")[0]
    known = {each.replace(":", "_") for each in target.listed}
    if path and not remote.hub and host not in known:
        return f"dfdaemon.yml does not list {real} under registries, so it looks at {remote.host}"
    return ""


_Check = Callable[[Tree, Target], Iterator[Finding]]

_ENGINES: Mapping[str, tuple[str, _Check]] = {
    "containerd": ("/etc/containerd", _containerd),
    "docker": ("/etc/docker", _docker),
    "podman/crio": ("/etc/containers", _containers),
}
"""Where an engine has its files, and what is looked at in them."""
