"""The CDN over plain HTTP: who gets in, and what HTTP promises about ranges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dragonfly.errors import OriginRefused
from dragonfly.signatures import SigningKey
from dragonfly.task.grant import CLOCK_SKEW_S, PROOF_AGE_S, Grant, sign_grant
from tests.doubles.api import TASK, ApiLab
from tests.doubles.cdn import PIECE, content_of

BODY = content_of(3 * PIECE + 1)
OTHER = SigningKey.from_bytes(b"\5" * 32)


@pytest.fixture
def lab(tmp_path: Path) -> ApiLab:
    """A supernode's API whose CDN has everything."""
    made = ApiLab(tmp_path, body=BODY, content_type="text/x-test")
    made.cdn.fetch()
    return made


# -- who gets in --------------------------------------------------------------------------


def test_the_whole(lab: ApiLab) -> None:
    """A grant and its holder's proof open it."""
    answer = lab.read()
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["content-type"] == "text/x-test"
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("left_out", ["X-Dragonfly-Grant", "X-Dragonfly-Proof"])
def test_nothing_shown(lab: ApiLab, left_out: str) -> None:
    """Without both headers nothing is told, not even whether there is such a task."""
    shown = lab.shown()
    del shown[left_out]
    answer = lab.call("GET", lab.path, headers=shown).answer()
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Dragonfly-Grant")
    assert lab.get(f"/cdn/{'00' * 32}").status == 401


def refused(lab: ApiLab, shown: dict[str, str]) -> str:
    """The text of the refusal."""
    answer = lab.call("GET", lab.path, headers=shown).answer()
    assert answer.status == 403
    assert BODY[:100] not in answer.body
    return str(json.loads(answer.body)["message"])


def test_wrong_grants(lab: ApiLab) -> None:
    """Forged, for another task, expired, or not valid yet."""
    now = int(lab.clock.seconds())
    grant = Grant(task=TASK, key=lab.peer.public, issued=now, expires=now + 300)
    assert "unknown key" in refused(lab, lab.shown(grant=sign_grant(grant, OTHER)))
    assert "for task" in refused(lab, lab.shown(grant=lab.grant(task=b"U" * 32)))
    old = lab.grant(lives_s=-CLOCK_SKEW_S - 1)
    assert "expired" in refused(lab, lab.shown(grant=old))
    damaged = bytearray(lab.grant())
    damaged[-1] ^= 1
    assert "signature" in refused(lab, lab.shown(grant=bytes(damaged)))
    assert "bytes" in refused(lab, lab.shown(grant=b"short"))


def test_wrong_proofs(lab: ApiLab) -> None:
    """A grant that was seen on the wire opens nothing, and an old proof nothing more."""
    assert "wrong signature" in refused(lab, lab.shown(holder=OTHER))
    for off in (PROOF_AGE_S + 1, -PROOF_AGE_S - 1):
        assert "proof" in refused(lab, lab.shown(at=int(lab.clock.seconds()) + off))
    shown = lab.shown()
    shown["X-Dragonfly-Proof"] = f"{int(lab.clock.seconds()) + 1}:{shown['X-Dragonfly-Proof'][11:]}"
    assert "wrong signature" in refused(lab, shown)


@pytest.mark.parametrize("proof", ["", ":", "x:00", "1", "-5:00", f"{2**64}:00", "9" * 5000])
def test_malformed(lab: ApiLab, proof: str) -> None:
    """What is no proof at all is refused like a wrong one."""
    assert refused(lab, {**lab.shown(), "X-Dragonfly-Proof": proof})
    assert refused(lab, {**lab.shown(), "X-Dragonfly-Grant": f"!{proof}"})


def test_banned(lab: ApiLab) -> None:
    """A ban closes this door too, and says why."""
    lab.tracker.bans = {lab.peer.public: "wrong bytes"}
    assert "wrong bytes" in refused(lab, lab.shown())


@pytest.mark.parametrize("name", ["00", "xyz", "..%2F..", "T" * 64])
def test_no_such_name(lab: ApiLab, name: str) -> None:
    """What is no task id is not looked for."""
    assert lab.call("GET", f"/cdn/{name}", headers=lab.shown()).answer().status == 404


def test_unknown_task(lab: ApiLab) -> None:
    """A grant for a task that is nowhere any more."""
    task = b"U" * 32
    shown = lab.shown(task=task)
    assert lab.call("GET", f"/cdn/{task.hex()}", headers=shown).answer().status == 404


def test_from_disk(lab: ApiLab) -> None:
    """A task that left memory is read back for whoever holds a grant for it."""
    content = lab.cdn.cdn.get(TASK)
    assert content is not None
    assert lab.cdn.cdn.forget(content)
    assert lab.read().body == BODY


def test_failed(tmp_path: Path) -> None:
    """A task whose fetch failed gives its error, not a part."""
    lab = ApiLab(tmp_path, body=BODY, errors=[OriginRefused("the origin answered 410", 410)])
    lab.cdn.fetch()
    answer = lab.read()
    assert (answer.status, json.loads(answer.body)["origin_status"]) == (404, 410)


# -- ranges ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        (f"bytes={PIECE - 1}-{PIECE}", PIECE - 1, PIECE + 1),
        ("bytes=5-", 5, len(BODY)),
        ("bytes=-7", len(BODY) - 7, len(BODY)),
    ],
)
def test_range(lab: ApiLab, header: str, begin: int, end: int) -> None:
    """206 with exactly these bytes."""
    answer = lab.read(Range=header)
    assert (answer.status, answer.body) == (206, BODY[begin:end])
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(BODY)}"
    assert answer.headers["content-length"] == str(end - begin)


def test_range_outside(lab: ApiLab) -> None:
    """416 tells how long it is."""
    answer = lab.read(Range=f"bytes={len(BODY)}-")
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"


def test_if_range(lab: ApiLab) -> None:
    """A range counts only for a copy of this very fetch; otherwise the whole comes."""
    etag = lab.read().headers["etag"]
    assert lab.read(Range="bytes=0-0", If_Range=etag).status == 206
    for other in ('"other"', f"W/{etag}", "Mon, 02 Jan 2023 00:00:00 GMT"):
        answer = lab.read(Range="bytes=0-0", If_Range=other)
        assert (answer.status, answer.body) == (200, BODY)


def test_head(lab: ApiLab) -> None:
    """The headers of the whole, and ranges do not apply."""
    for headers in ({}, {"Range": "bytes=0-0"}):
        answer = lab.read("HEAD", **headers)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == str(len(BODY))
        assert answer.headers["etag"] == lab.read().headers["etag"]


def test_empty(tmp_path: Path) -> None:
    """Nothing, completely; and no byte of it can be asked for."""
    lab = ApiLab(tmp_path, body=b"")
    lab.cdn.fetch()
    assert (lab.read().status, lab.read().body) == (200, b"")
    assert lab.read(Range="bytes=0-").status == 416


def test_another_fetch_has_another_etag(lab: ApiLab) -> None:
    """So a client never joins bytes of two fetches."""
    before = lab.read().headers["etag"]
    content = lab.cdn.cdn.get(TASK)
    assert content is not None
    content.fetch += 1
    assert lab.read().headers["etag"] != before
