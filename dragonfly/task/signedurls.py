"""Parameters of URLs that say who may ask, and until when, but not for what."""

from __future__ import annotations

from urllib.parse import unquote

__all__ = ["SIGNING_PARAMETERS", "signing_parameters"]

_S3 = (
    "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders "
    "X-Amz-Signature X-Amz-Security-Token X-Amz-User-Agent AWSAccessKeyId"
)
_GCS = (
    "X-Goog-Algorithm X-Goog-Credential X-Goog-Date X-Goog-Expires X-Goog-SignedHeaders "
    "X-Goog-Signature GoogleAccessId"
)
_OSS = "OSSAccessKeyId Expires Signature SecurityToken security-token"
_OBS = "AccessKeyId X-Obs-Date X-Obs-Security-Token"
_COS = (
    "q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list q-signature "
    "x-cos-security-token"
)
_AZURE = "sv se sr sp sig st spr skoid sktid skt ske sks skv"
_CLOUDFRONT = "Policy Key-Pair-Id"
_GIT_LFS = "actor_id key_id"
_CONTAINERD = "ns"

SIGNING_PARAMETERS = tuple(
    f"{_S3} {_GCS} {_OSS} {_OBS} {_COS} {_AZURE} {_CLOUDFRONT} {_GIT_LFS} {_CONTAINERD}".split()
)
"""Left out of the names of contents: Amazon S3, Google Cloud Storage, Alibaba OSS, Huawei OBS,
Tencent COS, Azure Blob Storage (shared access signatures), CloudFront, GitHub's LFS storage, and
containerd's name of the registry. Who may have a content is asked at its origin with the whole
URL, each time."""


def signing_parameters(url: str) -> tuple[str, ...]:
    """Those of :data:`SIGNING_PARAMETERS` that a URL has."""
    query = url.partition("#")[0].partition("?")[2]
    names = {unquote(part.partition("=")[0]) for part in query.split("&")}
    return tuple(name for name in SIGNING_PARAMETERS if name in names)
