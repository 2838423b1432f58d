"""What a hub of models says of a file."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.daemon.blobs.models import HTTP_MAX, model_headers, needs_xet
from dragonfly.net.reply import OriginReply
from tests.doubles.reader import make_reply

COMMIT = ("x-repo-commit", "c0ffee")
LINKED = (("x-linked-etag", '"ab"'), ("x-linked-size", "7"))


def redirected(*passed: tuple[str, str], **headers: str) -> OriginReply:
    """An answer behind redirects with these headers."""
    return attrs.evolve(make_reply(length=7, **headers), passed=passed)


def test_of_the_redirect_to_the_storage() -> None:
    """And none of those that tell of Xet."""
    said = model_headers(redirected(COMMIT, *LINKED, ("x-xet-hash", "00"), etag='"s3"'))
    assert said == [
        ("X-Repo-Commit", "c0ffee"),
        ("X-Linked-ETag", '"ab"'),
        ("X-Linked-Size", "7"),
    ]


def test_of_a_renamed_repository() -> None:
    """The first redirect says nothing, or of the old one; the one after it counts."""
    said = model_headers(redirected(("location", "/new"), ("x-repo-commit", "0"), COMMIT, *LINKED))
    assert said[0] == ("X-Repo-Commit", "c0ffee")
    said = model_headers(redirected(("location", "/new"), x_repo_commit="c0ffee"))
    assert said == [("X-Repo-Commit", "c0ffee")]


def test_of_other_servers() -> None:
    """Nothing."""
    assert model_headers(make_reply(length=7, etag='"v1"')) == []


@pytest.mark.parametrize(
    ("size", "by_xet", "needed"),
    [
        (str(HTTP_MAX), True, False),
        (str(HTTP_MAX + 1), True, True),
        (str(HTTP_MAX + 1), False, False),
        ("much", True, False),
    ],
)
def test_too_large_for_http(size: str, by_xet: bool, needed: bool) -> None:
    """Only where the hub offers Xet at all."""
    xet = (("x-xet-hash", "00"),) if by_xet else ()
    assert needs_xet(redirected(("x-linked-size", size), *xet)) is needed
