"""TLS with the right server: which certificates are for which host, and the handshake."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.python.failure import Failure

from dragonfly.errors import OriginUnreachable
from dragonfly.net.checkedtls import check_identity
from dragonfly.net.reasons import cause, untrusted
from dragonfly.net.trust import Trust

KEY = ec.generate_private_key(ec.SECP256R1())


@lru_cache
def certificate(*names: str) -> x509.Certificate:
    """Made out to those; without any it has a common name only."""
    now = datetime.datetime.now(datetime.timezone.utc)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry.example")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if names:
        alternative = x509.SubjectAlternativeName([_name(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["registry.example"], "registry.example"),
        (["Registry.Example"], "registry.example"),
        (["registry.example"], "registry.example."),
        (["my_registry"], "my_registry"),
        (["*.lab_net.test"], "my_registry.lab_net.test"),
        (["*.local"], "my_registry.local"),
        (["*.*.odd", "10.0.0.1", "registry.example"], "registry.example"),
        (["10.0.0.1"], "10.0.0.1"),
        (["10.0.0.1"], "0x0a.1"),
        (["::1"], "::1"),
        (["::1"], "0::1"),
    ],
)
def test_made_out_to_it(names: Sequence[str], host: str) -> None:
    """Underscores, a star for one label, a dot at the end, names that nobody can read."""
    check_identity(certificate(*names), host)


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["other.example"], "registry.example"),
        (["my-registry"], "my_registry"),
        (["*.lab.test"], "lab.test"),
        (["*.lab.test"], "a.b.lab.test"),
        (["my_*.lab.test", "**.lab.test", "a.*.test"], "my_registry.lab.test"),
        (["*.local"], "local"),
        (["10.0.0.1"], "10.0.0.2"),
        (["10.0.0.1"], "registry.example"),
        (["*.0.0.1"], "10.0.0.1"),
    ],
)
def test_made_out_to_others(names: Sequence[str], host: str) -> None:
    """A star is one whole label, the first; addresses are no names."""
    with pytest.raises((VerificationError, CertificateError)):
        check_identity(certificate(*names), host)


@pytest.mark.parametrize("host", ["a b", "a..b", "ä".encode().decode("latin-1")])
def test_no_certificate_can_have_that_name(host: str) -> None:
    """It is said before anybody is connected to."""
    with pytest.raises((OriginUnreachable, UnicodeError)):
        Trust().policy().creatorForNetloc(host.encode("ascii"), 443)


# -- the handshake ---------------------------------------------------------------------------


@attrs.define
class Wire:
    """What Twisted's protocol is to the check.

    :ivar failed: why the server was not believed.
    """

    failed: Failure | None = None

    def failVerification(self, failure: Failure) -> None:
        """Keep it."""
        self.failed = failure


class Server:
    """One with a certificate, which is its own authority.

    :ivar asked_for: what clients call it.
    """

    def __init__(self, path: Path, *names: str) -> None:
        own = certificate(*names)
        self.path = str(path / "server.pem")
        key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(self.path).write_bytes(key + own.public_bytes(Encoding.PEM))
        self.asked_for: list[bytes | None] = []
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_file(self.path)
        self._context.use_privatekey_file(self.path)
        self._context.set_tlsext_servername_callback(
            lambda connection: self.asked_for.append(connection.get_servername())
        )

    def meet(self, host: str, trust: Trust) -> Wire | None:
        """Shake hands; ``None``: it was believed."""
        wire: Any = Wire()
        creator: Any = trust.policy().creatorForNetloc(host.encode(), 443)
        ours = creator.clientConnectionForTLS(wire)
        ours.set_connect_state()
        theirs = SSL.Connection(self._context, None)
        theirs.set_accept_state()
        try:
            for _ in range(4):
                _step(ours, theirs)
                _step(theirs, ours)
        except SSL.Error as error:
            wire.failed = wire.failed or Failure(error)
        return wire if wire.failed else None


def _step(one: SSL.Connection, other: SSL.Connection) -> None:
    with suppress(SSL.WantReadError):
        one.do_handshake()
    with suppress(SSL.WantReadError):
        other.bio_write(one.bio_read(65536))


def test_believed(tmp_path: Path) -> None:
    """With the name in SNI, without its dot; an address is no name."""
    server = Server(tmp_path, "my_registry", "10.0.0.1")
    trust = Trust(cacerts=server.path)
    for host in ("my_registry", "my_registry.", "10.0.0.1"):
        assert server.meet(host, trust) is None
    assert server.asked_for == [b"my_registry", b"my_registry", None]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["other"], "certificate verify failed: it is made out to another name"),
        ([], "certificate verify failed: it is made out to no name (it has no subjectAltName)"),
        (["*.*.odd"], "certificate verify failed: it is made out to no name"),
    ],
    ids=["another", "none", "unreadable"],
)
def test_not_believed(tmp_path: Path, names: Sequence[str], said: str) -> None:
    """Above all where there is no name: its authority does not vouch for this host then."""
    server = Server(tmp_path, *names)
    met = server.meet("registry.example", Trust(cacerts=server.path))
    assert met is not None
    assert met.failed is not None
    assert untrusted(met.failed)
    assert cause(met.failed).startswith(said)


def test_a_stranger(tmp_path: Path) -> None:
    """Nobody vouches for the certificate, and its names do not matter; unless anybody will do."""
    server = Server(tmp_path, "registry.example")
    met = server.meet("registry.example", Trust())
    assert met is not None
    assert met.failed is not None
    assert cause(met.failed) == "certificate verify failed"
    assert server.meet("wrong.example", Trust(insecure=True)) is None
