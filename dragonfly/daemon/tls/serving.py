"""What the mirror and opened connections are served with over TLS."""

from __future__ import annotations

from twisted.internet.ssl import CertificateOptions

from dragonfly.net.contexts import serving
from dragonfly.net.pem import KeyPair, PemFile, read_pair

__all__ = ["options_of_files", "server_options"]


def server_options(pair: KeyPair) -> CertificateOptions:
    """Make what a server speaks TLS with: HTTP/1.1 only, whatever else the client offers.

    :raises ConfigError: OpenSSL does not take the key.
    """
    # Clients that offer h2 as well are refused by Twisted where nobody chooses.
    return serving(pair, b"http/1.1")


def options_of_files(certpem: str, keypem: str) -> CertificateOptions:
    """Give what a port needs to be served over TLS.

    :raises ConfigError: a file cannot be used, or they do not belong together.
    """
    return server_options(read_pair(PemFile("certpem", certpem), PemFile("keypem", keypem)))
