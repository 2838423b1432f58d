"""``dfdaemon.yml`` and flags: what is read, and what an error names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragonfly.config import (
    DAEMON_SAMPLE,
    DaemonConfig,
    Hijack,
    HijackHost,
    KnownRegistry,
    Node,
    ProxyRule,
    RegistryMirror,
    load_daemon_config,
    parse_daemon_config,
)
from dragonfly.errors import ConfigError

WHOLE = """\
registry_mirror:
  remote: http://registry.example.com:5000/
  insecure: true
  certs: [/etc/a.pem, /etc/b.pem]
supernodes:
- a:8002=1
- '[::1]:1'
port: 1
hostIp: 0.0.0.0
peerPort: 2
peerIp: 10.0.0.1
statusPort: 3
statusIp: '::'
ratelimit: 20M
localrepo: /srv/layers
workHome: /srv/home
drainTime: 1m30s
certpem: /etc/c.pem
keypem: /etc/k.pem
verbose: true
logConfig:
  path: /var/log/dfdaemon.log
"""


def words(config: DaemonConfig) -> list[str]:
    """The keys that have no effect."""
    return [notice.split(" has no effect")[0].split()[-1] for notice in config.notices]


def test_defaults() -> None:
    """Nothing need be said."""
    config = load_daemon_config(None, {})
    assert config == DaemonConfig()
    assert (config.port, config.peer_port, config.status_port) == (65001, 65002, 65003)
    assert (config.host_ip, config.rate_limit) == ("127.0.0.1", None)


def test_every_key() -> None:
    """Each one arrives."""
    assert parse_daemon_config(WHOLE) == DaemonConfig(
        registry=RegistryMirror(
            remote="http://registry.example.com:5000/",
            insecure=True,
            certs=("/etc/a.pem", "/etc/b.pem"),
        ),
        nodes=(Node("a"), Node("::1", 1)),
        port=1,
        host_ip="0.0.0.0",
        peer_port=2,
        peer_ip="10.0.0.1",
        status_port=3,
        status_ip="::",
        rate_limit=20 << 20,
        local_repo="/srv/layers",
        work_home="/srv/home",
        drain_s=90.0,
        certpem="/etc/c.pem",
        keypem="/etc/k.pem",
        verbose=True,
        log_path="/var/log/dfdaemon.log",
    )


def test_the_sample_says_the_defaults() -> None:
    """What ``config default`` prints is a file that changes nothing."""
    assert parse_daemon_config(DAEMON_SAMPLE) == DaemonConfig()


def test_what_the_sample_leaves_out_can_be_switched_on() -> None:
    """A commented key is one that exists."""
    nested = "  (?:path|cert|key|hosts)|    - regx|      (?:insecure|certs)"
    text = re.sub(rf"^# ([a-z]|(?:{nested}):)", r"\1", DAEMON_SAMPLE, flags=re.MULTILINE)
    config = parse_daemon_config(text)
    assert (config.rate_limit, config.peer_ip, config.status_ip) == (
        20 << 20,
        "10.0.0.7",
        "0.0.0.0",
    )
    assert config.certpem is not None
    assert config.log_path is not None
    assert config.hijack is not None
    assert [each.regx for each in config.hijack.hosts] == [r"^registry\.example\.com:443$"]
    assert config.local_repo == "/var/lib/dragonfly"


def test_a_file_of_v1_works() -> None:
    """The supernode may stand among the flags for dfget; what has no effect is said."""
    config = parse_daemon_config(
        "registry_mirror:\n  remote: https://index.docker.io\n"
        "proxies:\n- regx: blobs/sha256.*\n- regx: a\n  use_https: true\n  direct: true\n"
        "hijack_https:\n  cert: a\n  key: b\n  hosts:\n  - regx: r:443\n    insecure: yes\n"
        "    certs: [c]\n"
        'dfget_flags: ["--node","192.168.33.21,b=2","--verbose","--ip","192.168.33.22",'
        '"--port=15001","-f","a&b"]\n'
        "supernodes:\nstreamMode: true\n"
        "logConfig:\n  maxSize: 40\n"
    )
    assert config.nodes == (Node("192.168.33.21"), Node("b", weight=2))
    assert config.peer_ip == "192.168.33.22"
    assert config.proxies == (
        ProxyRule(regx="blobs/sha256.*"),
        ProxyRule(regx="a", use_https=True, direct=True),
    )
    hosts = (HijackHost(regx="r:443", insecure=True, certs=("c",)),)
    assert config.hijack == Hijack(cert="a", key="b", hosts=hosts)
    assert words(config) == [
        "--verbose",
        "--port",
        "-f",
        "streamMode",
        "maxSize",
    ]


def test_supernodes_win_over_dfgets_flags() -> None:
    """In whatever order they stand; an empty list says nothing."""
    text = "supernodes: a\ndfget_flags: [--node, b]\n"
    assert parse_daemon_config(text).nodes == (Node("a"),)
    assert parse_daemon_config("supernodes: []\nproxies: []\n").notices == ()


def test_flags_win_over_the_file() -> None:
    """The rest of the registry's section stays."""
    config = parse_daemon_config(
        WHOLE,
        flags={"registry": "r.example", "node": "c,d", "port": "0", "hostIp": None, "notbs": "x"},
    )
    assert config.registry == RegistryMirror(
        remote="r.example", insecure=True, certs=("/etc/a.pem", "/etc/b.pem")
    )
    assert config.nodes == (Node("c"), Node("d"))
    assert (config.port, config.host_ip) == (0, "0.0.0.0")
    assert words(config) == ["--notbs"]


@pytest.mark.parametrize(
    ("text", "flags", "parts"),
    [
        ("prt: 1\n", {}, ["d.yml:1", "'prt'", "did you mean port?"]),
        ("port: 1\nworkhome: /a\n", {}, ["d.yml:2", "workhome", "workHome"]),
        ("port: 65536\n", {}, ["d.yml:1", "port", "65536"]),
        ("port: [1]\n", {}, ["d.yml:1", "port"]),
        ("hostIp: localhost\n", {}, ["d.yml:1", "hostIp", "localhost"]),
        ("ratelimit: fast\n", {}, ["d.yml:1", "ratelimit", "fast"]),
        ("verbose: perhaps\n", {}, ["d.yml:1", "verbose", "perhaps"]),
        ("localrepo: ''\n", {}, ["d.yml:1", "localrepo"]),
        ("registry_mirror:\n  remot: a\n", {}, ["d.yml:2", "remot", "did you mean remote?"]),
        ("registry_mirror:\n  remote: ftp://a\n", {}, ["d.yml:2", "remote", "ftp://a"]),
        ("registry_mirror:\n  remote: https://a/v2\n", {}, ["d.yml:2", "remote", "https://a/v2"]),
        ("registry_mirror:\n  insecure: 7\n", {}, ["d.yml:2", "insecure", "7"]),
        ("registry_mirror:\n  certs:\n  - {a: b}\n", {}, ["d.yml:3", "certs"]),
        ("registry_mirror: http://a\n", {}, ["d.yml:1", "registry_mirror"]),
        ("supernodes:\n- a\n- b:0\n", {}, ["d.yml:3", "supernodes", "b:0"]),
        ("dfget_flags:\n- a\n", {}, ["d.yml:2", "dfget_flags", "'a'"]),
        ("dfget_flags:\n- --node=a:x\n", {}, ["d.yml:2", "--node", "a:x"]),
        ("logConfig:\n  path: ''\n", {}, ["d.yml:2", "path"]),
        ("certpem: /a\n", {}, ["certpem", "'/a'", "keypem"]),
        ("", {"keypem": "/k"}, ["keypem", "'/k'", "certpem"]),
        ("", {"node": "a:x"}, ["--node", "a:x"]),
        ("", {"registry": "a b"}, ["--registry", "a b"]),
        ("registry_mirror:\n  remote: https://a:x/\n", {}, ["d.yml:2", "remote", "'a:x'"]),
        ("", {"statusPort": "x"}, ["--statusPort", "x"]),
    ],
)
def test_a_wrong_value_is_named(text: str, flags: dict[str, str], parts: list[str]) -> None:
    """File, line, key and value, or the flag."""
    with pytest.raises(ConfigError) as caught:
        parse_daemon_config(text, "d.yml", flags)
    for part in parts:
        assert part in str(caught.value)


def test_a_password_in_the_registrys_address_is_refused_and_not_shown() -> None:
    """The text goes to terminals and logs."""
    with pytest.raises(ConfigError, match="credentials") as caught:
        parse_daemon_config("registry_mirror: {remote: 'https://me:hunter2@a'}")
    assert "hunter2" not in str(caught.value)


def test_the_file_is_read_from_disk(tmp_path: Path) -> None:
    """And named when it is not there."""
    file = tmp_path / "dfdaemon.yml"
    file.write_text("port: 7\n")
    assert load_daemon_config(file, {}).port == 7
    with pytest.raises(ConfigError, match=r"absent\.yml"):
        load_daemon_config(tmp_path / "absent.yml", {})


def test_registries() -> None:
    """What is said of each; a name alone is asked over TLS."""
    text = (
        "registries:\n- host: reg.example:5000\n  scheme: HTTP\n"
        "- host: '[::1]:5000'\n  certs: ca.pem\n  insecure: true\n"
        "- host: other.example\n  client_cert: c.pem\n  client_key: k.pem\n"
    )
    assert parse_daemon_config(text).registries == (
        KnownRegistry(host="reg.example:5000", scheme="http"),
        KnownRegistry(host="[::1]:5000", certs=("ca.pem",), insecure=True),
        KnownRegistry(host="other.example", client_cert="c.pem", client_key="k.pem"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registries: x", r":1: registries must be a list"),
        ("registries:\n- scheme: http", r":2: registries: one has no host"),
        ("registries:\n- host: a b", r":2: host: 'a b' is not of the form"),
        ("registries:\n- host: https://a", r"is not of the form host:port"),
        ("registries:\n- host: a\n  scheme: ftp", r":3: scheme: 'ftp'"),
        ("registries:\n- host: a\n- host: A", r":3: registries: a is listed twice"),
        ("registries:\n- host: a\n  client_key: k", r"client_key without client_cert"),
        ("registries:\n- hots: a", r"unknown key 'hots'.*did you mean host"),
        ("proxies:\n- direct: true", r":2: proxies: a rule has no regx"),
        ("proxies:\n- regx: (a", r":2: regx: '\(a' is not a regular expression"),
        ("proxies:\n- regx: a\n  redirect: http://u:secret@h", r"credentials do not belong"),
        ("hijack_https:\n  cert: a", r":1: hijack_https: key is missing"),
        ("hijack_https:\n  cert: a\n  key: b\n  hosts:\n  - insecure: true", r":5:.*no regx"),
        ("hijack_https:\n  certs: a", r"unknown key 'certs'.*did you mean cert"),
    ],
)
def test_wrong_lists(text: str, said: str) -> None:
    """With file and line."""
    with pytest.raises(ConfigError, match=said) as caught:
        parse_daemon_config(text)
    assert "secret" not in str(caught.value)


def test_empty_lists() -> None:
    """They say nothing."""
    assert parse_daemon_config("registries: []\nproxies:\nhijack_https: {}\n") == DaemonConfig()


def test_names_of_its_own() -> None:
    """One or a list; what no host can be called is refused with its place."""
    for text in ("hostNames: a_b.example.com", "hostNames: [a_b.example.com]"):
        assert parse_daemon_config(text).host_names == ("a_b.example.com",)
    assert parse_daemon_config("hostNames: []").host_names == ()
    with pytest.raises(ConfigError, match="hostNames: 'http://a' is no name of a host"):
        parse_daemon_config("hostNames: [b, 'http://a']")
