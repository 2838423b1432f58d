"""The command line: what is accepted, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.dfget.options import Options, parse, parse_server

URL = "http://files.example.com/a/b.iso"


def options(*argv: str, config: str = "/dev/null/none") -> Options:
    """Parse flags for a fixed URL."""
    return parse([*argv, URL], config_file=config)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Parse what must be refused; give the words."""
    with pytest.raises(SystemExit) as caught:
        parse(argv, config_file="/dev/null/none")
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_defaults() -> None:
    """Unlimited, through the swarm, with the documented times, is what no flag means."""
    given = options()
    assert given.url == URL
    assert given.output is None
    assert given.nodes == []
    assert (given.local_limit, given.total_limit, given.min_rate) == (None, None, None)
    assert given.pattern == "p2p"
    assert (given.alivetime, given.expiretime) == (300.0, 180.0)
    assert given.home.endswith("/.small-dragonfly")


def test_every_flag_reaches_the_request() -> None:
    """The peer hears of everything that concerns the download."""
    given = parse(
        [
            "-u", URL, "-n", "a:1=2,b", "-n", "[::1]:8002", "-i", "x", "-f", "key&sign",
            "--header", "A: b:c", "--header", "E:", "-s", "20M", "--totallimit", "1g",
            "--minrate", "512K", "-e", "1m30s", "-p", "cdn", "--notbs", "--clientqueue", "4",
            "--insecure", "--callsystem", "me",
        ],
        config_file="/dev/null/none",
    )  # fmt: skip
    assert given.request("9.9") == {
        "op": "get",
        "version": "9.9",
        "url": URL,
        "headers": [("A", "b:c"), ("E", "")],
        "filters": ["key", "sign"],
        "identifier": "x",
        "digest": None,
        "pattern": "cdn",
        "notbs": True,
        "nodes": ["a:1=2", "b", "[::1]:8002"],
        "locallimit": 20 << 20,
        "totallimit": 1 << 30,
        "minrate": 512 << 10,
        "timeout": 90.0,
        "clientqueue": 4,
        "cacerts": None,
        "insecure": True,
        "callsystem": "me",
    }


@pytest.mark.parametrize("flag", ["-o", "-O", "--output"])
def test_output_flags(flag: str) -> None:
    """Users of wget and of v1 find their flag."""
    assert options(flag, "here").output == "here"


def test_md5_is_a_digest() -> None:
    """The old flag and the new one mean the same."""
    md5 = "0123456789ABCDEF0123456789abcdef"
    assert options("-m", md5).digest == f"md5:{md5.lower()}"
    assert options("--digest", f"md5:{md5}").digest == f"md5:{md5.lower()}"


def test_dfdaemon_names_the_caller() -> None:
    """The flag of v1 is a name for metrics here."""
    assert options("--dfdaemon").callsystem == "dfdaemon"
    assert options("--dfdaemon", "--callsystem", "x").callsystem == "x"


def test_cacerts_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer process has another working directory."""
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert options("--cacerts", "ca.pem").cacerts == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-s", "20X", URL], ["--locallimit", "'20X'"]),
        (["--totallimit", "", URL], ["--totallimit", "''"]),
        (["--minrate", "-1", URL], ["--minrate"]),
        (["-e", "soon", URL], ["--timeout", "'soon'"]),
        (["-e", "0", URL], ["--timeout", "'0'"]),
        (["--clientqueue", "0", URL], ["--clientqueue", "'0'"]),
        (["--port", "65536", URL], ["--port", "'65536'"]),
        (["--ip", "host", URL], ["--ip", "'host'"]),
        (["--alivetime", "1y", URL], ["--alivetime", "'1y'"]),
        (["--home", "", URL], ["--home"]),
        (["-n", "host:99999", URL], ["--node", "'99999'"]),
        (["-n", "a b", URL], ["--node", "'a b'"]),
        (["-m", "12", URL], ["--md5", "2 hex digits"]),
        (["--digest", "crc:12", URL], ["--digest", "'crc:12'"]),
        (["-m", "0" * 32, "--digest", "md5:" + "0" * 32, URL], ["--md5", "--digest"]),
        (["-m", "0" * 32, "-i", "x", URL], ["--identifier", "--md5"]),
        (["-p", "magic", URL], ["--pattern", "'magic'"]),
        (["--cacerts", "/nonexistent.pem", URL], ["--cacerts", "/nonexistent.pem"]),
        (["--colour", URL], ["--colour"]),
        (["--verb", URL], ["--verb"]),
        ([], ["URL"]),
        (["ftp://host/x"], ["'ftp://host/x'"]),
        (["http:///x"], ["'http:///x'"]),
        (["http://host/a b"], ["'http://host/a b'"]),
        (["-u", URL, URL + "2"], [URL + "2"]),
        ([URL, "more"], ["more"]),
    ],
)
def test_refusals_name_flag_and_value(
    capsys: pytest.CaptureFixture[str], argv: list[str], words: list[str]
) -> None:
    """One line says what is wrong, and the exit code is 2."""
    text = refused(capsys, *argv)
    for word in words:
        assert word in text
    assert len(text.splitlines()) == 2


def test_a_wrong_header_does_not_show_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands there by mistake may be a password."""
    text = refused(capsys, "--header", "Authori zation: Basic c2VjcmV0", URL)
    assert "c2VjcmV0" not in text
    assert "Authori zation" in text
    assert "--header" in refused(capsys, "--header", "X: a\r\nY: b", URL)


def test_config_file_fills_gaps(tmp_path: Path) -> None:
    """Flags win over the file."""
    file = tmp_path / "dfget.yml"
    file.write_text("nodes:\n  - a:1=3\nlocalLimit: 1M\nminRate: 2K\nclientQueueSize: 3\n")
    given = options("-s", "5M", config=str(file))
    assert given.nodes == ["a:1=3"]
    assert given.local_limit == 5 << 20
    assert given.min_rate == 2048
    assert given.client_queue == 3
    assert options("-n", "b", config=str(file)).nodes == ["b"]


def test_wrong_config_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in the file is not passed over in silence."""
    file = tmp_path / "dfget.yml"
    file.write_text("node: a\n")
    with pytest.raises(SystemExit) as caught:
        options(config=str(file))
    assert caught.value.code == 2
    assert f"{file}:1" in capsys.readouterr().err


def test_server_options_survive_the_command_line() -> None:
    """What dfget was given is what the process that it starts gets."""
    given = options("--home", "rel", "--ip", "::1", "--port", "7", "--alivetime", "1h", "--verbose")
    again = parse_server([*given.command(), "--ready-fd", "9"])
    assert Path(again.home).is_absolute()
    for name in ("home", "ip", "port", "alivetime", "expiretime", "verbose"):
        assert getattr(again, name) == getattr(given, name)
    assert again.ready_fd == 9


def test_server_refuses_in_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The sub-command checks as strictly."""
    with pytest.raises(SystemExit) as caught:
        parse_server(["--expiretime", "x"])
    assert caught.value.code == 2
    assert "dfget server: --expiretime: 'x'" in capsys.readouterr().err
