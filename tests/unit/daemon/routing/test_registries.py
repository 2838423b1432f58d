"""Which registry is meant by a name or an address, and how it is asked."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from dragonfly.config import DaemonConfig, KnownRegistry, RegistryMirror
from dragonfly.daemon.routing.knownregistries import known_registries
from dragonfly.daemon.routing.registries import Registries, TrustedHosts
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.errors import ConfigError
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.net.trust import Trust

OWN = Trust(cacerts="own.pem")
HIJACKED = Trust(insecure=True)
MIRROR = parse_registry("https://mirror.example", trust=Trust(cacerts="mirror.pem"))
PLAIN = parse_registry("http://plain.example:5000")
SECURE = parse_registry("https://secure.example", trust=OWN)


@pytest.fixture
def registries() -> Registries:
    """A mirror, two that are described, and hosts that are trusted by their names."""
    trusted = [TrustedHosts(re.compile(r"^lab-.*:5001$"), HIJACKED)]
    return Registries(MIRROR, [PLAIN, SECURE], trusted)


@pytest.mark.parametrize(
    ("name", "url", "trust"),
    [
        ("unknown.example", "https://unknown.example", Trust()),
        ("unknown.example:5000", "https://unknown.example:5000", Trust()),
        ("http://unknown.example", "http://unknown.example", Trust()),
        ("plain.example:5000", "http://plain.example:5000", Trust()),
        ("PLAIN.example:5000", "http://plain.example:5000", Trust()),
        ("https://plain.example:5000", "https://plain.example:5000", Trust()),
        ("secure.example", "https://secure.example", OWN),
        ("secure.example:443", "https://secure.example", OWN),
        ("mirror.example", "https://mirror.example", MIRROR.trust),
        ("lab-7:5001", "https://lab-7:5001", HIJACKED),
        ("lab-7:5000", "https://lab-7:5000", Trust()),
        ("docker.io", "https://registry-1.docker.io", Trust()),
        ("https://docker.io", "https://registry-1.docker.io", Trust()),
        ("[::1]:5000", "https://[::1]:5000", Trust()),
    ],
)
def test_names(registries: Registries, name: str, url: str, trust: Trust) -> None:
    """As the operator describes it; what he does not is asked over TLS."""
    found = registries.named(name, local=False)
    assert (str(found), found.trust) == (url, trust)


def test_plain_mirror() -> None:
    """containerd names the registry behind the mirror, too, and without a scheme."""
    mirror = parse_registry("http://mirror.example:5000")
    assert Registries(mirror).named("mirror.example:5000", local=False) == mirror


def test_docker_hub() -> None:
    """If the mirror is of it, that is meant, whatever it is called."""
    hub = parse_registry("https://index.docker.io", trust=OWN)
    assert Registries(hub).named("docker.io", local=False) is hub


def test_who_may_be_on_this_machine(registries: Registries) -> None:
    """Whom the operator names; others only for those who are here, too."""
    assert registries.named("plain.example:5000", local=False).local
    assert registries.at("https", "secure.example", 443, local=False).local
    assert not registries.named("unknown.example", local=False).local
    assert registries.named("unknown.example", local=True).local


def test_which_are_listed(registries: Registries) -> None:
    """Only what is described by itself."""
    assert registries.lists("plain.example:5000")
    assert registries.lists("secure.example")
    assert not registries.lists("plain.example")
    assert not registries.lists("mirror.example")
    assert not registries.lists("a b")


def test_malformed_names(registries: Registries) -> None:
    """They are refused, and shown without what may be secret."""
    for name in ("ftp://x", "u:secret@x", "x/y", "", "x:99999"):
        with pytest.raises(ConfigError) as caught:
            registries.named(name, local=True)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "trust"),
    [
        ("secure.example", 443, OWN),
        ("secure.example", 444, None),
        ("plain.example", 5000, Trust()),
        ("mirror.example", 443, MIRROR.trust),
        ("lab-7", 5001, HIJACKED),
        ("unknown.example", 443, None),
    ],
)
def test_what_is_said_of_a_place(
    registries: Registries, host: str, port: int, trust: Trust | None
) -> None:
    """For whoever is sent there by another; nothing is not the same as the ordinary."""
    assert registries.trust_at(host, port) == trust


@pytest.mark.parametrize("host", ["r.example", "r.example:443", "mirror.example"])
def test_described_twice(host: str) -> None:
    """It is said at the start, if they differ."""
    config = DaemonConfig(
        registry=RegistryMirror(remote="https://mirror.example"),
        registries=(KnownRegistry(host="r.example"), KnownRegistry(host=host, insecure=True)),
    )
    with pytest.raises(ConfigError, match=r"example:443 is described twice"):
        known_registries(config)
    same = tuple(attrs.evolve(each, insecure=False) for each in config.registries)
    known_registries(attrs.evolve(config, registries=same))


def test_authorities_are_read_at_the_start(tmp_path: Path) -> None:
    """Those of several files count; one that is of no use is named before a pull fails for it."""
    files = []
    for name in "ab":
        (tmp_path / name).mkdir()
        files.append(str(load_or_make_certificate(tmp_path / name).path))
    known = KnownRegistry(host="r.example", certs=tuple(files))
    found = known_registries(DaemonConfig(registries=(known,)))
    assert found.trust_at("r.example", 443) == Trust(cacerts=tuple(files))
    (tmp_path / "bad.pem").write_text("nonsense")
    for bad, text in (("bad.pem", "no certificate in PEM form"), ("absent", "No such file")):
        wrong = attrs.evolve(known, certs=(files[0], str(tmp_path / bad)))
        with pytest.raises(ConfigError, match=f"^certs {tmp_path / bad}: {text}"):
            known_registries(DaemonConfig(registries=(wrong,)))
