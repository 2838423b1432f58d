"""config.toml of containerd: one directory, and no contradiction."""

from __future__ import annotations

import pytest
import tomlkit

from dragonfly.errors import ConfigError
from dragonfly.setup.criconfig import CERTS_D, directed, undirected

DEBIAN = """\
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    # where CNI is
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
V2 = "io.containerd.grpc.v1.cri"
V3 = "io.containerd.cri.v1.images"


def path_in(text: str | None, section: str = V2) -> object:
    """What config_path says."""
    values = tomlkit.parse(text or "").unwrap()
    return values["plugins"][section]["registry"]["config_path"]


def test_no_file() -> None:
    """It is made in the version that containerd 1 and 2 read."""
    made = directed(None)
    assert (path_in(made.text), made.directory) == (CERTS_D, CERTS_D)
    assert tomlkit.parse(made.text or "")["version"] == 2
    assert undirected(made.text or "", None, CERTS_D) is None


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "# without an end of its line"])
def test_a_file_that_says_nothing(text: str) -> None:
    """As if it was not there, but for what somebody wrote for people."""
    made = directed(text).text or ""
    assert made.startswith(text)
    assert path_in(made) == CERTS_D
    assert tomlkit.parse(made)["version"] == 2
    assert directed(made).text == made


def test_a_section_is_added_and_nothing_else_changes() -> None:
    """Text before it stays byte by byte."""
    made = directed(DEBIAN).text or ""
    assert made.startswith(DEBIAN)
    assert path_in(made) == CERTS_D
    assert tomlkit.parse(undirected(made, DEBIAN, CERTS_D) or "") == tomlkit.parse(DEBIAN)


def test_version_3_has_another_section() -> None:
    """Containerd 2."""
    made = directed("version = 3\n").text
    assert path_in(made, V3) == CERTS_D
    assert path_in(directed("version = 4\n").text, V3) == CERTS_D


@pytest.mark.parametrize(
    "text",
    [
        f'version = 2\n[plugins."{V2}".registry]\n  config_path = ""  # none\n',
        f'version = 2\n[plugins."{V2}".registry]\n\n[plugins."{V2}".registry.configs]\n',
        f'version = 2\n[plugins."{V2}"]\n  registry = {{config_path = ""}}\n',
        f'version = 2\nplugins = {{"{V2}" = {{sandbox_image = "p"}}}}\n',
        f'version = 2\nplugins."{V2}".registry.config_path = ""\n',
    ],
)
def test_a_section_that_is_there_gets_the_key(text: str) -> None:
    """However it is written."""
    made = directed(text).text or ""
    assert path_in(made) == CERTS_D
    assert directed(made).text == made
    back = undirected(made, text, CERTS_D)
    assert tomlkit.parse(back or "").unwrap() == tomlkit.parse(text).unwrap()


def test_a_directory_that_is_named_is_used() -> None:
    """The user's own choice."""
    text = f'version = 2\n[plugins."{V2}".registry]\nconfig_path = "/srv/certs.d"\n'
    found = directed(text)
    assert (found.text, found.directory, found.notes) == (text, "/srv/certs.d", ())


def test_several_directories_become_one() -> None:
    """Containerd 2.1 takes the text for one directory, and says nothing when it is not there."""
    two = "/etc/containerd/certs.d:/etc/docker/certs.d"
    text = f'version = 3\n[plugins."{V3}".registry]\nconfig_path = "{two}"\n'
    found = directed(text)
    assert path_in(found.text, V3) == found.directory == "/etc/containerd/certs.d"
    assert "transfer service" in found.notes[0]
    assert path_in(undirected(found.text or "", text, found.directory), V3) == two


def test_mirrors_are_refused_with_their_line() -> None:
    """With both containerd's CRI plugin does not load, and no pod starts."""
    text = DEBIAN + (
        f'[plugins."{V2}".registry.mirrors."docker.io"]\n  endpoint = ["https://m.test"]\n'
    )
    with pytest.raises(ConfigError, match=r"/c.toml:10: .*mirrors \(docker.io\).*hosts.toml"):
        directed(text, "/c.toml")


def test_configs_with_tls_are_refused() -> None:
    """The other key that does not go with it; credentials do."""
    section = f'version = 2\n[plugins."{V2}".registry.configs."r.test"'
    with pytest.raises(ConfigError, match="configs with tls"):
        directed(f'{section}.tls]\nca_file = "/x"\n')
    assert path_in(directed(f'{section}.auth]\nusername = "u"\n').text) == CERTS_D


def test_without_cri_nothing_is_changed() -> None:
    """As Docker's package of containerd has it."""
    text = 'disabled_plugins = ["cri"]\n'
    found = directed(text)
    assert found.text == text
    assert "disables the CRI plugin" in found.notes[0]


@pytest.mark.parametrize("text", ['root = "/x"\n', 'version = "2"\n', "version = 1\n"])
def test_old_versions_are_refused(text: str) -> None:
    """Their sections have other names."""
    with pytest.raises(ConfigError, match="version"):
        directed(text)


def test_imports_are_said() -> None:
    """One of them may set config_path, too, and the last one counts."""
    assert "imports" in directed('version = 3\nimports = ["/x/*.toml"]\n').notes[0]


def test_broken() -> None:
    """With the line."""
    with pytest.raises(ConfigError, match=r"^/c.toml:2: not TOML"):
        directed("version = 2\n[plugins\n", "/c.toml")


def test_a_value_that_the_user_changed_since_stays() -> None:
    """It is not ours any more."""
    text = f'version = 2\n[plugins."{V2}".registry]\nconfig_path = "/other"\n'
    assert undirected(text, DEBIAN, CERTS_D) == text
