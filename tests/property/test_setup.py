"""The way back from ``dfdaemon setup`` is exact, whatever was there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.setup.engines import ENGINES
from dragonfly.setup.plan import Change, Wanted, parse_mirror
from dragonfly.setup.registryname import parse_name
from dragonfly.setup.session import Session
from dragonfly.setup.tomltext import read
from dragonfly.setup.tree import MemoryTree

HOSTS = "/etc/containerd/certs.d/a.test/hosts.toml"
CONFIG = "/etc/containerd/config.toml"
DOCKER = "/etc/docker/daemon.json"
REGISTRIES = "/etc/containers/registries.conf"
HUB = parse_name("docker.io")


class MemoryDisk(MemoryTree):
    """Files in memory; there are no directories."""

    def missing(self, path: str) -> tuple[str, ...]:
        """None are needed."""
        return ()

    def carry_out(self, changes: list[Change], like: Mapping[str, str]) -> None:
        """It always works."""
        for change in changes:
            if change.after is None:
                del self.files[change.path]
            else:
                self.files[change.path] = change.after

    def prune(self, directories: Sequence[str]) -> None:
        """There are none."""


lines = st.sampled_from(
    [
        "",
        "# a comment\n",
        'server = "https://a.test"\n',
        "skip_verify = true\r\n",
        '[host."https://m.test"]\n  capabilities = ["pull"]\n',
        '# about the next\n\t[host."http://n.test"]  # n\n',
        "[header]\n  a = 'b'\n",
    ]
)
hosts_files = st.none() | st.lists(lines, unique=True, max_size=6).map("".join)
json_files = st.none() | st.dictionaries(
    st.sampled_from(["debug", "registry-mirrors", "x"]), st.just([]), max_size=3
).map(json.dumps)
_TWO = """\
version = 2
[plugins]
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d:/x" # two
[debug]
level = "info\""""
config_files = st.none() | st.sampled_from(["version = 3\n", _TWO])


registries = st.lists(st.sampled_from(["a.test", "b.test:5000", "docker.io"]), unique=True)
runs = st.lists(
    st.tuples(st.sampled_from(sorted(ENGINES)), registries, st.integers(1, 3)), max_size=4
)


def set_up(disk: MemoryDisk, engine: str, names: list[str], port: int) -> None:
    """One run."""
    session = Session(disk, ENGINES[engine])
    wanted = Wanted(
        mirror=parse_mirror(f"http://127.0.0.1:{port}"),
        registries=tuple(map(parse_name, names)),
        remote=HUB,
    )
    session.set_up(session.plan(wanted))


@given(hosts_files, json_files, config_files, st.sampled_from(["", "\n", "# end"]), runs)
def test_the_way_back_is_exact(
    hosts: str | None,
    docker: str | None,
    config: str | None,
    end: str,
    runs: list[tuple[str, list[str], int]],
) -> None:
    """Byte by byte, after any set-ups for any ports; each of them twice is as once."""
    there = {
        HOSTS: hosts and hosts + end,
        CONFIG: config and config + (end and "\n" + end),
        DOCKER: docker,
        REGISTRIES: '[[registry]]\nlocation = "a.test"\n[[registry.mirror]]\nlocation = "m"\n',
    }
    before = {path: text for path, text in there.items() if text is not None}
    disk = MemoryDisk(before)
    for run in runs:
        set_up(disk, *run)
        once = dict(disk.files)
        set_up(disk, *run)
        assert disk.files == once
    for engine in ENGINES.values():
        session = Session(disk, engine)
        session.undo(session.plan_undo())
    assert disk.files == before


@given(hosts_files, config_files, runs)
def test_without_copies_the_same_is_said(
    hosts: str | None, config: str | None, runs: list[tuple[str, list[str], int]]
) -> None:
    """As after edits of the user: our passages are taken out by themselves."""
    there = {HOSTS: hosts, CONFIG: config}
    before = {path: text for path, text in there.items() if text is not None}
    disk = MemoryDisk(before)
    for run in runs:
        set_up(disk, *run)
    for path, text in before.items():
        if disk.files[path] != text:
            disk.files[path] += "# mine\n" if disk.files[path].endswith("\n") else "\n# mine\n"
    for engine in ENGINES.values():
        session = Session(disk, engine)
        session.undo(session.plan_undo())
    for path, text in before.items():
        left = disk.files[path].removesuffix("# mine\n")
        assert read(left, path) == read(text, path)
