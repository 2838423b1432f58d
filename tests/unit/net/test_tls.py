"""The supernode's certificate: made once, read again, refused when it is damaged."""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL

from dragonfly.errors import ConfigError, StoreError
from dragonfly.net.certificates import pin_of
from dragonfly.net.tls import FILE_NAME, load_or_make_certificate

NOW = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)


def test_made_once(tmp_path: Path) -> None:
    """Later starts find the same key, which nobody else can read."""
    made = load_or_make_certificate(tmp_path)
    again = load_or_make_certificate(tmp_path, ["other.example"])
    assert again == made
    assert made.pin == pin_of(made.certificate)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_two_homes_have_two_keys(tmp_path: Path) -> None:
    """A pin names one supernode."""
    pins = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pins.add(load_or_make_certificate(tmp_path / name).pin)
    assert len(pins) == 2


def test_names_and_times(tmp_path: Path) -> None:
    """Its names and this machine's, each once; valid for ten years from a day ago."""
    names = ["supernode.example", "bücher.example", "10.0.0.1", "::1"]
    made = load_or_make_certificate(tmp_path, names, now=NOW).certificate
    san = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == [
        "supernode.example",
        "xn--bcher-kva.example",
        "localhost",
    ]
    addresses = [ip_address(text) for text in ("10.0.0.1", "::1", "127.0.0.1")]
    assert san.get_values_for_type(x509.IPAddress) == addresses
    assert made.not_valid_before_utc == NOW - datetime.timedelta(days=1)
    assert made.not_valid_after_utc > NOW + datetime.timedelta(days=3650)


def test_it_can_be_listened_with(tmp_path: Path) -> None:
    """Key and certificate are in the context, and making it warns of nothing."""
    made = load_or_make_certificate(tmp_path)
    context = made.options().getContext()
    context.check_privatekey()
    server, client = SSL.Connection(context, None), SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    server.set_accept_state()
    client.set_connect_state()
    shake(client, server)
    shown = client.get_peer_certificate()
    assert shown is not None
    assert pin_of(shown.to_cryptography()) == made.pin


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """Carry bytes between the two until both have said what they want to say."""
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(1 << 16))


def test_it_does_not_show_its_key(tmp_path: Path) -> None:
    """Not in a log line."""
    assert "PRIVATE" not in repr(load_or_make_certificate(tmp_path))


@pytest.mark.parametrize("damage", ["empty", "no key", "no certificate", "garbage"])
def test_damaged(tmp_path: Path, damage: str) -> None:
    """It is not made anew: every home that knows the old one would refuse the new."""
    pem = load_or_make_certificate(tmp_path).pem
    at = pem.index(b"-----BEGIN CERTIFICATE")
    path = tmp_path / FILE_NAME
    path.write_bytes(
        {"empty": b"", "no key": pem[at:], "no certificate": pem[:at], "garbage": b"x" * 99}[damage]
    )
    with pytest.raises(ConfigError, match=f"^{path}: no (private key|certificate) in PEM form"):
        load_or_make_certificate(tmp_path)


def test_key_of_another_certificate(tmp_path: Path) -> None:
    """Two files that somebody put together do not make one."""
    (tmp_path / "b").mkdir()
    one, other = load_or_make_certificate(tmp_path), load_or_make_certificate(tmp_path / "b")
    at = b"-----BEGIN CERTIFICATE"
    key, certificate = one.pem[: one.pem.index(at)], other.pem[other.pem.index(at) :]
    (tmp_path / FILE_NAME).write_bytes(key + certificate)
    with pytest.raises(ConfigError, match="does not belong"):
        load_or_make_certificate(tmp_path)


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    """The error is the store's, with the path."""
    with pytest.raises(StoreError, match=f"absent/{FILE_NAME}"):
        load_or_make_certificate(tmp_path / "absent")
