"""TLS with a server that must be the one it is taken for.

A check of our own, with the parts that service-identity is made of. Twisted's knows no name that
IDNA does not, such as ``my_registry``. And where a certificate has no name that can be read,
``optionsForClientTLS`` logs that and believes it for every host (seen with Twisted 26.10 and
service-identity 26.1): anybody to whom the same authority gave such a one, a client for instance,
could pass for any registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.errors import OriginUnreachable
from dragonfly.hostnames import is_host_name
from dragonfly.net.addresses import literal

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["CheckedConnection", "check_identity", "client_connection"]

_MUST = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
# service-identity wants two labels behind a star; authorities of private networks and Go do not.
_BELOW_ONE_LABEL = re.compile(r"\*\.[a-z0-9_-]+")


def client_connection(
    context: SSL.Context, protocol: TLSMemoryBIOProtocol, host: str
) -> SSL.Connection:
    """Make a connection of ``protocol``, with SNI unless the host is an address."""
    connection = SSL.Connection(context, None)
    connection.set_app_data(protocol)
    name = _server_name(host)
    if name is not None:
        connection.set_tlsext_host_name(name)
    return connection


def _server_name(host: str) -> bytes | None:
    """Return what a host is called in SNI: without the dot at its end (RFC 6066, 3);
    ``None`` for an address."""
    return None if literal(host) is not None else host.removesuffix(".").encode("ascii")


def check_identity(certificate: x509.Certificate, host: str) -> None:
    """See whether a certificate is made out to a host, as clients written in Go see it.

    Names that cannot be read count as absent.

    :param host: lower-case ASCII: a name, or an address.
    :raises service_identity.VerificationError: it is made out to others.
    :raises service_identity.CertificateError: it is made out to nobody.
    """
    address = literal(host)
    wanted = DNS_ID(host.removesuffix(".")) if address is None else IPAddress_ID(address)
    verify_service_identity(list(_patterns(certificate)), [wanted], [])


def _patterns(certificate: x509.Certificate) -> Iterable[CertificatePattern]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for address in names.get_values_for_type(x509.IPAddress):
        yield IPAddressPattern(pattern=address)  # type: ignore[arg-type]  # networks are no hosts
    for name in names.get_values_for_type(x509.DNSName):
        if _BELOW_ONE_LABEL.fullmatch(name.lower()):
            yield DNSPattern(pattern=name.lower().encode("ascii"))
            continue
        with suppress(CertificateError):
            yield DNSPattern.from_bytes(name.encode("utf-8"))


@implementer(IOpenSSLClientConnectionCreator)
class CheckedConnection:
    """Makes TLS connections to one host.

    :param host: lower-case ASCII: a name, or an address.
    :param context: knows whose signatures are believed.
    :raises OriginUnreachable: no certificate can be made out to that name.
    """

    def __init__(self, host: str, context: SSL.Context) -> None:
        if literal(host) is None and not is_host_name(host):
            raise OriginUnreachable(f"{host}: no certificate can have that name")
        self._host = host
        self._context = context

    def clientConnectionForTLS(
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """Make one."""
        connection = client_connection(self._context, tlsProtocol, self._host)
        connection.set_verify(_MUST, self._verify)
        return connection

    def _verify(
        self, connection: SSL.Connection, shown: crypto.X509, _error: int, depth: int, ok: int
    ) -> bool:
        if depth > 0 or not ok:
            return bool(ok)
        protocol: Any = connection.get_app_data()
        try:
            check_identity(shown.to_cryptography(), self._host)
        except Exception:  # noqa: BLE001 - OpenSSL loses what is raised here
            protocol.failVerification(Failure())
            return False
        return True
