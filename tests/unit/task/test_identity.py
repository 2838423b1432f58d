"""Names: which URLs are the same, what never gets into one, and which versions are shared."""

from __future__ import annotations

from base64 import b64encode

import attrs
import pytest

from dragonfly.errors import ConfigError
from dragonfly.task.digest import Digest
from dragonfly.task.identity import (
    Name,
    Version,
    content_version,
    name_of,
    origin_of,
    split_userinfo,
    strong_etag,
    task_id,
)

HEX = "0123456789abcdef" * 4
OTHER_HEX = "f" * 64


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://Host/f", "HTTP://host:80/f"),
        ("https://host/f", "https://host:443/f"),
        ("http://host", "http://host/"),
        ("http://host./f", "http://host/f"),
        ("http://host/f#part", "http://host/f"),
        ("http://host/f?", "http://host/f"),
        ("http://user:pw@host/f", "http://host/f"),
        ("http://[2001:DB8:0:0::1]/f", "http://[2001:db8::1]:80/f"),
        ("http://[::FFFF:1.2.3.4]/f", "http://[::ffff:102:304]/f"),
        ("http://bücher.example/f", "http://xn--bcher-kva.example/f"),
        ("http://BÜCHER.example/f", "http://bücher.example/f"),
        ("http://host/%7euser", "http://host/~user"),
        ("http://host/a%2fb", "http://host/a%2Fb"),
        ("http://host/ä", "http://host/%C3%A4"),
        ("http://host/ä", "http://host/%c3%a4"),
        ("http://host/?q=%61", "http://host/?q=a"),
        ("http://host/a|b", "http://host/a%7Cb"),
        # Credentials, ports and queries do not matter to what a digest names.
        (f"http://host/v2/a/blobs/sha256:{HEX}", f"http://host/v2/b/blobs/sha256:{HEX}?x=1"),
        (f"http://host/v2/a/blobs/sha256:{HEX}", f"http://host/v2/a/blobs/sha256%3A{HEX}"),
    ],
)
def test_equal_urls(one: str, other: str) -> None:
    """Two spellings of one request are one name, so that callers meet."""
    assert name_of(one).text == name_of(other).text
    assert name_of(one).id == name_of(other).id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://host/f", "https://host/f"),
        ("http://host/f", "http://host:8080/f"),
        ("http://host/f", "http://other/f"),
        ("http://host/f", "http://host/F"),
        ("http://host/f", "http://host/f/"),
        ("http://host/a/../f", "http://host/f"),
        ("http://host/a%2Fb", "http://host/a/b"),
        ("http://host/a%2541", "http://host/a%41"),
        ("http://host/?a=1&b=2", "http://host/?b=2&a=1"),
        ("http://host/?a=%26", "http://host/?a=&"),
        ("http://[::1]/f", "http://[::2]/f"),
        # What is no escape must not become one by decoding what stands around it.
        ("http://host/%%32F", "http://host/%2F"),
        ("http://host/%%32F", "http://host/%252F"),
        ("http://host/%%32F", "http://host/%%2F"),
        ("http://host/%zz", "http://host/%25zz"),
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"http://other/v2/x/blobs/sha256:{HEX}"),
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"https://host/v2/x/blobs/sha256:{HEX}"),
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"http://host/v2/x/blobs/sha256:{OTHER_HEX}"),
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"http://host/v2/x/blobs/sha256:{HEX}/x"),
        # Not a registry's API: anybody may have put it there.
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"http://host/raw/v2/x/blobs/sha256:{HEX}"),
        (f"http://host/a/v2/x/blobs/sha256:{HEX}", f"http://host/b/v2/x/blobs/sha256:{HEX}"),
        (f"http://host/a/v2/x/blobs/sha256:{HEX}", f"http://host/a%2Fv2/x/blobs/sha256:{HEX}"),
        (f"http://host/v2/x/blobs/sha256:{HEX}", f"http://host/y/blobs/sha256:{HEX}"),
        (f"http://host/x/blobs/sha256:{HEX}", f"http://host/y/blobs/sha256:{HEX}"),
    ],
)
def test_different_urls(one: str, other: str) -> None:
    """What may be answered differently has another name; a digest alone is no name."""
    assert name_of(one).id != name_of(other).id


def test_credentials_are_not_in_a_name() -> None:
    """Neither text nor URL of a name shows who asked."""
    for url in ("http://us3r:s3cret@host/f?a=1", "https://s3cret@[::1]:1/"):
        name = name_of(url)
        assert "s3cret" not in f"{name!r}"
        assert "us3r" not in f"{name!r}"
        assert "@" not in name.url


def test_url_without_what_does_not_count() -> None:
    """Filtered parameters go, all others stay in their order and spelling."""
    name = name_of("http://host/f?b=2&sig=x&a=1&s%69g=y&sv=1&sign=3#frag", filters=["sig", "sv"])
    assert name.url == "http://host:80/f?b=2&a=1&sign=3"
    again = name_of("http://host/f?b=2&sig=y&a=1&sv=2&sign=3", filters=["sig", "sv", "no"])
    assert name.id == again.id == name_of("http://host/f?b=2&a=1&sign=3").id
    assert name_of("http://host/f?sig=1", filters=["sig"]).url == "http://host:80/f"
    assert name_of("http://host/f?sig=1").url == "http://host:80/f?sig=1"


def test_blobs_below_other_paths() -> None:
    """A registry need not be at the top of its host; what else is there, is another's."""
    blob = f"blobs/sha256:{'1' * 64}"
    top, other = (name_of(f"http://host/v2/{name}/{blob}") for name in ("a", "b/v2/c"))
    files, same = (name_of(f"http://host/{at}/v2/a/{blob}") for at in ("files", "f%69les"))
    assert top.digest == files.digest is not None
    assert top.text == f"blob sha256:{'1' * 64} at http://host:80"
    assert top.id == other.id
    assert files.id == same.id != top.id
    assert name_of(f"http://host/fil es/v2/a/{blob}".replace(" ", "%20")).id != files.id
    assert name_of(f"http://host/v2/a/{blob}%0A").digest is None
    for way in ("..", ".", "%2e%2E", "..;x"):
        assert name_of(f"http://host/v2/{way}/files/v2/a/{blob}").digest is None


def test_who_leaves_out_what_may_count() -> None:
    """Such URLs share a name with each other, and with none of which nothing was left out: an
    origin may give two of its resources the same entity tag."""
    ids = {
        name_of(f"http://host/f?{query}", filters=filters).id
        for query, filters in (
            ("file=a", ["file"]),
            ("file=b", ["file", "sig"]),
            ("f%69le=b&sig=c&sv=d", ["sig", "sv", "file"]),
        )
    }
    assert len(ids) == 1
    for other, filters in (("", []), ("", ["file"]), ("?file=a", []), ("?fil=a", ["fil"])):
        assert name_of(f"http://host/f{other}", filters=filters).id not in ids


def test_identifier_and_digest() -> None:
    """Each makes another name, and no text of one passes for the other."""
    digest = Digest.parse("md5:" + "0" * 32)
    url = "http://host/f"
    names = [
        name_of(url),
        name_of(url, identifier="x"),
        name_of(url, identifier="y"),
        name_of(url, digest=digest),
        name_of(url, digest=digest, identifier="x"),
        name_of(url, identifier=f"x as {digest}"),
        name_of(url, identifier="\udc80"),
    ]
    assert len({name.id for name in names}) == len(names)
    assert names[3].digest == digest


def test_digest_in_the_path() -> None:
    """The path's digest is the name's; one that contradicts it is the caller's mistake."""
    url = f"https://host/v2/app/blobs/sha256:{HEX}"
    name = name_of(url)
    assert name.text == f"blob sha256:{HEX} at https://host:443"
    assert name.digest == Digest.parse(f"sha256:{HEX}")
    assert name_of(url, digest=name.digest).id == name.id
    with pytest.raises(ConfigError, match="the digest asked for is"):
        name_of(url, digest=Digest.parse(f"sha256:{OTHER_HEX}"))
    assert name_of(url, digest=Digest.parse("md5:" + "0" * 32)).digest == name.digest


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with http"),
        ("host/f", "does not begin with http"),
        ("ftp://host/f", "does not begin with http"),
        ("http:///f", "names no host"),
        ("http://user:s3cret@/f?s3cret", "names no host"),
        ("http://./f", "is not a host name"),
        ("http://host:0/f", "port 0"),
        ("http://s3cret@host:99999/f", "[Pp]ort"),
        ("http://host:x/f", "[Pp]ort"),
        ("http://[::1/f", "IPv6"),
        ("http://[1:2]/f", "IPv6"),
        ("http://ho st/f", "space or control"),
        ("http://host/f\n", "space or control"),
        ("http://host/\x7f", "space or control"),
        ("http://host/\ud800", "not Unicode text"),
        ("http://\u00e4..b/f", "not a host name"),
        ("http://" + "\u00e4" * 80 + "/f", "not a host name"),
    ],
)
def test_refused(url: str, why: str) -> None:
    """What cannot be asked for is told at once, without secrets, and as text that prints."""
    with pytest.raises(ConfigError, match=why) as caught:
        name_of(url)
    assert "s3cret" not in str(caught.value)
    str(caught.value).encode()


def test_origins() -> None:
    """The port is always there, IPv6 in brackets, user and path never."""
    assert origin_of("HTTPS://User@Host/f?x") == "https://host:443"
    assert origin_of("http://[0::1]:8080/f") == "http://[::1]:8080"
    assert origin_of("http://[fe80::1%25eth0]/") == "http://[fe80::1]:80"


@pytest.mark.parametrize(
    ("userinfo", "plain"),
    [
        ("user:pw", b"user:pw"),
        ("user", b"user:"),
        ("user:p:w", b"user:p:w"),
        ("us%3Aer", b"us:er:"),
        ("user:p%40w%3A", b"user:p@w:"),
        ("user:%E4", b"user:\xe4"),
        ("a@b:c", b"a@b:c"),
        (":", b":"),
    ],
)
def test_userinfo(userinfo: str, plain: bytes) -> None:
    """It becomes the header that it stands for, byte for byte, and leaves the URL."""
    url, header = split_userinfo(f"http://{userinfo}@host:81/f?a=1#x")
    assert url == "http://host:81/f?a=1#x"
    assert header == "Basic " + b64encode(plain).decode()


def test_no_userinfo() -> None:
    """A URL without it comes back as it is."""
    assert split_userinfo("http://host/@f") == ("http://host/@f", None)


# -- versions -----------------------------------------------------------------------------


@attrs.frozen
class Answer:
    """What an origin said."""

    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None

    def header(self, name: str) -> str | None:
        """The last of that name."""
        return next(reversed(self.headers_all(name)), None)

    def headers_all(self, name: str) -> list[str]:
        """All of that name."""
        return [value for key, value in self.headers if key == name]


def version(*headers: tuple[str, str], length: int | None = 5) -> Version | None:
    """The version that an answer with these headers announces."""
    answer = Answer(headers, length)
    return content_version(answer, digest=None, fetch=42, audience="me")


def test_versions_in_their_order() -> None:
    """Digest, strong tag, date with length, and a number if nothing else."""
    dated = ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
    assert version(dated, ("etag", '"a"')) == Version("etag", '"a"')
    assert version(dated, ("etag", 'W/"a"')) == Version("modified", f"{dated[1]} 5", "me")
    assert version(dated, length=None) == Version("fetch", "42", "me")
    assert version() == Version("fetch", "42", "me")
    digest = Digest.parse(f"sha256:{HEX}")
    private = Answer((("cache-control", "private"),))
    assert content_version(private, digest=digest, fetch=42) == Version("digest", str(digest))


@pytest.mark.parametrize(
    "header",
    [
        ("cache-control", "private"),
        ("cache-control", "max-age=5, No-Store"),
        ("cache-control", 'private="x-user"'),
        ("set-cookie", "a=b"),
        ("vary", "*"),
        ("vary", "accept, *"),
    ],
)
def test_never_shared(header: tuple[str, str]) -> None:
    """What the origin means for one caller is not distributed, even with a strong tag."""
    assert version(header, ("etag", '"a"')) is None


@pytest.mark.parametrize(
    "header", [("cache-control", "no-cache, max-age=0"), ("vary", "accept-encoding")]
)
def test_shared(header: tuple[str, str]) -> None:
    """What only asks for revalidation is; every registration revalidates."""
    assert version(header, ("etag", '"a"')) == Version("etag", '"a"')


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        (None, None),
        ("", None),
        ('"', None),
        ('""', '""'),
        (' "a" ', '"a"'),
        ('W/"a"', None),
        ("a", None),
        ('"a', None),
    ],
)
def test_strong_tags(header: str | None, tag: str | None) -> None:
    """Only quoted tags without W/ are strong."""
    assert strong_etag(header) == tag


def test_task_ids() -> None:
    """Every part counts, and parts do not run into each other."""
    name = name_of("http://host/f")
    made = {
        task_id(name, Version("etag", "a", "b")),
        task_id(name, Version("etag", "ab", "")),
        task_id(name, Version("etag", "", "ab")),
        task_id(name, Version("fetch", "a", "b")),
        task_id(name_of("http://host/g"), Version("etag", "a", "b")),
    }
    assert len(made) == 5
    assert {len(task) for task in made} == {32}
    again = Name(text="whatever", id=name.id, url="", origin="")
    assert task_id(again, Version("etag", "a", "b")) in made
