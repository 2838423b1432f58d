"""What each engine's files become: a table of plans."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from dragonfly.daemon.routing.dockerhub import HUB_NAME
from dragonfly.errors import ConfigError
from dragonfly.setup import containersconf, criconfig, dockerjson, hosts
from dragonfly.setup.plan import Change, Plan, Wanted
from dragonfly.setup.registryname import RegistryName, host_of_directory
from dragonfly.setup.tree import Tree

__all__ = ["ENGINES", "Engine"]

CONTAINERD_CONFIG = "/etc/containerd/config.toml"
DOCKER_CONFIG = "/etc/docker/daemon.json"
DOCKER_CERTS_D = "/etc/docker/certs.d"
REGISTRIES_CONF = "/etc/containers/registries.conf"
DROP_INS = "/etc/containers/registries.conf.d"
DROP_IN = f"{DROP_INS}/50-dragonfly.conf"

_HUB = RegistryName(HUB_NAME)

_RESTART = "systemctl restart containerd   # config.toml changed"
_RELOAD = "systemctl reload docker   # registry-mirrors are read again, no restart"
_RELOAD_OR_RESTART = "systemctl reload docker   # or restart it, if it was set up with --proxy"
_RELOAD_CRIO = "systemctl reload crio   # SIGHUP, no restart"

_INTERCEPTED = (
    "layers of https registries come through the swarm only if hijack_https names their hosts "
    "and dockerd trusts its CA; 'proxies' needs Docker 23 or later"
)


@attrs.frozen
class Engine:
    """How one engine is set up.

    :ivar owner: under which name its files are remembered; those that share files share it.
    :ivar back: what makes it read a file again that became what it was.
    """

    owner: str
    plan: Callable[[Tree, Wanted], Plan]
    back: Mapping[str, str] = attrs.field(factory=dict)


# -- containerd ----------------------------------------------------------------------------


def _containerd(tree: Tree, wanted: Wanted) -> Plan:
    _only_for_docker(wanted)
    before = tree.read(CONTAINERD_CONFIG)
    cri = criconfig.directed(before, CONTAINERD_CONFIG)
    config = Change(CONTAINERD_CONFIG, before, cri.text, cri.directory)
    names: tuple[RegistryName | None, ...] = wanted.registries or (None,)
    changes = [_hosts(tree, cri.directory, name, wanted) for name in names]
    steps = (_RESTART,) if config.any else ()
    notes = list(cri.notes)
    if not wanted.registries:
        notes += _passed_over(tree, cri.directory)
    return Plan((config, *changes), tuple(notes), steps)


def _hosts(
    tree: Tree, directory: str, name: RegistryName | None, wanted: Wanted, *, colon: bool = False
) -> Change:
    """The hosts.toml of one registry, or of ``_default``."""
    path = _hosts_path(tree, directory, name, colon=colon)
    before = tree.read(path)
    beside = tree.names(posixpath.dirname(path))
    after = hosts.pointed(before, wanted.mirror.url, name, source=path, beside=beside)
    return Change(path, before, after, wanted.mirror.url)


def _hosts_path(tree: Tree, directory: str, name: RegistryName | None, *, colon: bool) -> str:
    """In the directory that the engine finds first; a new one must not hide one that is there."""
    there = tree.names(directory)
    names = ("_default",) if name is None else name.directories
    new = names[-1 if colon else 0]
    found = next((each for each in names if each in there), new)
    return f"{directory}/{found}/hosts.toml"


def _passed_over(tree: Tree, directory: str) -> list[str]:
    """Registries with a directory of their own do not come to ``_default``."""
    others = [name for name in tree.names(directory) if name != "_default"]
    return [
        f"{directory}/{name} is used instead of _default: add --registry {host_of_directory(name)}"
        for name in others
        if not hosts_named(tree, f"{directory}/{name}")
    ]


def hosts_named(tree: Tree, directory: str) -> bool:
    """Whether the hosts.toml there has a passage of ours."""
    return "# dfdaemon setup: begin" in (tree.read(f"{directory}/hosts.toml") or "")


# -- docker --------------------------------------------------------------------------------


def _docker(tree: Tree, wanted: Wanted) -> Plan:
    if wanted.ca is not None and not (wanted.proxy and wanted.registries):
        raise ConfigError("--ca belongs to --proxy, and needs a --registry that it is for")
    return _docker_proxy(tree, wanted) if wanted.proxy else _docker_mirror(tree, wanted)


def _docker_mirror(tree: Tree, wanted: Wanted) -> Plan:
    changes: list[Change] = []
    notes: list[str] = []
    steps: tuple[str, ...] = ()
    if not wanted.registries or _HUB.host in [name.host for name in wanted.registries]:
        before = tree.read(DOCKER_CONFIG)
        former = wanted.former.get(DOCKER_CONFIG, "")
        after = dockerjson.mirrored(before, wanted.mirror.url, DOCKER_CONFIG, former=former)
        changes.append(Change(DOCKER_CONFIG, before, after, wanted.mirror.url))
        steps = (_RELOAD,)
    if steps and not wanted.remote.hub:
        notes.append(
            f"registry-mirrors stand for Docker Hub, and dfdaemon's registry is "
            f"{wanted.remote.host}: docker names no registry to a mirror, so set "
            "registry_mirror.remote to https://index.docker.io"
        )
    others = [name for name in wanted.registries if not name.hub]
    changes += [_hosts(tree, DOCKER_CERTS_D, name, wanted, colon=True) for name in others]
    if others:
        listed = ", ".join(name.host for name in others)
        notes.append(
            f"registry-mirrors do not apply to {listed}: hosts.toml is read by Docker 28 and "
            "later with the containerd image store only; for others use --proxy"
        )
    return Plan(tuple(changes), tuple(notes), steps if changes[0].any else ())


def _docker_proxy(tree: Tree, wanted: Wanted) -> Plan:
    before = tree.read(DOCKER_CONFIG)
    after = dockerjson.proxied(before, wanted.mirror.url, DOCKER_CONFIG)
    config = Change(DOCKER_CONFIG, before, after, wanted.mirror.url)
    notes = [_INTERCEPTED]
    known = (wanted.mirror.url, wanted.former.get(DOCKER_CONFIG, ""))
    other = dockerjson.other_proxies(before, known, DOCKER_CONFIG)
    if other:
        notes.append(f"{' and '.join(other)} named another proxy: dfdaemon has to use it now")
    changes = [config]
    for name in wanted.registries if wanted.ca is not None else ():
        if name.hub:
            notes.append("for docker.io the CA has to be in the system's own trust store")
        else:
            changes.append(_certificate(tree, name, wanted))
    steps = ("systemctl restart docker   # proxies changed",) if config.any else ()
    return Plan(tuple(changes), tuple(notes), steps)


def _certificate(tree: Tree, name: RegistryName, wanted: Wanted) -> Change:
    path = f"{DOCKER_CERTS_D}/{name.host}/proxy.crt"
    return Change(path, tree.read(path), wanted.ca)


# -- podman and CRI-O ----------------------------------------------------------------------


def _podman(tree: Tree, wanted: Wanted) -> Plan:
    return _containers(tree, wanted, ())


def _crio(tree: Tree, wanted: Wanted) -> Plan:
    return _containers(tree, wanted, (_RELOAD_CRIO,))


def _containers(tree: Tree, wanted: Wanted, steps: tuple[str, ...]) -> Plan:
    _only_for_docker(wanted)
    before = tree.read(DROP_IN)
    after, notes = before, []
    earlier, later = _other_files(tree)
    for name in wanted.registries or (_HUB,):
        if name.host in later:
            source = later[name.host][0]
            raise ConfigError(f"{source}: sets {name.host} after {DROP_IN}: rename one of them")
        elsewhere = earlier[name.host][1] if name.host in earlier else {}
        notes += _remarks(name, earlier.get(name.host, ("", {}))[0], elsewhere)
        notes += _to_list(name, wanted)
        after = containersconf.pointed(
            after,
            name,
            wanted.mirror.netloc,
            default=name.host == wanted.remote.host,
            elsewhere=elsewhere,
            source=DROP_IN,
        )
    change = Change(DROP_IN, before, after)
    return Plan((change,), tuple(notes), steps if change.any else ())


_Found = dict[str, tuple[str, Mapping[str, Any]]]


def _other_files(tree: Tree) -> tuple[_Found, _Found]:
    """What files before and behind ours say, with their names: a later one replaces a table."""
    names = [name for name in tree.names(DROP_INS) if name.endswith(".conf")]
    paths = [REGISTRIES_CONF, *(f"{DROP_INS}/{name}" for name in names)]
    earlier: _Found = {}
    later: _Found = {}
    for path in paths:
        text = tree.read(path)
        if path != DROP_IN and text is not None:
            into = later if path != REGISTRIES_CONF and path > DROP_IN else earlier
            tables = containersconf.registries(text, path)
            into.update({prefix: (path, table) for prefix, table in tables.items()})
    return earlier, later


def _remarks(name: RegistryName, source: str, elsewhere: Mapping[str, Any]) -> list[str]:
    if not elsewhere:
        return []
    notes = [f"what {source} says of {name.host} was taken over: ours takes its place"]
    if elsewhere.get("blocked"):
        notes.append(f"{name.host} is blocked there, and stays so")
    return notes


def _to_list(name: RegistryName, wanted: Wanted) -> list[str]:
    """dfdaemon takes a name in a path for that of a registry only where it may be one."""
    by_itself = wanted.remote.hub and name.scheme == "https"
    if by_itself or name.host in (wanted.remote.host, *wanted.listed):
        return []
    scheme = ", scheme: http" if name.scheme == "http" else ""
    return [f"dfdaemon.yml has to list it: registries: [{{host: '{name.host}'{scheme}}}]"]


def _only_for_docker(wanted: Wanted) -> None:
    if wanted.proxy or wanted.ca is not None:
        raise ConfigError("--proxy and --ca are for docker")


ENGINES: Mapping[str, Engine] = {
    "containerd": Engine("containerd", _containerd, {CONTAINERD_CONFIG: _RESTART}),
    "docker": Engine("docker", _docker, {DOCKER_CONFIG: _RELOAD_OR_RESTART}),
    "crio": Engine("containers", _crio, {DROP_IN: _RELOAD_CRIO}),
    "podman": Engine("containers", _podman),
}
