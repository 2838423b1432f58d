"""``dfdaemon setup`` on a root of its own: files, copies, the way back."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from dragonfly.errors import ConfigError
from dragonfly.setup.cli import main
from dragonfly.setup.disk import DiskTree
from dragonfly.setup.engines import ENGINES
from dragonfly.setup.plan import Wanted, parse_mirror
from dragonfly.setup.registryname import parse_name
from dragonfly.setup.session import Session

CONFIG = Path("/etc/dragonfly/dfdaemon.yml")
DAEMON_JSON = '{\n    "debug": true\n}'


def setup(root: Path, *arguments: str) -> int:
    """Run it."""
    return main([*arguments, "--root", str(root)], CONFIG)


def put(root: Path, path: str, text: str) -> Path:
    """Make a file."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def content(root: Path) -> dict[str, str]:
    """Every file, and every empty directory, of a root."""
    found = {}
    for place in sorted(root.rglob("*")):
        name = str(place.relative_to(root))
        if place.is_file():
            found[name] = place.read_text()
        elif not any(place.iterdir()):
            found[name] = "(directory)"
    return found


def test_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy is made once, the second run changes nothing, and all is as it was at the end."""
    file = put(tmp_path, "/etc/docker/daemon.json", DAEMON_JSON)
    file.chmod(0o640)
    before = content(tmp_path)
    assert setup(tmp_path, "docker") == 0
    out = capsys.readouterr().out
    assert '+    "registry-mirrors": [' in out
    assert "daemon.json.before-dragonfly" in out
    assert "systemctl reload docker" in out
    assert file.stat().st_mode & 0o777 == 0o640
    copy = tmp_path / "etc/docker/daemon.json.before-dragonfly"
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == (DAEMON_JSON, 0o640)
    after = content(tmp_path)
    assert setup(tmp_path, "docker") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert content(tmp_path) == after
    assert setup(tmp_path, "docker", "--undo") == 0
    assert content(tmp_path) == before
    assert file.stat().st_mode & 0o777 == 0o640
    assert setup(tmp_path, "docker", "--undo") == 0


def test_files_and_directories_that_it_made_go(tmp_path: Path) -> None:
    """An empty directory of a registry would hide _default from containerd."""
    (tmp_path / "etc").mkdir()
    before = content(tmp_path)
    assert setup(tmp_path, "containerd", "--registry", "a.test", "--registry", "b.test:5") == 0
    assert (tmp_path / "etc/containerd/certs.d/b.test_5_/hosts.toml").exists()
    assert setup(tmp_path, "containerd", "--undo") == 0
    assert content(tmp_path) == before


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It only shows; the way back, too."""
    assert setup(tmp_path, "containerd", "--dry-run") == 0
    assert content(tmp_path) == {}
    assert "+++ /etc/containerd/certs.d/_default/hosts.toml" in capsys.readouterr().out
    setup(tmp_path, "containerd")
    there = content(tmp_path)
    assert setup(tmp_path, "containerd", "--undo", "--dry-run") == 0
    assert content(tmp_path) == there


def test_the_mirror_is_read_from_dfdaemons_file(tmp_path: Path) -> None:
    """Unless another is named."""
    put(tmp_path, str(CONFIG), "port: 7001\nhostIp: 0.0.0.0\n")
    setup(tmp_path, "docker")
    file = tmp_path / "etc/docker/daemon.json"
    assert json.loads(file.read_text()) == {"registry-mirrors": ["http://127.0.0.1:7001"]}
    setup(tmp_path, "docker", "--mirror", "http://127.0.0.1:7002")
    assert json.loads(file.read_text()) == {"registry-mirrors": ["http://127.0.0.1:7002"]}


def test_edits_of_the_user_survive_the_way_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours is taken out, and it says so; the copy stays."""
    file = put(tmp_path, "/etc/docker/daemon.json", DAEMON_JSON)
    setup(tmp_path, "docker")
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "log-level": "warn"}))
    setup(tmp_path, "docker", "--mirror", "http://127.0.0.1:7002")
    capsys.readouterr()
    assert setup(tmp_path, "docker", "--undo") == 0
    out = capsys.readouterr().out
    assert "was changed since" in out
    assert "daemon.json.before-dragonfly is kept" in out
    left = json.loads(file.read_text())
    assert left["log-level"] == "warn"
    assert left["debug"] is True
    assert "registry-mirrors" not in left


@pytest.mark.parametrize(
    ("arguments", "path", "more"),
    [
        (
            ("containerd", "--registry", "a.test"),
            "etc/containerd/certs.d/a.test/hosts.toml",
            "skip_verify = true\n",
        ),
        (
            ("podman",),
            "etc/containers/registries.conf.d/50-dragonfly.conf",
            "short-name-mode = ''\n",
        ),
        (("docker", "--registry", "a.test"), "etc/docker/certs.d/a.test/hosts.toml", "a = 1\n"),
    ],
)
def test_files_that_it_made_stay_when_the_user_wrote_into_them(
    tmp_path: Path, arguments: tuple[str, ...], path: str, more: str
) -> None:
    """Without the passage of ours."""
    setup(tmp_path, *arguments)
    file = tmp_path / path
    file.write_text(more + file.read_text())
    assert setup(tmp_path, arguments[0], "--undo") == 0
    assert more in file.read_text()
    assert "127.0.0.1" not in file.read_text()


def test_a_file_of_the_user_is_never_removed(tmp_path: Path) -> None:
    """Also when its copy is lost and nothing but ours seems to be in it."""
    docker = put(tmp_path, "/etc/docker/daemon.json", "{}")
    hosts = put(tmp_path, "/etc/containerd/certs.d/_default/hosts.toml", "# mine\n")
    for engine in ("docker", "containerd"):
        setup(tmp_path, engine)
    for file in (docker, hosts):
        file.with_name(file.name + ".before-dragonfly").unlink()
    for engine in ("docker", "containerd"):
        assert setup(tmp_path, engine, "--undo") == 0
    assert docker.read_text() == "{}\n"
    assert hosts.read_text() == "# mine\n"


def test_what_is_gone_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so; a certificate that the user put in the place of ours stays."""
    pem = put(tmp_path, "/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    setup(tmp_path, "docker", "--proxy", "--registry", "a.test", "--ca", str(pem))
    (tmp_path / "etc/docker/daemon.json").unlink()
    certificate = tmp_path / "etc/docker/certs.d/a.test/proxy.crt"
    certificate.write_text("another")
    assert setup(tmp_path, "docker", "--undo") == 0
    assert "daemon.json is not there any more" in capsys.readouterr().out
    assert content(tmp_path) == {
        "ca.pem": pem.read_text(),
        "etc/docker/certs.d/a.test/proxy.crt": "another",
    }


class FullTree(DiskTree):
    """A disk that has room for so many files."""

    def __init__(self, root: Path, room: int) -> None:
        super().__init__(root)
        self._room = room

    def _as(self, path: str, descriptor: int) -> None:
        self._room -= 1
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super()._as(path, descriptor)


@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_a_full_disk(tmp_path: Path, room: int) -> None:
    """Whichever file it is that fails: nothing changes, and nothing is left behind."""
    put(tmp_path, "/etc/containerd/config.toml", "version = 2\n")
    before = content(tmp_path)
    session = Session(FullTree(tmp_path, room), ENGINES["containerd"])
    mirror, remote = parse_mirror("http://127.0.0.1:1"), parse_name("docker.io")
    with pytest.raises(ConfigError, match=r"cannot write .*: No space left"):
        session.set_up(session.plan(Wanted(mirror=mirror, remote=remote)))
    assert content(tmp_path) == before


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another encoding, a directory, a record of something else."""
    file = put(tmp_path, "/etc/docker/daemon.json", "")
    file.write_bytes(b'{\n"a": "\xff"}')
    assert setup(tmp_path, "docker") == 1
    assert "daemon.json:2: not UTF-8" in capsys.readouterr().err
    file.unlink()
    file.mkdir()
    assert setup(tmp_path, "docker") == 1
    assert "cannot read /etc/docker/daemon.json: Is a directory" in capsys.readouterr().err
    put(tmp_path, "/etc/dragonfly/setup.json", '{"files": {"/etc/passwd": 1}}')
    assert setup(tmp_path, "podman", "--undo") == 1
    assert "not a record of dfdaemon setup" in capsys.readouterr().err


def test_crio_and_podman_share_their_file(tmp_path: Path) -> None:
    """What one made the other takes back."""
    setup(tmp_path, "crio", "--registry", "a.test")
    setup(tmp_path, "podman", "--registry", "b.test")
    text = (tmp_path / "etc/containers/registries.conf.d/50-dragonfly.conf").read_text()
    assert "a.test" in text
    assert "b.test" in text
    setup(tmp_path, "podman", "--undo")
    assert content(tmp_path) == {}


def test_one_wrong_file_and_none_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are checked before the first is touched."""
    put(tmp_path, "/etc/containerd/certs.d/a.test/hosts.toml", "server = \n")
    before = content(tmp_path)
    assert setup(tmp_path, "containerd", "--registry", "b.test", "--registry", "a.test") == 1
    assert content(tmp_path) == before
    said = capsys.readouterr().err
    assert said.startswith("dfdaemon setup: /etc/containerd/certs.d/a.test/hosts.toml:1: not TOML")


def test_one_place_that_cannot_be_written_and_none_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where a directory is needed; what was begun before it is taken back."""
    put(tmp_path, "/etc/containerd/certs.d", "a file\n")
    before = content(tmp_path)
    assert setup(tmp_path, "containerd") == 1
    assert content(tmp_path) == before
    assert "cannot" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_without_rights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who may."""
    (tmp_path / "etc").mkdir(mode=0o555)
    assert setup(tmp_path, "docker") == 1
    assert "run it as root" in capsys.readouterr().err


def test_a_link_is_followed_but_not_out_of_the_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real file changes; in an image, nothing outside of it."""
    root = tmp_path / "root"
    real = put(root, "/srv/daemon.json", DAEMON_JSON)
    (root / "etc/docker").mkdir(parents=True)
    link = root / "etc/docker/daemon.json"
    link.symlink_to("../../srv/daemon.json")
    assert setup(root, "docker") == 0
    assert link.is_symlink()
    assert "registry-mirrors" in real.read_text()
    setup(root, "docker", "--undo")
    assert (link.is_symlink(), real.read_text()) == (True, DAEMON_JSON)
    link.unlink()
    outside = put(tmp_path, "/outside.json", DAEMON_JSON)
    link.symlink_to(outside)
    assert setup(root, "docker") == 1
    assert "leads out of" in capsys.readouterr().err
    assert outside.read_text() == DAEMON_JSON


def test_an_old_copy_is_not_what_comes_back(tmp_path: Path) -> None:
    """Without a record of ours nobody knows what it was: it is neither replaced nor used."""
    file = put(tmp_path, "/etc/docker/daemon.json", DAEMON_JSON)
    copy = put(tmp_path, "/etc/docker/daemon.json.before-dragonfly", '{"old": 1}')
    setup(tmp_path, "docker")
    setup(tmp_path, "docker", "--undo")
    assert json.loads(file.read_text()) == json.loads(DAEMON_JSON)
    assert copy.read_text() == '{"old": 1}'


def test_secrets_around_a_change_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal is recorded more often than a file is read."""
    secret = '{\n  "password": "hush",\n  "proxies": {"http-proxy": "http://u:hush@p:1"}\n}\n'
    put(tmp_path, "/etc/docker/daemon.json", secret)
    assert setup(tmp_path, "docker", "--proxy") == 0
    said = capsys.readouterr()
    assert "hush" not in said.out + said.err
    assert "***" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["docker", "--ca", "/no/such"], "cannot read --ca"),
        (["docker", "--registry", "a/b"], "--registry"),
        (["docker", "--config", "/no/such"], "cannot read /no/such"),
    ],
)
def test_mistakes(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each."""
    assert setup(tmp_path, *arguments) == 1
    assert said in capsys.readouterr().err
    assert content(tmp_path) == {}


def test_a_key_is_no_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would lie where everybody reads."""
    pem = tmp_path / "both.pem"
    pem.write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    arguments = ("docker", "--proxy", "--registry", "a.test", "--ca", str(pem))
    assert setup(tmp_path, *arguments) == 1
    assert "no key" in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Engines that there are, and how it is used."""
    with pytest.raises(SystemExit) as ended:
        main(["rkt"], CONFIG)
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["--help"], CONFIG)
    assert ended.value.code == 0
    assert "dfdaemon setup containerd --undo" in capsys.readouterr().out
