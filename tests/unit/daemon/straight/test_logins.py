"""Logging in at registries that only the path names: what is asked, answered and passed on."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import parse_qs

import attrs
import pytest

from dragonfly.daemon.straight.logins import (
    Challenge,
    asks_how,
    challenge_of,
    local_token,
    our_challenge,
    scope_of,
    token_target,
    with_credentials,
)
from tests.doubles.responding import request

SKOPEO = (b"User-Agent", b"skopeo/1.9.3")
PASSWORD = (b"Authorization", b"Basic " + b64encode(b"alice:s3cret"))


@pytest.mark.parametrize(
    ("target", "lines", "takes"),
    [
        (b"/v2/", [SKOPEO], True),
        (b"/v2", [(b"User-Agent", b"containers/5.23.1 (github.com/containers/image)")], True),
        (b"/v2/", [(b"user-agent", b"Buildah/1.28.2")], True),
        (b"/v2/", [(b"User-Agent", b"docker/20.10 skopeo/1")], False),
        (b"/v2/", [], False),
        (b"/v2/", [SKOPEO, PASSWORD], False),
        (b"/v2/x/manifests/1", [SKOPEO], False),
    ],
)
def test_who_asks_how(target: bytes, lines: list[tuple[bytes, bytes]], takes: bool) -> None:
    """Engines that cannot say which registry they mean, before they are logged in."""
    assert asks_how(request(b"GET", target, *lines)) is takes
    assert not asks_how(request(b"HEAD", target, *lines))


def test_where_tokens_are() -> None:
    """At us, by the name that the client has for us, as it came; and nothing is smuggled in."""
    head = request(b"GET", b"/v2/")
    (name, value), _ = our_challenge(head)
    assert name == b"WWW-Authenticate"
    assert value == b'Bearer realm="http://localhost:65001/dragonfly/token",service="dragonfly"'
    assert b'"https://localhost' in our_challenge(attrs.evolve(head, secure=True))[0][1]
    odd = attrs.evolve(head, headers=((b"Host", b'a",x="b'),))
    assert b'"http://localhost/' in our_challenge(odd)[0][1]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            b'Bearer realm="https://auth.example/token?a=b",service="reg, one",scope="x"',
            Challenge(scheme="bearer", realm="https://auth.example/token?a=b", service="reg, one"),
        ),
        (b'bearer Realm="https://a"', Challenge(scheme="bearer", realm="https://a")),
        (b'Basic realm="r"', Challenge(scheme="basic")),
        (b"Bearer", None),
        (b"Negotiate abc", None),
        (b'Bearer ,,realm="', None),
    ],
)
def test_challenges(line: bytes, found: Challenge | None) -> None:
    """Of registries; anything else is not known."""
    assert challenge_of(((b"Www-Authenticate", line),)) == found


def test_what_a_realm_is_asked() -> None:
    """What the client asked, with the registry's names in place of ours."""
    asked = (
        b"/dragonfly/token?account=a%26b&scope=repository%3Ar.example%2Fn%3Apull&service=dragonfly"
    )
    assert scope_of(asked) == ("r.example/n", "pull")
    assert scope_of(b"/dragonfly/token") == ("", "")
    assert scope_of(b"/dragonfly/token?scope=registry:catalog:*") == ("", "")
    target = token_target("/token", "x=1", asked, "repository:n:pull", "registry one")
    path, _, query = target.partition(b"?")
    assert path == b"/token"
    assert parse_qs(query.decode()) == {
        "x": ["1"],
        "account": ["a&b"],
        "service": ["registry one"],
        "scope": ["repository:n:pull"],
    }


def test_our_own_tokens() -> None:
    """They stand for a password, at one registry, or for nobody; others are left alone."""
    token = json.loads(local_token(Challenge(scheme="basic"), (PASSWORD,), "r:443"))[
        "token"
    ].encode()
    assert with_credentials(((b"authorization", b"Bearer " + token),), "r:443") == (
        (b"authorization", PASSWORD[1]),
    )
    assert with_credentials(((b"authorization", b"Bearer " + token),), "other:443") == ()
    nobody = json.loads(local_token(Challenge(), (PASSWORD,), "r:443"))["token"].encode()
    assert with_credentials(((b"Authorization", b"Bearer " + nobody), SKOPEO), "r:443") == (SKOPEO,)
    assert with_credentials(((b"Authorization", b"Bearer dragonfly-basic.%%%"),), "r:443") == ()
    for kept in (b"Bearer abc", b"Basic abc"):
        assert with_credentials(((b"Authorization", kept),), "r:443") == ((b"Authorization", kept),)
