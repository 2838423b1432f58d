"""``supernode.yml`` and flags: what is read, and what an error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.config import (
    OriginCert,
    SupernodeConfig,
    load_supernode_config,
    parse_supernode_config,
)
from dragonfly.errors import ConfigError


def test_supernode_defaults() -> None:
    """Rates are unlimited and both limits are 8, as measured, not as in v1."""
    config = load_supernode_config(None, {})
    assert config == SupernodeConfig()
    assert (config.port, config.download_port) == (8002, 8001)
    assert (config.up_limit, config.down_limit, config.origin_rate) == (8, 12, None)


def test_a_v1_supernode_yml_works(tmp_path: Path) -> None:
    """Moving over must not need another file; what has no effect is said."""
    file = tmp_path / "supernode.yml"
    file.write_text(
        "base:\n  listenPort: 9002\n  downloadPort: 9001\n  homeDir: /srv/df\n"
        "  advertiseIP: 10.1.2.3\n  peerUpLimit: 5\n  peerDownLimit: 4\n"
        "  eliminationLimit: 6\n  maxBandwidth: 200M\n  systemReservedBandwidth: 20M\n"
        "  failAccessInterval: 3m0s\n  taskExpireTime: 1m30s\n  peerGCDelay: 500ms\n"
        "  debug: true\n  gcInitialDelay: 6s\n  youngGCThreshold: 100G\n"
    )
    config = load_supernode_config(file, {"port": None})
    assert config == SupernodeConfig(
        port=9002,
        download_port=9001,
        home_dir="/srv/df",
        advertise_ip="10.1.2.3",
        up_limit=5,
        down_limit=4,
        max_bandwidth=200 << 20,
        system_bandwidth=20 << 20,
        fail_access_interval_s=180.0,
        task_expire_time_s=90.0,
        peer_gc_delay_s=0.5,
        debug=True,
        notices=config.notices,
    )
    assert config.origin_rate == 180 << 20
    assert [notice.rpartition(": ")[2].split()[0] for notice in config.notices] == [
        "eliminationLimit",
        "gcInitialDelay",
        "youngGCThreshold",
    ]


def test_flags_win_over_the_file() -> None:
    """What was typed last is what was meant."""
    config = parse_supernode_config(
        "base: {listenPort: 1, peerUpLimit: 2}", flags={"port": "0", "up-limit": None}
    )
    assert (config.port, config.up_limit) == (0, 2)


@pytest.mark.parametrize(
    ("text", "flags", "parts"),
    [
        ("base:\n  listenPrt: 1\n", {}, ["s.yml:2", "listenPrt", "listenPort"]),
        ("bas:\n  listenPort: 1\n", {}, ["s.yml:1", "bas"]),
        ("base:\n  zzz: 1\n", {}, ["s.yml:2", "zzz"]),
        ("base: 7\n", {}, ["s.yml:1", "base"]),
        ("base:\n  listenPort: 65536\n", {}, ["s.yml:2", "listenPort", "65536"]),
        ("base:\n  advertiseIP: myhost\n", {}, ["s.yml:2", "advertiseIP", "myhost"]),
        ("base:\n  debug: maybe\n", {}, ["s.yml:2", "debug", "maybe"]),
        ("base:\n  homeDir: ''\n", {}, ["s.yml:2", "homeDir"]),
        ("base:\n  taskExpireTime: 3 minutes\n", {}, ["s.yml:2", "taskExpireTime"]),
        ("", {"max-bandwidth": "20X"}, ["--max-bandwidth", "20X"]),
        ("", {"port": "http"}, ["--port", "http"]),
        ("base: {maxBandwidth: 10M, systemReservedBandwidth: 10M}", {}, ["maxBandwidth"]),
    ],
)
def test_a_wrong_supernode_value_is_named(
    text: str, flags: dict[str, str], parts: list[str]
) -> None:
    """File, line, key and value, or the flag."""
    with pytest.raises(ConfigError) as caught:
        parse_supernode_config(text, "s.yml", flags)
    for part in parts:
        assert part in str(caught.value)


ORIGIN_CERTS = """
base:
  originCerts:
    - host: Registry.example:5001
      certs: [/ca.pem, /other.pem]
      client_cert: /us.pem
      client_key: /us.key
    - {host: "[fd00::1]", certs: /ca.pem, insecure: "yes"}
    - host: bücher.example
"""


def test_certificates_by_origin() -> None:
    """Each with what counts for it; 443 is the port that need not be said."""
    first, second, third = parse_supernode_config(ORIGIN_CERTS).origin_certs
    assert first == OriginCert(
        host="registry.example",
        port=5001,
        certs=("/ca.pem", "/other.pem"),
        client_cert="/us.pem",
        client_key="/us.key",
    )
    assert second == OriginCert(host="fd00::1", certs=("/ca.pem",), insecure=True)
    assert third == OriginCert(host="xn--bcher-kva.example", port=443)
    assert parse_supernode_config("base: {originCerts: }").origin_certs == ()


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("7", ["originCerts must be a mapping"]),
        ("{certs: /ca.pem}", ["names no host"]),
        ("{host: 'https://registry'}", ["host", "https://registry"]),
        ("{host: 'registry:0'}", ["host", "'0'"]),
        ("{host: 'registry:65536'}", ["host", "65536"]),
        ("{host: 'a b'}", ["host", "a b"]),
        ("{host: 'é..x'}", ["host", "é..x"]),
        ("{host: r, certs: ['']}", ["certs", "''"]),
        ("{host: r, certs: [[]]}", ["certs", "file"]),
        ("{host: r, insecure: maybe}", ["insecure", "maybe"]),
        ("{host: r, client_cert: []}", ["client_cert"]),
        ("{host: r, client_key: /k}", ["client_key", "client_cert"]),
        ("{host: r, client_crt: /k}", ["client_crt", "client_cert"]),
        ("{host: r}\n  - {host: 'R:443'}", ["r:443", "twice"]),
    ],
)
def test_a_wrong_origin_is_named(entry: str, parts: list[str]) -> None:
    """File, line and what is wrong."""
    with pytest.raises(ConfigError) as caught:
        parse_supernode_config(f"base:\n  originCerts:\n  - {entry}\n", "s.yml")
    assert all(part in str(caught.value) for part in ["s.yml:", *parts]), caught.value


def test_origin_certs_are_a_list() -> None:
    """A single one, too."""
    with pytest.raises(ConfigError, match=r"s.yml:2: originCerts must be a list"):
        parse_supernode_config("base:\n  originCerts: {host: r}\n", "s.yml")
