"""Parameters of URLs that say who may ask, and until when, but not for what."""

from __future__ import annotations

from urllib.parse import unquote

import attrs

__all__ = ["signing_parameters"]


@attrs.frozen
class _Family:
    """One way of signing: where all of ``marks`` are, all of ``names`` are part of it."""

    marks: frozenset[str]
    names: frozenset[str]


def _family(marks: str, others: str) -> _Family:
    found = frozenset(marks.split())
    return _Family(found, found | frozenset(others.split()))


# Amazon S3, version 4, which GitHub uses for git-lfs, with names of its own besides, and version 2;
# Google Cloud Storage, both versions; Alibaba OSS; Huawei OBS; Tencent COS; Azure Blob Storage's
# shared access signatures; CloudFront.
_FAMILIES = (
    _family(
        "X-Amz-Signature",
        "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders "
        "X-Amz-Security-Token X-Amz-User-Agent actor_id key_id",
    ),
    _family("AWSAccessKeyId Signature Expires", "x-amz-security-token"),
    _family(
        "X-Goog-Signature",
        "X-Goog-Algorithm X-Goog-Credential X-Goog-Date X-Goog-Expires X-Goog-SignedHeaders",
    ),
    _family("GoogleAccessId Signature Expires", ""),
    _family("OSSAccessKeyId Signature", "Expires SecurityToken security-token"),
    _family(
        "x-oss-signature",
        "x-oss-signature-version x-oss-credential x-oss-date x-oss-expires "
        "x-oss-additional-headers x-oss-security-token",
    ),
    _family(
        "AccessKeyId Signature Expires", "X-Obs-Date X-Obs-Security-Token x-obs-security-token"
    ),
    _family(
        "X-Obs-Signature",
        "X-Obs-Algorithm X-Obs-Credential X-Obs-Date X-Obs-Expires X-Obs-SignedHeaders "
        "X-Obs-Security-Token x-obs-security-token",
    ),
    _family(
        "q-signature",
        "q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list "
        "x-cos-security-token",
    ),
    _family("sig sv", "se sr sp st spr sip skoid sktid skt ske sks skv"),
    _family("Key-Pair-Id Signature", "Policy Expires"),
)


def signing_parameters(url: str) -> tuple[str, ...]:
    """Those of the URL's parameters that belong to a signature of a storage, sorted.

    Only where the signature itself is there: the same words mean something else elsewhere. Left
    out of the names of contents; who may have one is asked at its origin with the whole URL.
    """
    query = url.partition("#")[0].partition("?")[2]
    given = {unquote(part.partition("=")[0]) for part in query.split("&")}
    found: set[str] = set()
    for family in _FAMILIES:
        if family.marks <= given:
            found |= family.names & given
    return tuple(sorted(found))
