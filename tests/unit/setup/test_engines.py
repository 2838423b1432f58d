"""Which files of an engine change, and what is said of it."""

from __future__ import annotations

import json

import pytest
import tomlkit

from dragonfly.errors import ConfigError
from dragonfly.setup.engines import DROP_IN, ENGINES
from dragonfly.setup.plan import Plan, Wanted, parse_mirror
from dragonfly.setup.registryname import parse_name
from dragonfly.setup.tree import MemoryTree

CERTS_D = "/etc/containerd/certs.d"
MIRROR = "http://127.0.0.1:65001"


def planned(
    engine: str, files: dict[str, str], *registries: str, remote: str = "docker.io", **more: object
) -> Plan:
    """What an engine's set-up would do."""
    wanted = Wanted(
        mirror=parse_mirror(MIRROR),
        registries=tuple(map(parse_name, registries)),
        remote=parse_name(remote),
        **more,  # type: ignore[arg-type]
    )
    return ENGINES[engine].plan(MemoryTree(files), wanted)


def paths(plan: Plan) -> list[str]:
    """What changes."""
    return [change.path for change in plan.changes if change.any]


# -- containerd ----------------------------------------------------------------------------


def test_containerd_for_all_registries() -> None:
    """Without a name: the directory for all that have none of their own."""
    plan = planned("containerd", {})
    assert paths(plan) == ["/etc/containerd/config.toml", f"{CERTS_D}/_default/hosts.toml"]
    assert "restart" in plan.steps[0]


def test_containerd_needs_no_restart_for_hosts() -> None:
    """They are read for every pull."""
    config = planned("containerd", {}).changes[0].after or ""
    plan = planned("containerd", {"/etc/containerd/config.toml": config}, "ghcr.io")
    assert paths(plan) == [f"{CERTS_D}/ghcr.io/hosts.toml"]
    assert plan.steps == ()


def test_a_directory_that_is_there_is_not_hidden_by_a_new_one() -> None:
    """Containerd takes the first that exists, and in it the certificates are."""
    there = {f"{CERTS_D}/r.test:5000/ca.crt": "PEM"}
    change = planned("containerd", there, "r.test:5000").changes[1]
    assert change.path == f"{CERTS_D}/r.test:5000/hosts.toml"
    assert tomlkit.parse(change.after or "")["ca"] == ["ca.crt"]
    assert (
        planned("containerd", {}, "r.test:5000")
        .changes[1]
        .path.startswith(f"{CERTS_D}/r.test_5000_/")
    )


def test_registries_that_do_not_come_to_default_are_named() -> None:
    """They would go around dfdaemon silently."""
    there = {f"{CERTS_D}/r.test_5000_/hosts.toml": "", f"{CERTS_D}/_default/hosts.toml": ""}
    assert planned("containerd", there).notes == (
        f"{CERTS_D}/r.test_5000_ is used instead of _default: add --registry r.test:5000",
    )


# -- docker --------------------------------------------------------------------------------


def test_docker_has_mirrors_for_docker_hub_only() -> None:
    """SIGHUP is enough for them."""
    plan = planned("docker", {})
    assert paths(plan) == ["/etc/docker/daemon.json"]
    assert "reload" in plan.steps[0]
    assert plan.notes == ()


def test_docker_and_a_dfdaemon_of_another_registry() -> None:
    """Images of Docker Hub would be looked for there."""
    assert "Docker Hub" in planned("docker", {}, remote="r.test").notes[0]


def test_docker_and_other_registries() -> None:
    """Their hosts.toml is read by some dockers only, which is said."""
    plan = planned("docker", {}, "docker.io", "r.test:5000")
    assert paths(plan) == [
        "/etc/docker/daemon.json",
        "/etc/docker/certs.d/r.test:5000/hosts.toml",
    ]
    assert "do not apply to r.test:5000" in plan.notes[0]


def test_docker_by_proxy() -> None:
    """With the CA of the interception beside the registry's own."""
    files = {"/etc/docker/daemon.json": '{"proxies": {"https-proxy": "http://u:p@old:1"}}'}
    plan = planned("docker", files, "r.test", "docker.io", proxy=True, ca="PEM")
    assert paths(plan) == ["/etc/docker/daemon.json", "/etc/docker/certs.d/r.test/proxy.crt"]
    assert json.loads(plan.changes[0].after or "")["proxies"]["https-proxy"] == MIRROR
    assert "restart" in plan.steps[0]
    notes = " ".join(plan.notes)
    assert "https-proxy named another proxy" in notes
    assert "u:p" not in notes
    assert "docker.io" in notes


@pytest.mark.parametrize(
    ("engine", "registries", "more"),
    [
        ("docker", (), {"ca": "PEM", "proxy": True}),
        ("docker", ("r.test",), {"ca": "PEM"}),
        ("podman", (), {"proxy": True}),
        ("containerd", (), {"ca": "PEM"}),
    ],
)
def test_flags_that_do_not_go_together(
    engine: str, registries: tuple[str, ...], more: dict[str, object]
) -> None:
    """A word instead of a file that nobody reads."""
    with pytest.raises(ConfigError, match=r"--ca|--proxy"):
        planned(engine, {}, *registries, **more)


# -- podman and CRI-O ----------------------------------------------------------------------


def locations(plan: Plan) -> dict[str, list[str]]:
    """Mirrors by registry."""
    found = tomlkit.parse(plan.changes[0].after or "").unwrap()["registry"]
    return {each["prefix"]: [mirror["location"] for mirror in each["mirror"]] for each in found}


def test_podman_without_a_name_is_docker_hub() -> None:
    """There is no default for all here; dfdaemon's own registry needs no name in the path."""
    assert locations(planned("podman", {})) == {"docker.io": ["127.0.0.1:65001"]}
    other = planned("podman", {}, remote="r.test:5000")
    assert locations(other) == {"docker.io": ["127.0.0.1:65001/docker.io"]}
    assert "has to list it" in other.notes[0]
    assert planned("podman", {}, remote="r.test:5000", listed=("docker.io",)).notes == ()


def test_podman_and_dfdaemons_own_registry() -> None:
    """However many others there are."""
    plan = planned("podman", {}, "r.test:5000", "ghcr.io", remote="http://r.test:5000")
    assert locations(plan) == {
        "r.test:5000": ["127.0.0.1:65001"],
        "ghcr.io": ["127.0.0.1:65001/ghcr.io"],
    }


def test_crio_reads_it_on_sighup() -> None:
    """Podman at every pull."""
    assert "reload crio" in planned("crio", {}).steps[0]
    assert planned("podman", {}).steps == ()


def test_what_other_files_say_is_taken_over() -> None:
    """A mirror that is there stays, behind ours."""
    before = '[[registry]]\nprefix = "ghcr.io"\nlocation = "ghcr.io"\n'
    before += '[[registry.mirror]]\nlocation = "m.test"\n'
    plan = planned("podman", {"/etc/containers/registries.conf": before}, "ghcr.io")
    assert locations(plan) == {"ghcr.io": ["127.0.0.1:65001/ghcr.io", "m.test"]}
    assert "taken over" in plan.notes[0]


def test_a_later_file_would_replace_ours() -> None:
    """So that it would be without effect, silently."""
    later = {f"{DROP_IN.replace('50', '60')}": '[[registry]]\nlocation = "ghcr.io"\n'}
    with pytest.raises(ConfigError, match=r"60-dragonfly.conf: sets ghcr.io after"):
        planned("podman", later, "ghcr.io")


@pytest.mark.parametrize("text", ["127.0.0.1:1", "http://docker.io", "http://a/b", "x"])
def test_no_mirrors(text: str) -> None:
    """Scheme, host and port."""
    with pytest.raises(ConfigError, match="--mirror"):
        parse_mirror(text)
