"""hosts.toml: the mirror first, everything else as it was."""

from __future__ import annotations

import pytest
import tomlkit

from dragonfly.errors import ConfigError
from dragonfly.setup.hosts import asked_hosts, pointed, released
from dragonfly.setup.registryname import RegistryName, host_of_directory, parse_name

MIRROR = "http://127.0.0.1:65001"
GHCR = RegistryName("ghcr.io")

FOREIGN = """\
# ours, do not touch
server = "https://ghcr.io"  # the real one

# the cache in the next rack
[host."https://cache.example"]
  capabilities = ["pull"]
  ca = "/etc/ssl/cache.pem"
[host."https://cache.example".header]
  X-Team = ["a"]
"""


def test_a_new_file() -> None:
    """The registry stays as the server: without dfdaemon the engine goes there itself."""
    values = tomlkit.parse(pointed(None, MIRROR, GHCR)).unwrap()
    assert values == {
        "server": "https://ghcr.io",
        "host": {MIRROR: {"capabilities": ["pull", "resolve"]}},
    }


def test_docker_hub_is_not_where_its_name_says() -> None:
    """The one name that is no host."""
    text = pointed(None, MIRROR, parse_name("index.docker.io"))
    assert tomlkit.parse(text)["server"] == "https://registry-1.docker.io"


def test_default_names_no_server() -> None:
    """It is each registry itself."""
    assert "server" not in tomlkit.parse(pointed(None, MIRROR))


def test_a_plain_registry_is_told_by_a_header() -> None:
    """``?ns=`` has no scheme."""
    values = tomlkit.parse(pointed(None, MIRROR, parse_name("http://r.test:5000"))).unwrap()
    assert values["server"] == "http://r.test:5000"
    header = values["host"][MIRROR]["header"]
    assert header == {"X-Dragonfly-Registry": ["http://r.test:5000"]}


def test_certificates_beside_a_new_file_are_named_in_it() -> None:
    """Without a hosts.toml containerd takes them by itself, with one only those it names."""
    beside = ["ca.crt", "client.cert", "client.key", "other.cert", "note.txt"]
    values = tomlkit.parse(pointed(None, MIRROR, GHCR, beside=beside)).unwrap()
    assert values["ca"] == ["ca.crt"]
    assert values["client"] == [["client.cert", "client.key"]]


def test_other_hosts_stay_behind_it() -> None:
    """In their order, with comments, byte by byte."""
    text = pointed(FOREIGN, MIRROR, GHCR)
    assert list(tomlkit.parse(text)["host"]) == [MIRROR, "https://cache.example"]  # type: ignore[arg-type]
    assert asked_hosts(text, "f")[0] == MIRROR
    assert released(text) == FOREIGN
    assert text.index("begin") < text.index("# the cache in the next rack")


@pytest.mark.parametrize("text", [None, FOREIGN, 'server = "https://ghcr.io"', ""])
def test_twice_is_once(text: str | None) -> None:
    """Nothing to do the second time."""
    once = pointed(text, MIRROR, GHCR)
    assert pointed(once, MIRROR, GHCR) == once


def test_another_mirror_takes_the_place_of_ours() -> None:
    """After a change of the port."""
    text = pointed(pointed(FOREIGN, MIRROR, GHCR), "http://127.0.0.1:7", GHCR)
    assert text == pointed(FOREIGN, "http://127.0.0.1:7", GHCR)


def test_a_mirror_that_the_user_wrote_is_left_alone() -> None:
    """By whatever spelling."""
    by_hand = f'[host."{MIRROR}/v2/"]\n'
    assert pointed(by_hand, MIRROR, GHCR) == by_hand


def test_a_broken_file_is_named_with_its_line() -> None:
    """Containerd would ignore it silently."""
    with pytest.raises(ConfigError, match=r"^/x/hosts.toml:2: not TOML"):
        pointed('server = "a"\n[host."b"\n', MIRROR, GHCR, source="/x/hosts.toml")


@pytest.mark.parametrize(
    "text",
    ['host = {"https://a" = {}}\n', '# c\nhost."https://a".skip_verify = true\n'],
)
def test_hosts_that_are_no_tables_are_refused(text: str) -> None:
    """Nothing can be put before them, and their order counts."""
    with pytest.raises(ConfigError, match=r"hosts.toml:[12]: write its hosts as tables"):
        pointed(text, MIRROR, GHCR)


def test_a_passage_without_an_end_is_not_guessed_at() -> None:
    """The user deleted the line."""
    text = pointed(FOREIGN, MIRROR, GHCR).replace("# dfdaemon setup: end\n", "")
    with pytest.raises(ConfigError, match="has no line"):
        released(text)


def test_a_table_in_a_text_is_no_table() -> None:
    """What looks like one in a multi-line string is found out by reading the result."""
    with pytest.raises(ConfigError):
        pointed('a = """\n[host."x"]\n"""\n', MIRROR, GHCR)


def test_nothing_but_ours_is_nothing() -> None:
    """A file that only we wrote goes."""
    assert released(pointed(None, MIRROR)) is None
    assert released(pointed("# a comment\n", MIRROR)) is None
    assert released(pointed(None, MIRROR, GHCR) + "skip_verify = true\n") is not None


@pytest.mark.parametrize(
    ("text", "host", "directories"),
    [
        ("GHCR.io", "ghcr.io", ("ghcr.io",)),
        ("https://registry-1.docker.io/", "docker.io", ("docker.io",)),
        ("r.test:5000", "r.test:5000", ("r.test_5000_", "r.test:5000")),
        ("http://[::1]:5000", "[::1]:5000", ("[::1]_5000_", "[::1]:5000")),
        ("[::1]", "[::1]", ("[::1]",)),
    ],
)
def test_names(text: str, host: str, directories: tuple[str, ...]) -> None:
    """As containerd calls their directories, and back."""
    name = parse_name(text)
    assert (name.host, name.directories) == (host, directories)
    assert {host_of_directory(each) for each in directories} == {host}


@pytest.mark.parametrize(
    "text", ["", "a/b", "ftp://a", "a b", "https://", "a:b", "-", "a:0", "a:65536"]
)
def test_no_names(text: str) -> None:
    """Neither a path nor another scheme."""
    with pytest.raises(ConfigError, match="--registry"):
        parse_name(text)


def test_a_password_is_not_repeated() -> None:
    """Not even in the error."""
    with pytest.raises(ConfigError) as error:
        parse_name("https://u:secret@r.test")
    assert "secret" not in str(error.value)
