"""The flags of dfdaemon: each one reaches the configuration, or says what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.usage import UsageError

import dragonfly
from dragonfly.config import DaemonConfig, Node, RegistryMirror, parse_daemon_config
from dragonfly.errors import ListenError, StoreError
from dragonfly.taps.daemon import Options, makeService
from dragonfly.taps.dfdaemon import main, run


def parsed(tmp_path: Path, *flags: str, file: str = "") -> DaemonConfig:
    """What dfdaemon makes of these flags, and of a file."""
    path = tmp_path / "dfdaemon.yml"
    path.write_text(file)
    options = Options()
    options.parseOptions(["--config", str(path), *flags])
    return options.parsed


def test_defaults(tmp_path: Path) -> None:
    """Nothing need be said."""
    assert parsed(tmp_path) == DaemonConfig()


def test_every_flag(tmp_path: Path) -> None:
    """Under the names of version 1, with its units."""
    given = parsed(
        tmp_path,
        *("--registry", "http://r:5000", "--node", "a,b:1", "--node", "c=2", "--port", "1"),
        *("--hostIp", "0.0.0.0", "--peerPort", "2", "--peerIp", "10.0.0.1"),
        *("--statusPort", "3", "--statusIp", "::", "--ratelimit", "20M"),
        *(
            "--drainTime",
            "0",
            "--localrepo",
            "/srv/r",
            "--workHome",
            "/srv/h",
            "--certpem",
            "/c",
            "--keypem",
            "/k",
        ),
        "--verbose",
    )
    assert given == DaemonConfig(
        registry=RegistryMirror(remote="http://r:5000"),
        nodes=(Node("a"), Node("b", 1), Node("c", weight=2)),
        port=1,
        host_ip="0.0.0.0",
        peer_port=2,
        peer_ip="10.0.0.1",
        status_port=3,
        status_ip="::",
        rate_limit=20 << 20,
        drain_s=0,
        local_repo="/srv/r",
        work_home="/srv/h",
        certpem="/c",
        keypem="/k",
        verbose=True,
    )


def test_flags_of_v1_that_have_no_effect_are_accepted(tmp_path: Path) -> None:
    """A unit file of v1 starts ours; the log says what is ignored."""
    given = parsed(tmp_path, "--streamMode", "--notbs", "--urlfilter", "a&b", "--maxprocs", "4")
    assert sorted(notice.split()[0] for notice in given.notices) == [
        "--maxprocs",
        "--notbs",
        "--streamMode",
        "--urlfilter",
    ]


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """What is not said on the command line is read there."""
    file = "port: 1\npeerPort: 2\nsupernodes: [a]\nverbose: true\n"
    given = parsed(tmp_path, "--port", "3", file=file)
    assert (given.port, given.peer_port, given.nodes) == (3, 2, (Node("a"),))
    assert given.verbose


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "x"], "--port"),
        (["--ratelimit", "20X"], "20X"),
        (["--node", "a:x"], "--node"),
        (["--no-such-flag"], "no-such-flag"),
        (["--config", "/no/such/file"], "/no/such/file"),
    ],
)
def test_what_is_wrong_is_said_at_once(tmp_path: Path, flags: list[str], said: str) -> None:
    """Before the process becomes a daemon."""
    with pytest.raises(UsageError, match=said):
        parsed(tmp_path, *flags)


def test_a_home_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """No traceback for a user's mistake."""
    (tmp_path / "file").write_text("")
    options = Options()
    options.parsed = DaemonConfig(work_home=str(tmp_path / "file" / "home"))
    with pytest.raises(SystemExit, match=r"^dfdaemon: home .* cannot be used"):
        makeService(options, reactor=object(), environment={})


def test_importing_it_installs_no_reactor() -> None:
    """Twistd chooses it, after reading all plugins."""
    script = (
        "import sys, dragonfly.taps.daemon, dragonfly.taps.dfdaemon\n"
        "print(*({'twisted.internet.reactor', 'klein'} & set(sys.modules)))"
    )
    root = Path(dragonfly.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == ""


# -- the command ---------------------------------------------------------------------------


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """As a word, as v1 had it, and as a flag."""
    assert main(["version"]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"dfdaemon {dragonfly.__version__}\n" * 2


def test_config_default(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is a file that says the defaults."""
    assert main(["config", "default"]) == 0
    assert parse_daemon_config(capsys.readouterr().out) == DaemonConfig()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Flags, and the other commands."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in ("--registry", "--workHome", "config default", "dfdaemon version"):
        assert word in text


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that run no daemon get the arguments behind their name."""
    assert main(["setup", "docker", "--dry-run", "--root", str(tmp_path)]) == 0
    assert "registry-mirrors" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--port", "x"], ["gen-keys"], ["--nonsense"]])
def test_wrong_usage(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names it, and where to read more."""
    assert main(flags) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("dfdaemon: ")
    assert said[1:] == ["Try 'dfdaemon --help'."]


class Reactor:
    """One whose run is over at once."""

    def __init__(self) -> None:
        self.triggers: list[Any] = []

    def addSystemEventTrigger(self, phase: str, event: str, call: Any) -> None:
        """Keep it."""
        self.triggers.append((phase, event, call))

    def run(self) -> None:
        """A signal came."""
        for _, _, call in self.triggers:
            call()


class Recorded(Service):
    """A service that writes down what becomes of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self._error = error

    def privilegedStartService(self) -> None:
        """Start, or not."""
        self.calls.append("privileged")
        if self._error is not None:
            raise self._error

    def startService(self) -> None:
        """Start."""
        self.calls.append("start")

    def stopService(self) -> Deferred[None]:
        """Stop."""
        self.calls.append("stop")
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done


def test_a_signal_stops_it_in_order() -> None:
    """Before the reactor goes down."""
    service = Recorded()
    assert run(service, Reactor()) == 0
    assert service.calls == ["privileged", "start", "stop"]


def test_what_cannot_start_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """A line and an exit code."""
    assert run(Recorded(StoreError("a store of another version")), Reactor()) == 1
    assert capsys.readouterr().err == "dfdaemon: a store of another version\n"
    with pytest.raises(SystemExit, match="port 1 is taken"):
        run(Recorded(ListenError("port 1 is taken")), Reactor())


def test_a_proxy_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """The variable is named; nothing was begun."""
    options = Options()
    options.parsed = parsed(tmp_path)
    environment = {"https_proxy": "socks5://user:s3cret@proxy"}
    with pytest.raises(SystemExit, match=r"^dfdaemon: HTTPS_PROXY: a socks5 proxy") as caught:
        makeService(options, reactor=object(), environment=environment)
    assert "s3cret" not in str(caught.value)
