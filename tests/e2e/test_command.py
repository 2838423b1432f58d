"""The commands as they are typed: usage, versions, and what a wrong flag is answered."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

import dragonfly
from tests.e2e.rig.commands import dfget, run, twistd
from tests.e2e.rig.home import Home
from tests.e2e.rig.scene import Scene
from tests.e2e.rig.supernode import Supernode

USAGE = 2


def test_module_and_script_tell_one_version() -> None:
    """``python -m dragonfly.dfget`` and the console script are the same command."""
    script = str(Path(sys.executable).with_name("dfget"))
    told = {run(*dfget(), "--version").stdout, run(script, "--version").stdout}
    assert told == {f"dfget {dragonfly.__version__}\n"}
    assert run(*dfget(), "version").stdout == f"dfget {dragonfly.__version__}\n"


def test_twistd_lists_the_supernode() -> None:
    """The plugin is found where the package is installed."""
    done = run(twistd()[0], "--help")
    assert done.returncode == 0
    assert re.search(r"^\s+supernode\s+Dragonfly", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--locallimit", "20X", "http://127.0.0.1/f"), "20X"),
        (("--minrate", "fast", "http://127.0.0.1/f"), "fast"),
        (("--nonsense", "http://127.0.0.1/f"), "--nonsense"),
        (("--timeout", "0", "http://127.0.0.1/f"), "--timeout"),
        (("--digest", "sha256:12", "http://127.0.0.1/f"), "--digest"),
        (("--md5", "xyz", "http://127.0.0.1/f"), "--md5"),
        (("--node", "no such host!", "http://127.0.0.1/f"), "no such host!"),
        (("--header", "nonsense", "http://127.0.0.1/f"), "--header"),
        (("--pattern", "magic", "http://127.0.0.1/f"), "magic"),
        (("--cacerts", "/no/such/file", "http://127.0.0.1/f"), "/no/such/file"),
        (("--port", "70000", "http://127.0.0.1/f"), "70000"),
        (("--ip", "localhost", "http://127.0.0.1/f"), "localhost"),
        (("ftp://127.0.0.1/f",), "ftp://127.0.0.1/f"),
        (("http://",), "http://"),
        (("127.0.0.1/f",), "127.0.0.1/f"),
        ((), "URL"),
    ],
)
def test_wrong_usage_is_named_in_one_line(arguments: tuple[str, ...], named: str) -> None:
    """A wrong flag or value ends dfget at once, with code 2 and the flag or value in the text."""
    done = run(*dfget(), *arguments)
    assert done.returncode == USAGE
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/f", "http://[::1/f", "http://a b/f"])
def test_malformed_url_ends_at_once(scene: Scene, url: str) -> None:
    """A URL that looks right at first and is not: still wrong usage, and nothing is written."""
    home = Home(scene, "h")
    out = scene.directory("out")
    done = home.get(url, "-o", out / "f")
    assert done.code == USAGE, done.text
    assert url.partition("/f")[0] in done.text
    assert "Traceback" not in done.text
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--port", "99999"), "99999"),
        (("--up-limit", "many"), "many"),
        (("--max-bandwidth", "20X"), "20X"),
        (("--nonsense",), "nonsense"),
        (("--config", "/no/such/file.yml"), "/no/such/file.yml"),
    ],
)
def test_supernode_names_a_wrong_flag(arguments: tuple[str, ...], named: str) -> None:
    """``twistd supernode`` checks its flags before it starts anything."""
    done = run(*twistd(), "supernode", *arguments)
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_supernode_ends_when_its_port_is_taken(scene: Scene) -> None:
    """A taken port, of either kind, ends the process with one clear line; the first lives on."""
    first = Supernode(scene)
    for ports in ((first.http, 0), (0, first.pieces)):
        http, pieces = map(str, ports)
        second = ["--home-dir", str(scene.root / "second")]
        second += ["--port", http, "--download-port", pieces]
        done = run(*twistd(), "supernode", *second)
        assert done.returncode == 1
        taken = f"port {max(ports)} is taken: another process listens there"
        assert (done.stdout + done.stderr).splitlines()[-1].endswith(taken)
        assert "Traceback" not in done.stdout + done.stderr
    assert first.get("/_ping") == "OK"


def test_supernode_ends_cleanly(scene: Scene) -> None:
    """SIGTERM ends it in order (by that signal in the end), and its home can be used again."""
    supernode = Supernode(scene)
    supernode.stop()
    assert supernode.program.code == -signal.SIGTERM
    text = supernode.program.text()
    assert "Server Shut Down." in text
    assert "Traceback" not in text
    supernode.start()
    assert supernode.get("/_ping") == "OK"


def test_supernode_ends_when_its_home_is_taken(scene: Scene) -> None:
    """Two supernodes in one home would write over each other: the second ends."""
    first = Supernode(scene)
    second = ["--home-dir", str(first.home), "--port", "0", "--download-port", "0"]
    done = run(*twistd(), "supernode", *second)
    assert done.returncode != 0
    assert f"another process serves the home {first.home}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
