"""The supernode's own certificate, and peers that know it again.

There is no authority that could sign a supernode's certificate, so a peer pins
its public key: told beforehand, or remembered from the first time.  The pin is
the SHA-256 of the key's SubjectPublicKeyInfo, which stays when a certificate
is renewed for the same key.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.errors import TrustError
from dragonfly.hostnames import ascii_host
from dragonfly.hostport import host_port
from dragonfly.net.certificates import BACKDATED, builder, common_name, new_key, pem_of, pin_of
from dragonfly.net.contexts import serving
from dragonfly.net.pem import KeyPair, PemFile, read_pair
from dragonfly.store.files import read_or_create_secret

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["PinnedPolicy", "ServerCertificate", "load_or_make_certificate"]

LIFETIME = datetime.timedelta(days=3652)
FILE_NAME = "tls.pem"


@attrs.frozen
class ServerCertificate:
    """Key and certificate of a server, as kept in one PEM file.

    One file, so that no crash and no second process can leave a key beside
    somebody else's certificate.
    """

    path: Path
    pem: bytes = attrs.field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate itself."""
        return x509.load_pem_x509_certificate(self.pem)

    @property
    def pin(self) -> bytes:
        """What clients pin: see :func:`~dragonfly.net.certificates.pin_of`."""
        return pin_of(self.certificate)

    def options(self) -> CertificateOptions:
        """Return the context factory for listening; reads the file.

        :raises ConfigError: it is not there any more.
        """
        return serving(_pair(self.path))


def load_or_make_certificate(
    directory: Path,
    names: Iterable[str] = (),
    *,
    now: datetime.datetime | None = None,
) -> ServerCertificate:
    """Return the certificate kept in *directory*; make it first if there is none.

    Of several processes that start at once, one makes it and all return that one.

    :param names: host names and addresses to put into a new certificate, besides
        those of this machine's loopback.
    :param now: the time from which a new certificate is valid; the present by default.
    :raises ConfigError: the file is there and holds no key with its certificate.
    :raises StoreError: it cannot be read or written.
    """
    path = directory / FILE_NAME

    def make() -> bytes:
        return _self_signed(tuple(names), now or datetime.datetime.now(datetime.timezone.utc))

    pem = read_or_create_secret(path, make)
    _pair(path)
    return ServerCertificate(path, pem)


def _pair(path: Path) -> KeyPair:
    file = PemFile("", str(path))
    return read_pair(file, file)


def _self_signed(names: tuple[str, ...], now: datetime.datetime) -> bytes:
    """Make a key and a certificate."""
    key, subject = new_key(), common_name("Dragonfly supernode")
    wanted = dict.fromkeys((*names, "localhost", "127.0.0.1", "::1"))
    certificate = (
        builder(subject, key, begin=now - BACKDATED, end=now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(list(map(_san, wanted))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return pem_of(key) + certificate.public_bytes(Encoding.PEM)


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(ascii_host(name))


@implementer(IPolicyForHTTPS)
class PinnedPolicy:
    """Believes a server only if it holds the key that is known for it.

    Names, dates and issuers in certificates do not count.

    :param known: takes ``host:port`` and returns the pin of the server there, or
        ``None`` if it was never met.
    :param learn: takes ``host:port`` and the pin after the first complete
        handshake with a server that was never met.  If it raises, the connection
        fails with that.

    With another key than the known one the connection fails with
    :class:`~dragonfly.errors.TrustError` before anything was sent to it.
    """

    def __init__(
        self,
        known: Callable[[str], bytes | None],
        learn: Callable[[str, bytes], object],
    ) -> None:
        self._known = known
        self._learn = learn

    def creatorForNetloc(self, hostname: bytes, port: int) -> PinnedConnection:
        """Return what makes connections to that server."""
        host = hostname.decode("ascii")
        return PinnedConnection(host_port(host, port), self._known, self._learn)


@implementer(IOpenSSLClientConnectionCreator)
class PinnedConnection:
    """Makes TLS connections that check one server's key."""

    def __init__(
        self,
        netloc: str,
        known: Callable[[str], bytes | None],
        learn: Callable[[str, bytes], object],
    ) -> None:
        self._netloc = netloc
        self._known = known
        self._learn = learn

    def clientConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """Make one; without SNI, for the name proves nothing here."""
        context = CertificateOptions().getContext()
        context.set_verify(SSL.VERIFY_PEER, self._verify)
        context.set_info_callback(self._completed)
        connection = SSL.Connection(context, None)
        connection.set_app_data(tlsProtocol)
        return connection

    # Both are called by OpenSSL, which loses whatever they raise.

    def _verify(
        self, connection: SSL.Connection, shown: crypto.X509, _error: int, depth: int, _ok: int
    ) -> bool:
        if depth > 0:  # issuers do not count
            return True
        try:
            self._check(pin_of(shown.to_cryptography()))
        except Exception:  # noqa: BLE001
            connection.get_app_data().failVerification(Failure())
            return False
        return True

    def _completed(self, connection: SSL.Connection, where: int, _code: int) -> None:
        # Only now has the server proved that it holds the key it showed.
        if not where & SSL.SSL_CB_HANDSHAKE_DONE:
            return
        try:
            shown = connection.get_peer_certificate()
            if shown is not None and self._known(self._netloc) is None:
                self._learn(self._netloc, pin_of(shown.to_cryptography()))
        except Exception:  # noqa: BLE001
            connection.get_app_data().failVerification(Failure())

    def _check(self, shown: bytes) -> None:
        known = self._known(self._netloc)
        if known is not None and known != shown:
            raise TrustError(
                f"THE KEY OF THE SUPERNODE AT {self._netloc} HAS CHANGED: "
                f"known is sha256:{known.hex()}, shown was sha256:{shown.hex()}. "
                "Either it was set up anew, or somebody stands in between and "
                "could read and replace everything. Nothing was sent to it."
            )
