"""Origins that refuse, mislead or break off: a clear error, and nothing is lost."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.home import Running
from tests.e2e.rig.stage import Stage

NETWORK, ACCESS, SERVER, DIGEST = 4, 6, 8, 9
SIZE = 3 * MIB + 17
SOON_S = 15


@pytest.mark.parametrize("flags", [(), ("--pattern", "source")], ids=["swarm", "alone"])
@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("no/such/file", SERVER, "404"),
        ("status/403", ACCESS, "403"),
        ("status/500", SERVER, "500"),
        ("loop", SERVER, "redirect loop"),
    ],
)
def test_refusal_is_passed_on(
    stage: Stage, path: str, code: int, words: str, flags: tuple[str, ...]
) -> None:
    """The origin's own answer is in the error, at once, and an old output stays as it was."""
    out = stage.scene.root / "refused"
    out.write_text("as it was")
    done = stage.home.get(stage.nginx.url(path), "-o", out, *flags).failed(code)
    assert words in done.error
    assert done.seconds < SOON_S
    assert out.read_text() == "as it was"


def test_redirect_is_followed(stage: Stage) -> None:
    """One redirect to another path of the same origin."""
    digest = random_file(stage.nginx.files / "moved-file", SIZE)
    out = stage.scene.root / "moved"
    stage.home.get(stage.nginx.url("moved/moved-file"), "-o", out).succeeded()
    assert sha256(out) == digest


def test_right_digest_is_accepted(stage: Stage) -> None:
    """``--md5`` and ``--digest`` of every kind that can be computed here."""
    path = stage.nginx.files / "right"
    random_file(path, SIZE)
    out = stage.scene.root / "right"
    for algorithm in ("md5", "sha256", "sha512"):
        value = hashlib.new(algorithm, path.read_bytes()).hexdigest()
        flags = ("-m", value) if algorithm == "md5" else ("--digest", f"{algorithm}:{value}")
        stage.home.get(stage.nginx.url("right"), "-o", out, *flags).succeeded()
        assert out.read_bytes() == path.read_bytes()
        out.unlink()


@pytest.mark.parametrize("pattern", ["p2p", "source"])
@pytest.mark.parametrize("flags", [("-m", "0" * 32), ("--digest", "sha256:" + "0" * 64)])
def test_wrong_digest_is_an_error(stage: Stage, flags: tuple[str, str], pattern: str) -> None:
    """Nothing is put in place of the old output, and both digests are named."""
    path = stage.nginx.files / "wrong"
    random_file(path, SIZE)
    out = stage.scene.root / "wrong"
    out.write_text("as it was")
    url = stage.nginx.url("wrong")
    done = stage.home.get(url, "-o", out, "-p", pattern, *flags).failed(DIGEST)
    algorithm, _, expected = flags[1].rpartition(":")
    assert expected in done.error
    assert hashlib.new(algorithm or "md5", path.read_bytes()).hexdigest() in done.error
    assert out.read_text() == "as it was"
    assert done.seconds < SOON_S


def test_wrong_digest_does_not_spoil_the_file_for_others(stage: Stage) -> None:
    """After somebody asked with a wrong digest, whoever asks properly gets the file."""
    digest = random_file(stage.nginx.files / "spoilt", SIZE)
    url = stage.nginx.url("spoilt")
    out = stage.scene.root / "spoilt"
    stage.home.get(url, "-o", out, "--digest", "sha256:" + "0" * 64).failed(DIGEST)
    stage.home.get(url, "-o", out).succeeded()
    assert sha256(out) == digest


@pytest.mark.parametrize("manner", ["chunked", "closing", "cut"])
@pytest.mark.parametrize("pattern", ["p2p", "source"])
def test_odd_but_honest_origins_serve(stage: Stage, manner: str, pattern: str) -> None:
    """No length, or transfers that break off and can be continued: the file is right."""
    name = f"{manner}-{pattern}"
    digest = random_file(stage.odd.files / name, SIZE)
    out = stage.scene.root / name
    url = stage.odd.url(f"{manner}/{name}")
    done = stage.home.get(url, "-o", out, "-p", pattern).succeeded()
    assert sha256(out) == digest
    assert done.length == SIZE


BREAKING_OFF = {
    "short": (SERVER, "ended after"),
    "short --pattern source": (SERVER, "ended after"),
    "short --notbs": (NETWORK, "the supernode cannot get it"),
    "fleeting": (SERVER, "changed at the origin"),
    "fleeting --pattern source": (SERVER, "changed at the origin"),
    "stuck --pattern source": (SERVER, "ended after"),
    "bad-range": (SERVER, "was asked for"),
    "bad-range --pattern source": (SERVER, "was asked for"),
}


@pytest.fixture(scope="module", autouse=True)
def breaking_off(shared_stage: Stage) -> dict[str, tuple[Running, Path]]:
    """All of these at once, before everything else here, because giving up takes its time."""
    odd, started = shared_stage.odd, {}
    for number, what in enumerate(BREAKING_OFF):
        manner, *flags = what.split()
        name = f"off-{number}"
        random_file(odd.files / name, SIZE)
        out = shared_stage.scene.root / name
        url = odd.url(f"{manner}/{name}")
        started[what] = shared_stage.home.start(url, "-o", out, *flags), out
    return started


@pytest.mark.parametrize("what", BREAKING_OFF)
def test_origin_that_never_finishes_is_an_error(
    stage: Stage, breaking_off: dict[str, tuple[Running, Path]], what: str
) -> None:
    """Less than was announced, another version each time, nonsense for a range: an error that
    says so, and no output."""
    code, words = BREAKING_OFF[what]
    running, out = breaking_off[what]
    done = running.outcome().failed(code)
    assert words in done.error
    assert not out.exists()


def test_more_than_announced_is_cut_off(stage: Stage) -> None:
    """What goes beyond the announced length is not part of the file."""
    digest = random_file(stage.odd.files / "long", SIZE)
    out = stage.scene.root / "long"
    stage.home.get(stage.odd.url("long/long"), "-o", out).succeeded()
    assert sha256(out) == digest
