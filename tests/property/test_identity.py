"""Names of URLs: one for each content, never with a secret, never a crash."""

from __future__ import annotations

from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit

from hypothesis import assume, given
from hypothesis import strategies as st

from dragonfly.errors import ConfigError
from dragonfly.net.urls import parse_target
from dragonfly.task.identity import Version, name_of, origin_of, split_userinfo, task_id
from dragonfly.task.signedurls import signing_parameters

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
WORD = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"], exclude_characters="%?#/"),
    max_size=12,
)
hosts = st.lists(LABEL, min_size=1, max_size=3).map(".".join)
paths = st.lists(WORD, max_size=4).map(lambda parts: "/" + "/".join(parts))
ports = st.integers(1, 65535)
secrets = st.text("abcdefXYZ", min_size=12, max_size=12).map("s3cret".__add__)


@given(hosts, ports, paths)
def test_spelling_does_not_matter(host: str, port: int, path: str) -> None:
    """Case of the host, encoding of the path, a fragment: the same name."""
    plain = name_of(f"http://{host}:{port}{path}")
    assert name_of(f"HTTP://{host.upper()}:{port}{path}").id == plain.id
    encoded = quote(path, safe="!$&'()*+,/:;=@[]")
    assert name_of(f"http://{host}:{port}{encoded}").id == plain.id
    assert name_of(
        f"http://{host}:{port}{encoded.lower() if path.islower() else encoded}#f"
    ).id == (plain.id)


@given(hosts, paths)
def test_default_ports(host: str, path: str) -> None:
    """Named or not, and never mixed up between the schemes."""
    assert name_of(f"http://{host}{path}").id == name_of(f"http://{host}:80{path}").id
    assert name_of(f"https://{host}{path}").id == name_of(f"https://{host}:443{path}").id
    assert name_of(f"http://{host}{path}").id != name_of(f"https://{host}{path}").id


@given(st.integers(0, 2**128 - 1).map(IPv6Address), ports)
def test_ipv6(address: IPv6Address, port: int) -> None:
    """Every way to write an address is that address."""
    spellings = {str(address), address.exploded, str(address).upper(), address.exploded.upper()}
    ids = {name_of(f"http://[{each}]:{port}/f").id for each in spellings}
    assert len(ids) == 1
    assert origin_of(f"http://[{address}]:{port}") == f"http://[{address.compressed}]:{port}"


@given(st.text(st.characters(codec="utf-8", categories=["Ll", "Lo"]), min_size=1, max_size=10))
def test_idna(label: str) -> None:
    """A host in its own letters and in its wire form is one host, as for the connection."""
    url = f"http://{label}.example/f"
    try:
        wire = parse_target(url).host
    except ConfigError:
        return
    assume(":" not in wire)
    assert name_of(url).id == name_of(f"http://{wire}/f").id


@given(hosts, secrets, secrets, paths)
def test_userinfo_is_not_in_a_name(host: str, user: str, password: str, path: str) -> None:
    """Who asks is no part of what is asked for, in no form."""
    name = name_of(f"http://{user}:{password}@{host}{path}")
    assert name == name_of(f"http://{host}{path}")
    assert user not in repr(name)
    assert password not in repr(name)
    without, header = split_userinfo(f"http://{user}:{password}@{host}{path}")
    assert header is not None
    assert user not in without


@given(hosts, paths, paths)
def test_different_requests_have_different_names(host: str, one: str, other: str) -> None:
    """Two URLs that go over the wire as different requests are two names."""
    urls = [f"http://{host}{path}" for path in (one, other)]
    wires = [parse_target(url).url for url in urls]
    ids = [name_of(url).id for url in urls]
    assert (ids[0] == ids[1]) == (wires[0] == wires[1])


@given(st.text("%0123456789abcdefABCDEF/~", max_size=12), st.text("%0aA2F/", max_size=12))
def test_escapes_do_not_collide(one: str, other: str) -> None:
    """However escapes are nested: equal names mean equal bytes at the server."""
    if name_of(f"http://h/{one}").id == name_of(f"http://h/{other}").id:
        assert decoded(one) == decoded(other)


def decoded(path: str) -> list[str]:
    """What the path says: unreserved characters plain, other escapes as tokens."""
    found, at = [], 0
    while at < len(path):
        digits = path[at + 1 : at + 3]
        if path[at] == "%" and len(digits) == 2 and set(digits) <= set("0123456789abcdefABCDEF"):
            character = chr(int(digits, 16))
            plain = character.isascii() and (character.isalnum() or character in "-._~")
            found.append(character if plain else f"%{digits.upper()}")
            at += 3
        else:
            found.append(path[at])
            at += 1
    return found


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """A URL is named or refused as configuration, whatever it is."""
    for url in (text, f"http://{text}", f"https://host/{text}", f"http://{text}@host/"):
        try:
            name = name_of(url)
        except ConfigError as error:
            str(error).encode()
            continue
        assert urlsplit(name.url).username is None
        assert name_of(name.url).id == name.id


@given(hosts, st.lists(st.tuples(LABEL, WORD), max_size=6), st.sets(LABEL, max_size=3))
def test_filters(host: str, query: list[tuple[str, str]], filters: set[str]) -> None:
    """Filtered parameters change nothing, wherever they stand; that there are any does."""
    pairs = [(key, quote(value, safe="")) for key, value in query]
    kept = "&".join(f"{key}={value}" for key, value in pairs if key not in filters)
    whole = "&".join(f"{key}={value}" for key, value in pairs)
    filtered = name_of(f"http://{host}/f?{whole}", filters=filters)
    plain = name_of(f"http://{host}/f?{kept}")
    assert filtered.url == plain.url
    taken = {key for key, _ in pairs} & filters
    assert (filtered.id == plain.id) is (not taken - set(signing_parameters(f"?{whole}")))
    more = "&".join([whole, *(f"{key}=other" for key in sorted(taken))])
    assert name_of(f"http://{host}/f?{more}", filters=filters).id == filtered.id


versions = st.builds(
    Version,
    st.sampled_from(["digest", "etag", "modified", "fetch"]),
    st.text("ab\0", max_size=3),
    st.text("ab\0", max_size=3),
)


@given(versions, versions)
def test_task_ids(one: Version, other: Version) -> None:
    """Equal ids mean equal versions: parts do not run into each other."""
    name = name_of("http://host/f")
    assert (task_id(name, one) == task_id(name, other)) == (one == other)
