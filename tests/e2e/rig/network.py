"""Hosts of a network that the run makes: namespaces on one bridge, with names of their own.

Each host is a network and a mount namespace that one idle process holds; they vanish with the
processes in them, so nothing is left behind and nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.rig.scene import Program, Scene

__all__ = ["Host", "Network"]

_TOOLS = ("ip", "nsenter", "unshare")
_LISTENS = "0A"  # the state in /proc/net/tcp
# Whatever programs write into /etc, /var/lib and /run is gone with the namespace.
# /mnt is for what must have a short name. Without a name server no name is asked for outside.
_APART = """\
set -e
ip link set lo up
mount -t tmpfs rig /mnt
mount -t tmpfs rig /run
for name in etc var/lib; do
    mkdir -p /mnt/.up/$name /mnt/.work/$name
    options=lowerdir=/$name,upperdir=/mnt/.up/$name,workdir=/mnt/.work/$name
    mount -t overlay rig -o $options /$name
done
rm -f /etc/resolv.conf /etc/hosts
touch /etc/resolv.conf
"""
_HOLD = """\
cp {hosts} /etc/hosts
{more}
echo ready
exec sleep infinity
"""
_BRIDGE = "ip link add name bridge type bridge"


class Host(Scene):
    """A scene whose processes run in namespaces of their own.

    :param setup: commands that run in the namespaces before anything else.
    """

    def __init__(self, scene: Scene, name: str, hosts: Path, setup: str = "") -> None:
        super().__init__(scene.root)
        self._scene = scene
        self.name = name
        text = _APART + _HOLD.format(hosts=hosts, more=setup)
        self._holder = scene.start(f"host-{name}", _apart(text))
        self.wait_until(self._ready, f"host {name}")
        self.environment: dict[str, str] = {}

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._holder.pid

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        out: Path | None = None,
        keep: Sequence[int] = (),
    ) -> Program:
        """Start a process on this host."""
        return self._scene.start(name, self.inside(command, cwd), out=out, keep=keep)

    def at_end(self, ending: object) -> None:
        """Call this when the scene that the host belongs to is over."""
        self._scene.at_end(ending)  # type: ignore[arg-type]

    def run(self, *command: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself on this host."""
        return subprocess.run(
            self.inside(command),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def inside(self, command: Sequence[str], cwd: Path | None = None) -> list[str]:
        """A command that does the same on this host."""
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount"]
        enter += [f"--wd={cwd or self.root}", "--"]
        without = [part for name in _OUTSIDE for part in ("-u", name)]
        named = [f"{name}={value}" for name, value in self.environment.items()]
        return [*enter, "env", *without, *named, *command]

    def listens(self, port: int) -> bool:
        """Whether something on this host listens on a TCP port, at whatever address."""
        lines = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]
        ]
        suffix = f":{port:04X}"
        return any(line[1].endswith(suffix) and line[3] == _LISTENS for line in lines)

    def _ready(self) -> bool:
        assert self._holder.code is None, f"no namespace:\n{self._holder.text()}"
        return "ready" in self._holder.text()


# What would lead programs around the network, or past the certificates, that a test makes.
_OUTSIDE = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    *(
        name
        for plain in ("http_proxy", "https_proxy", "no_proxy")
        for name in (plain, plain.upper())
    ),
    "ALL_PROXY",
    "all_proxy",
)


class Network:
    """One host that all servers are on, and others, each with a cable to its bridge.

    :param names: names of the first host's addresses: name to the last number of the address.
    """

    def __init__(self, scene: Scene, names: dict[str, int]) -> None:
        needed()
        self._scene = scene
        self._hosts = scene.root / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{_address(n)} {name}" for name, n in names.items())]
        self._hosts.write_text("\n".join(lines) + "\n")
        numbers = sorted({1, *names.values()})
        added = [f"ip address add {_address(number)}/24 dev bridge" for number in numbers]
        made = [_BRIDGE, *added, "ip link set bridge up"]
        self.servers = Host(scene, "servers", self._hosts, "\n".join(made))
        self._next = 101

    address = "10.88.0.1"
    """Of the host that the servers are on."""

    def host(self, name: str) -> Host:
        """One more host."""
        number, self._next = self._next, self._next + 1
        host = Host(self._scene, name, self._hosts)
        end = f"port{number}"
        self._servers(
            "link", "add", "name", end, "type", "veth", "peer", "name", "cable", "netns", host.pid
        )
        self._servers("link", "set", end, "master", "bridge", "up")
        _checked(host, "ip", "address", "add", f"{_address(number)}/24", "dev", "cable")
        _checked(host, "ip", "link", "set", "cable", "up")
        return host

    def _servers(self, *arguments: object) -> None:
        _checked(self.servers, "ip", *map(str, arguments))


def needed() -> None:
    """Skip the test where namespaces cannot be made."""
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: see tests/e2e/install-tools.sh")
    if os.getuid() != 0:
        pytest.skip("a network of its own needs root")
    command = _apart(f"{_APART}{_BRIDGE}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a network of its own cannot be made here: {done.stderr.strip()}")


def _apart(text: str) -> list[str]:
    return ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", text]


def _address(number: int) -> str:
    return f"10.88.0.{number}"


def _checked(host: Host, *command: str) -> None:
    done = host.run(*command)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
