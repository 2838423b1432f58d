"""What leads around dfdaemon, and what leads to it."""

from __future__ import annotations

import pytest

from dragonfly.setup.bypass import Target, check_engines
from dragonfly.setup.engines import ENGINES
from dragonfly.setup.finding import Level
from dragonfly.setup.hosts import asked_hosts, pointed
from dragonfly.setup.plan import Wanted, parse_mirror
from dragonfly.setup.registryname import parse_name
from dragonfly.setup.tree import MemoryTree

MIRROR = "http://127.0.0.1:65001"
CERTS_D = "/etc/containerd/certs.d"
OURS = f'[host."{MIRROR}"]\n'
V2 = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n'
V3 = 'version = 3\n[plugins."io.containerd.cri.v1.images"]\n'


def lines(
    files: dict[str, str],
    *,
    mirror: str = MIRROR,
    remote: str = "docker.io",
    listed: tuple[str, ...] = (),
) -> list[str]:
    """What is said of these files."""
    target = Target(parse_mirror(mirror), parse_name(remote), listed)
    found = check_engines(MemoryTree(files), target)
    return [str(finding) for finding in found]


@pytest.mark.parametrize("engine", ["containerd", "docker", "podman"])
def test_what_setup_writes_is_well(engine: str) -> None:
    """For each engine, in the words of both commands."""
    files = {}
    wanted = Wanted(mirror=parse_mirror(MIRROR), remote=parse_name("docker.io"))
    for change in ENGINES[engine].plan(MemoryTree(files), wanted).changes:
        files[change.path] = change.after or ""
    found = check_engines(MemoryTree(files), Target(wanted.mirror, wanted.remote))
    assert {each.level for each in found} == {Level.OK}, found


def test_no_engine() -> None:
    """Not even a directory."""
    assert lines({}) == ["WARN  engines: none found in /etc; dfdaemon setup ENGINE"]


@pytest.mark.parametrize(
    ("config", "level", "said"),
    [
        ("", "FAIL", "config_path is not set"),
        (V2 + 'config_path = ""\n', "FAIL", "config_path is not set"),
        (V2 + f'config_path = "{CERTS_D}"\n', "ok", "config_path is"),
        (V2 + f'config_path = "{CERTS_D}:/etc/docker/certs.d"\n', "FAIL", "transfer service"),
        (
            V2 + f'config_path = "{CERTS_D}"\n[plugins."io.containerd.grpc.v1.cri".registry.'
            'mirrors."docker.io"]\nendpoint = ["https://m"]\n',
            "FAIL",
            "registry.mirrors (docker.io)",
        ),
        ("version = 2\nimports = ['/etc/containerd/conf.d/*.toml']\n", "WARN", "imports"),
        ("version = 2\n[broken\n", "FAIL", "config.toml:2: not TOML"),
        ('disabled_plugins = ["cri"]\n', "skip", "--hosts-dir"),
    ],
)
def test_the_configuration_of_containerd(config: str, level: str, said: str) -> None:
    """What it does with a hosts.toml that is right."""
    found = lines({"/etc/containerd/config.toml": config, f"{CERTS_D}/_default/hosts.toml": OURS})
    assert any(line.startswith(level) and said in line for line in found), found


def test_several_directories_and_local_pulls() -> None:
    """Without the transfer service the list is one."""
    config = V3 + f'use_local_image_pull = true\nregistry = {{config_path = "{CERTS_D}:/b"}}\n'
    found = lines({"/etc/containerd/config.toml": config, f"{CERTS_D}/_default/hosts.toml": OURS})
    assert all(line.startswith("ok") for line in found), found


def test_a_containerd_that_is_not_set_up() -> None:
    """Docker brings one along, which pulls nothing."""
    found = lines({"/etc/containerd/config.toml": "version = 2\n"})
    assert [line[:4] for line in found] == ["WARN"]


def test_a_broken_hosts_file_is_a_silent_bypass() -> None:
    """Containerd says so in its log only."""
    files = {
        "/etc/containerd/config.toml": V2 + f'config_path = "{CERTS_D}"\n',
        f"{CERTS_D}/ghcr.io/hosts.toml": "server = \n",
        f"{CERTS_D}/_default/hosts.toml": OURS,
    }
    found = lines(files)
    assert any(
        line.startswith("FAIL") and "ghcr.io/hosts.toml:1" in line and "silently" in line
        for line in found
    ), found


def test_registries_with_another_way() -> None:
    """Each is named, with what mends it: what somebody ordered by hand that does not change."""
    files = {
        "/etc/containerd/config.toml": V2 + f'config_path = "{CERTS_D}"\n',
        f"{CERTS_D}/_default/hosts.toml": OURS,
        f"{CERTS_D}/r.test_5000_/ca.crt": "PEM",
        f"{CERTS_D}/ghcr.io/hosts.toml": '[host."https://m"]\n' + OURS,
        f"{CERTS_D}/quay.io/hosts.toml": '[host."https://m"]\n',
    }
    found = [line for line in lines(files) if line.startswith("WARN")]
    assert found[0].endswith("hosts.toml asks https://m before dfdaemon; reorder its hosts")
    assert found[1].endswith("; dfdaemon setup containerd --registry quay.io")
    assert found[2].endswith("; dfdaemon setup containerd --registry r.test:5000")
    mended = pointed(files[f"{CERTS_D}/quay.io/hosts.toml"], MIRROR, parse_name("quay.io"))
    assert asked_hosts(mended, "f")[0] == MIRROR


@pytest.mark.parametrize(
    ("daemon_json", "remote", "level", "said"),
    [
        ("{}", "docker.io", "WARN", "does not name dfdaemon"),
        (f'{{"registry-mirrors": ["{MIRROR}/"]}}', "docker.io", "ok", "for Docker Hub"),
        (f'{{"registry-mirrors": ["https://m", "{MIRROR}"]}}', "docker.io", "WARN", "before"),
        (f'{{"registry-mirrors": ["{MIRROR}"]}}', "r.test", "FAIL", "asks r.test"),
        (f'{{"proxies": {{"https-proxy": "{MIRROR}"}}}}', "r.test", "ok", "as its proxy"),
        ("{,}", "docker.io", "FAIL", "daemon.json:1: not JSON"),
        ('{"proxies": 1}', "docker.io", "FAIL", "proxies an object"),
    ],
)
def test_docker(daemon_json: str, remote: str, level: str, said: str) -> None:
    """daemon.json and dfdaemon's own registry."""
    found = lines({"/etc/docker/daemon.json": daemon_json}, remote=remote)
    assert any(line.startswith(level) and said in line for line in found), found


PROXY_OF_DOCKER = "/etc/systemd/system/docker.service.d/proxy.conf"


@pytest.mark.parametrize(
    ("mirror", "host"),
    [
        ("http://10.0.0.1:65001", "10.0.0.1"),
        ("http://[fd00::1]:65001", "fd00::1"),  # no brackets: Go knows none there
        ("https://mirror.test", "mirror.test"),
    ],
)
def test_a_proxy_before_the_mirror(mirror: str, host: str) -> None:
    """Another address than loopback is reached by it unless NO_PROXY has it."""
    files = {
        "/etc/docker/daemon.json": f'{{"registry-mirrors": ["{mirror}"]}}',
        PROXY_OF_DOCKER: '[Service]\nEnvironment="HTTP_PROXY=http://u:secret@p:3128"\n',
    }
    found = lines(files, mirror=mirror)
    assert found[-1].startswith("WARN  docker: the proxy in")
    assert "secret" not in found[-1]
    assert f"add {host} to NO_PROXY" in found[-1]
    files[PROXY_OF_DOCKER] += f'Environment="NO_PROXY=localhost,{host}"\n'
    assert all(line.startswith("ok") for line in lines(files, mirror=mirror))


def test_a_proxy_and_loopback() -> None:
    """That is never reached by one."""
    proxy = "Environment=HTTP_PROXY=http://p:3128"
    files = {"/etc/docker/daemon.json": f'{{"registry-mirrors": ["{MIRROR}"]}}'}
    assert all(line.startswith("ok") for line in lines({**files, PROXY_OF_DOCKER: proxy}))


def test_a_registry_in_the_path_has_to_be_known() -> None:
    """A dfdaemon of a private registry takes no name in a path for a host's by itself."""
    files = {"/etc/containers/registries.conf": registry("r.test:5", "127.0.0.1:65001/r.test_5")}
    assert "does not list r.test:5" in lines(files, remote="a.test")[0]
    assert lines(files, remote="a.test", listed=("r.test:5",))[0].startswith("ok")
    assert lines(files)[0].startswith("ok")


def registry(prefix: str, *mirrors: str) -> str:
    """A table of registries.conf."""
    text = f'[[registry]]\nprefix = "{prefix}"\nlocation = "{prefix}"\n'
    return text + "".join(f'[[registry.mirror]]\nlocation = "{each}"\n' for each in mirrors)


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        (registry("docker.io", "127.0.0.1:65001"), "ok", "for docker.io"),
        (registry("ghcr.io", "127.0.0.1:65001/ghcr.io"), "ok", "for ghcr.io"),
        (registry("ghcr.io", "127.0.0.1:65001"), "FAIL", "takes that for docker.io"),
        (registry("r.test:5", "127.0.0.1:65001/r.test:5"), "FAIL", "colon"),
        (registry("ghcr.io", "m.test", "127.0.0.1:65001/ghcr.io"), "WARN", "another mirror"),
        (registry("ghcr.io", "m.test"), "WARN", "no registry"),
        ("[[registry]", "FAIL", "50-x.conf:1: not TOML"),
    ],
)
def test_containers(text: str, level: str, said: str) -> None:
    """The drop-ins of podman and CRI-O."""
    found = lines({"/etc/containers/registries.conf.d/50-x.conf": text})
    assert any(line.startswith(level) and said in line for line in found), found
