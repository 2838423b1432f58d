"""OpenSSL's contexts, and the certificate that their connections show."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure

from dragonfly.errors import ConfigError
from dragonfly.net.pem import KeyPair
from dragonfly.net.reasons import cause

__all__ = ["serving", "show"]


def serving(pair: KeyPair, *protocols: bytes) -> CertificateOptions:
    """Make what a server speaks TLS with.

    :param protocols: of ALPN; without any it is not negotiated.
    :raises ConfigError: see :func:`show`.
    """
    options = CertificateOptions(acceptableProtocols=list(protocols) or None)
    show(options.getContext(), pair)
    return options


def show(context: SSL.Context, pair: KeyPair) -> None:
    """Have all connections of a context show a certificate.

    :raises ConfigError: OpenSSL does not take it: its key is too short, or of a kind that TLS
        does not know.
    """
    try:
        _use(context, pair)
    except SSL.Error:
        raise ConfigError(f"{pair.name}: {cause(Failure())}") from None
    except TypeError:
        raise ConfigError(f"{pair.name}: TLS knows no keys of its kind") from None


def _use(context: SSL.Context, pair: KeyPair) -> None:
    try:
        _put(context, pair.key, *pair.chain)
    except TypeError:  # pyOpenSSL before 24.3 takes its own classes only, later ones warn of them
        key = crypto.PKey.from_cryptography_key(pair.key)
        _put(context, key, *map(crypto.X509.from_cryptography, pair.chain))


def _put(context: SSL.Context, key: Any, certificate: Any, *above: Any) -> None:
    context.use_certificate(certificate)
    context.use_privatekey(key)
    for each in above:
        context.add_extra_chain_cert(each)
