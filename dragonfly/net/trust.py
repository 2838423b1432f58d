"""Which certificates of origins are believed: per client, never for the whole process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.errors import ConfigError

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["Trust", "UncheckedConnection"]


@attrs.frozen
class Trust:
    """How far an origin's certificate is checked.

    By default against the system's authorities.  ``cacerts`` names a PEM file
    whose authorities count instead; ``insecure`` believes anybody.
    """

    cacerts: str | None = None
    insecure: bool = False

    def policy(self) -> IPolicyForHTTPS:
        """Return the policy for an Agent; reads the file.

        :raises ConfigError: the file cannot be read or holds no certificate.
        """
        if self.insecure:
            return _Unchecked()
        if self.cacerts is None:
            return BrowserLikePolicyForHTTPS()
        return BrowserLikePolicyForHTTPS(trustRootFromCertificates(_load(self.cacerts)))


def _load(path: str) -> list[Certificate]:
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as exc:
        raise ConfigError(f"cacerts {path}: {exc.strerror}") from None
    except ValueError:
        raise ConfigError(f"cacerts {path}: no certificate in PEM form") from None
    return [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]


@implementer(IOpenSSLClientConnectionCreator)
class UncheckedConnection:
    """A TLS client connection whose certificate OpenSSL does not judge."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._context = CertificateOptions().getContext()

    def clientConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """Make the connection, with SNI unless the host is an address."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection


@implementer(IPolicyForHTTPS)
class _Unchecked:
    def creatorForNetloc(self, hostname: bytes, port: int) -> UncheckedConnection:  # noqa: ARG002
        return UncheckedConnection(hostname.decode("ascii"))
