"""The drop-in for podman, CRI-O, skopeo and buildah."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit

from dragonfly.errors import ConfigError
from dragonfly.setup.containersconf import mirror_location, pointed, released
from dragonfly.setup.registryname import RegistryName, parse_name

NETLOC = "127.0.0.1:65001"
GHCR = RegistryName("ghcr.io")


def tables(text: str) -> list[dict[str, Any]]:
    """All registries."""
    return list(tomlkit.parse(text).unwrap()["registry"])


def test_a_new_file() -> None:
    """The mirror's place ends in the registry's name: the engine says it nowhere else."""
    assert tables(pointed(None, GHCR, NETLOC, default=False)) == [
        {
            "prefix": "ghcr.io",
            "location": "ghcr.io",
            "mirror": [{"location": f"{NETLOC}/ghcr.io", "insecure": True}],
        }
    ]


def test_where_the_mirror_is() -> None:
    """A colon in a path is refused by the engine, and every pull with it."""
    assert mirror_location(NETLOC, "docker.io", default=True) == NETLOC
    assert mirror_location(NETLOC, "r.test:5000", default=False) == f"{NETLOC}/r.test_5000"
    assert mirror_location(NETLOC, "r.test:5/a/b", default=False) == f"{NETLOC}/r.test_5/a/b"
    with pytest.raises(ConfigError, match="IPv6"):
        mirror_location(NETLOC, "[::1]:5000", default=False)


def test_registries_come_together() -> None:
    """One run after another."""
    one = pointed(None, GHCR, NETLOC, default=False)
    two = pointed(one, RegistryName("quay.io"), NETLOC, default=False)
    assert [each["prefix"] for each in tables(two)] == ["ghcr.io", "quay.io"]
    assert pointed(two, GHCR, NETLOC, default=False) == two
    assert released(two) is None


def test_another_port() -> None:
    """The passage is written anew, others stay."""
    one = pointed(None, GHCR, NETLOC, default=False)
    now = pointed(one, GHCR, "127.0.0.1:7", default=False)
    assert [each["mirror"][0]["location"] for each in tables(now)] == ["127.0.0.1:7/ghcr.io"]


def test_what_another_file_says_is_said_again() -> None:
    """A later file replaces the table of an earlier one as a whole."""
    elsewhere = {
        "prefix": "ghcr.io",
        "location": "proxy.test/ghcr",
        "blocked": False,
        "mirror-by-digest-only": True,
        "mirror": [{"location": "m.test/ghcr", "pull-from-mirror": "digest-only"}],
    }
    table = tables(pointed(None, GHCR, NETLOC, default=False, elsewhere=elsewhere))[0]
    assert table["mirror"] == [
        {"location": f"{NETLOC}/proxy.test/ghcr", "insecure": True},
        {"location": "m.test/ghcr", "pull-from-mirror": "digest-only"},
    ]
    assert {key: table[key] for key in elsewhere if key != "mirror"} == {
        key: value for key, value in elsewhere.items() if key != "mirror"
    }


def test_a_plain_registry_is_insecure() -> None:
    """For the way without dfdaemon."""
    text = pointed(None, parse_name("http://r.test:5000"), NETLOC, default=False)
    assert tables(text)[0]["insecure"] is True


def test_lines_of_the_user_in_our_file() -> None:
    """They stay, and the same registry twice is refused."""
    text = pointed(None, GHCR, NETLOC, default=False)
    text += '[[registry]]\nprefix = "quay.io"\nlocation = "quay.io"\n'
    with pytest.raises(ConfigError, match=r"^/f:\d+: quay.io is set up there by hand"):
        pointed(text, RegistryName("quay.io"), NETLOC, default=False, source="/f")
    back = released(text)
    assert [each["prefix"] for each in tables(back or "")] == ["quay.io"]
