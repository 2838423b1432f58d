"""Which addresses are fetched from, in every notation."""

from __future__ import annotations

import pytest

from dragonfly.errors import AddressRefused
from dragonfly.net.addresses import FetchPolicy, is_loopback, literal, plain_address

NOBODY = FetchPolicy()
LOCAL = FetchPolicy(allow_loopback=True)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "2001:4860:4860::8888",
        "fd12:3456::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::8.8.8.8",
    ],
)
def test_fetched(host: str) -> None:
    """Public and private addresses: that is where registries are."""
    assert NOBODY.refusal(host) is None
    NOBODY.check(host)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::169.254.169.254", "link-local"),
        ("::ffff:0:169.254.169.254", "link-local"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("::169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("0.1.2.3", "no address of one host"),
        ("255.255.255.255", "no address of one host"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
    ],
)
def test_never_fetched(host: str, kind: str) -> None:
    """Not even for callers on this machine; hidden in IPv6 they are what they are."""
    for policy in (NOBODY, LOCAL):
        refusal = policy.refusal(host)
        assert refusal is not None
        assert kind in refusal
        with pytest.raises(AddressRefused, match=kind):
            policy.check(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"]
)
def test_loopback(host: str) -> None:
    """Only for callers who are on it themselves."""
    assert NOBODY.refusal(host) == "a loopback address"
    assert LOCAL.refusal(host) is None
    assert is_loopback(host)


def test_what_the_operator_refuses() -> None:
    """His networks, in IPv6 clothes too, and nothing else."""
    policy = FetchPolicy.of(refused=("10.0.0.0/8", "fd00::/8"))
    for host in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        refusal = policy.refusal(host)
        assert refusal is not None
        assert "operator" in refusal
    assert policy.refusal("11.0.0.1") is None
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        FetchPolicy.of(refused=("10.0.0.1/8",))


@pytest.mark.parametrize("host", ["localhost", "", "10.0.0.1", "1.2.3", "fe80::1", "::2"])
def test_not_loopback(host: str) -> None:
    """Names are nobody's address."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::1", "::1"),
        ("a name", "a name"),
    ],
)
def test_plain_addresses(host: str, plain: str) -> None:
    """A dual-stack listener's view of an IPv4 caller is that caller's address."""
    assert plain_address(host) == plain


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fd00:0::1", "fd00::1"),
        ("0x7f.1", "127.0.0.1"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("2852039166", "169.254.169.254"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("host", None),
        ("1.2.3.4.5", None),
        ("b\u00fccher", None),
        ("a\0b", None),
        ("", None),
    ],
)
def test_addresses_that_need_no_resolving(host: str, address: str | None) -> None:
    """All that a resolver takes for an address without asking anybody."""
    assert literal(host) == address
