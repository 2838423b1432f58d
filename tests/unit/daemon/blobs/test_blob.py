"""A blob through the swarm: the check, the head, the body, and what happens when it fails."""

from __future__ import annotations

import math
import random

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred

from dragonfly.daemon.blobs.acquaintances import KEEP_S as KNOWN_S
from dragonfly.daemon.blobs.admissions import KEEP_S
from dragonfly.daemon.blobs.blobrequest import LENGTH_S, READS_MAX
from dragonfly.daemon.blobs.delivery import CHECK_S
from dragonfly.daemon.blobs.detours import SMALL_BYTES
from dragonfly.daemon.blobs.hearing import BEGIN_S, HUNGRY_S, PART_S, SILENCE_S
from dragonfly.daemon.blobs.heldhead import HEAD_S
from dragonfly.daemon.blobs.outlet import HOLD_BYTES
from dragonfly.daemon.blobs.sieve import GAP_BYTES
from dragonfly.daemon.blobs.swarmaccess import DARK_S
from dragonfly.daemon.blobs.vigil import LOOK_S
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.errors import (
    AddressRefused,
    DigestMismatch,
    DiskFull,
    NoSources,
    OriginRefused,
    OriginUnreachable,
    StoreError,
    TaskError,
)
from dragonfly.peer.download.ways import Reason
from dragonfly.task.identity import Version, name_of, task_id
from tests.doubles.blob import Asked, BlobScene, path_of
from tests.doubles.reader import make_reply

BODY = random.Random(7).randbytes(HOLD_BYTES + 300_000)
AHEAD = 200_000


@pytest.fixture
def scene() -> BlobScene:
    """A blob that is here and there."""
    return BlobScene(BODY)


def begun(scene: BlobScene, *lines: tuple[bytes, bytes]) -> Asked:
    """A request of which some bytes went out."""
    asked = scene.ask(*lines)
    scene.download.know()
    scene.download.come(AHEAD)
    return asked


def complete(asked: Asked) -> bool:
    """Whether the client takes it for complete."""
    return asked.responder.ending == "finished"


# -- when all goes well -------------------------------------------------------------


def test_through_the_swarm(scene: BlobScene) -> None:
    """Verified bytes go out as they come, the end when the digest is right."""
    asked = begun(scene)
    assert asked.responder.status == 200
    assert asked.received == BODY[:AHEAD]
    scene.download.come(len(BODY))
    assert asked.received == BODY[:-HOLD_BYTES]
    scene.download.finish()
    assert asked.received == BODY
    assert complete(asked)
    assert asked.result == [None]
    assert (asked.note.route, asked.note.ending, asked.note.why) == ("swarm", "done", "")
    assert asked.note.sources == {"cache": 0, "peers": 0, "cdn": len(BODY), "registry": 0}
    assert asked.note.task == "ab" * 8
    assert scene.registry.asked == []


def test_nothing_stays_behind(scene: BlobScene) -> None:
    """No timer, no reader, no file."""
    begun(scene)
    scene.download.finish()
    assert scene.clock.getDelayedCalls() == []
    assert scene.download.cancelled
    assert scene.download.readers == []
    assert all(prefix.released for prefix in scene.download.prefixes)


def test_the_head_says_what_the_registry_said(scene: BlobScene) -> None:
    """Soon after it said so, whatever the swarm does."""
    asked = scene.ask()
    assert asked.responder.status == 0
    scene.wait(HEAD_S)
    assert asked.responder.status == 200
    assert asked.headers[b"Content-Length"] == str(len(BODY)).encode()
    assert asked.headers[b"ETag"] == b'"v1"'
    assert asked.headers[b"Docker-Content-Digest"].startswith(b"sha256:")
    asked.responder.leave()


def test_check_and_fetch_at_once(scene: BlobScene) -> None:
    """Both with the caller's headers; not a byte goes out before the registry said yes."""
    scene.registry.reply = held = Deferred()
    asked = scene.ask((b"Authorization", b"Bearer t"), (b"Range", b"bytes=-10"))
    assert len(scene.downloads) == 1
    fetched = scene.download.request
    assert fetched.headers == (("Authorization", "Bearer t"),)
    assert not fetched.admitted
    assert not fetched.everywhere
    assert fetched.callsystem == "dfdaemon"
    assert str(fetched.digest) == path_of(BODY).decode().rpartition("/")[2]
    scene.download.finish()
    assert asked.responder.status == 0
    held.callback(None)
    assert asked.received == BODY[-10:]
    checked = (*fetched.headers, ("Via", "1.1 here"))
    assert scene.registry.probed == [(fetched.url, checked)]


def test_a_stranger_makes_nobody_ask(scene: BlobScene) -> None:
    """Who is on another host, and names the place himself: a supernode on this host would ask
    its own loopback for us, so the swarm begins when our check, which does not, said yes."""
    scene.place = attrs.evolve(scene.place, local=False)
    scene.registry.reply = AddressRefused("it is a loopback address")
    refused = scene.ask()
    assert scene.downloads == []
    assert scene.straight == [refused.responder]
    scene.registry.reply = held = Deferred()
    asked = scene.ask()
    assert scene.downloads == []
    held.callback(None)
    scene.download.finish()
    assert asked.received == BODY
    assert asked.note.route == "swarm"
    assert not scene.download.request.loopback
    assert scene.download.cancelled  # it is over


def test_a_check_tells_whom_it_came_through(scene: BlobScene) -> None:
    """Mirrors that are each other's registry find their names, however many there are."""
    scene.ask((b"Via", b"1.1 one, 1.1 two"), (b"Via", b"1.0 three")).responder.leave()
    ((_, headers),) = scene.registry.probed
    assert [text for name, text in headers if name == "Via"] == [
        "1.1 one, 1.1 two",
        "1.0 three",
        "1.1 here",
    ]
    assert scene.download.request.headers == ()


def test_several_sources(scene: BlobScene) -> None:
    """What each gave."""
    asked = scene.ask()
    scene.download.know()
    scene.download.come(100_000, "cache")
    scene.download.come(200_000, "peers")
    scene.download.come(50_000, "origin")
    scene.download.finish()
    cdn = len(BODY) - 350_000
    found = {"cache": 100_000, "peers": 200_000, "cdn": cdn, "registry": 50_000}
    assert asked.note.sources == found


# -- parts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "begin", "end"),
    [
        (b"bytes=100-199", 100, 200),
        (b"bytes=0-0", 0, 1),
        (b"bytes=300000-", 300_000, len(BODY)),
        (b"bytes=-1000", len(BODY) - 1000, len(BODY)),
    ],
)
def test_a_part(scene: BlobScene, header: bytes, begin: int, end: int) -> None:
    """206, and exactly those bytes, without waiting for the digest."""
    asked = scene.ask((b"Range", header))
    scene.download.know()
    scene.download.come(len(BODY))
    assert asked.responder.status == 206
    assert asked.headers[b"Content-Range"] == f"bytes {begin}-{end - 1}/{len(BODY)}".encode()
    assert asked.received == BODY[begin:end]
    assert complete(asked)
    assert not scene.download.ended
    assert asked.note.sources["cdn"] == end - begin


def test_a_part_that_is_the_whole(scene: BlobScene) -> None:
    """It can be checked, so it is."""
    asked = scene.ask((b"Range", b"bytes=0-"))
    scene.download.know()
    scene.download.come(len(BODY))
    assert asked.responder.status == 206
    assert asked.received == BODY[:-HOLD_BYTES]
    scene.download.finish()
    assert complete(asked)


def test_no_byte_of_it_exists(scene: BlobScene) -> None:
    """416 with the length, if that is certain; nobody waits for the swarm."""
    outside = (b"Range", f"bytes={len(BODY)}-".encode())
    doubtful = scene.ask(outside)
    assert scene.straight == [doubtful.responder]
    scene.held = True
    asked = scene.ask(outside)
    assert asked.responder.status == 416
    assert asked.headers[b"Content-Range"] == f"bytes */{len(BODY)}".encode()
    assert complete(asked)
    assert scene.download.cancelled


def test_if_range(scene: BlobScene) -> None:
    """Another version: the whole."""
    asked = scene.ask((b"Range", b"bytes=0-9"), (b"If-Range", b'"v0"'))
    scene.wait(HEAD_S)
    assert asked.responder.status == 200
    asked.responder.leave()


def many(count: int, *, apart: int) -> tuple[bytes, bytes]:
    """So many parts of one byte, that far from each other."""
    spans = ",".join(f"{begin}-{begin}" for begin in range(0, count * apart, apart))
    return b"Range", f"bytes={spans}".encode()


def test_parts_that_lie_close_together() -> None:
    """Are read from the registry as one."""
    scene = BlobScene(BODY, nodes=())
    asked = scene.ask(many(200, apart=1000))
    assert len(scene.registry.asked) == 1
    scene.registry.bodies[-1].give(len(BODY))
    pieces = asked.received.split(b"--cut")
    assert [piece.partition(b"\r\n\r\n")[2][:1] for piece in pieces[1:-1]] == [
        BODY[begin : begin + 1] for begin in range(0, 200_000, 1000)
    ]
    assert complete(asked)


def test_parts_from_the_first_byte_to_the_last(scene: BlobScene) -> None:
    """They do not wait as a whole does, for its digest or for a swarm that only begins; and what
    lies between them does not count as given."""
    length = len(BODY)
    asked = scene.ask((b"Range", f"bytes=0-9,1000-{length - 1}".encode()))
    scene.download.know()
    scene.download.come(length)
    assert asked.received.endswith(BODY[-10:] + b"\r\n--cut--\r\n")
    assert asked.note.sources["cdn"] == length - 990
    late = scene.ask((b"Range", f"bytes=0-9,1000-{length - 1}".encode()))
    scene.download.due = math.inf
    scene.download.know()
    assert len(scene.registry.asked) == 1
    late.responder.leave()


def test_many_parts_that_lie_apart() -> None:
    """Without a swarm the registry answers these itself, and not each of them."""
    body = bytes((READS_MAX + 1) * (GAP_BYTES + 2))
    scene = BlobScene(body, nodes=())
    asked = scene.ask(many(READS_MAX + 1, apart=GAP_BYTES + 2))
    assert scene.straight == [asked.responder]
    assert scene.registry.asked == []


def test_many_parts_that_lie_apart_behind_a_redirect() -> None:
    """The client is told to ask for fewer: from where it is redirected to it would not return."""
    body = bytes((READS_MAX + 1) * (GAP_BYTES + 2))
    scene = BlobScene(body, nodes=())
    reply = make_reply(length=len(body), etag='"v1"', url="https://cdn.example/x?signature=1")
    scene.registry.reply = attrs.evolve(reply, passed=(("location", reply.url),))
    asked = scene.ask(many(READS_MAX + 1, apart=GAP_BYTES + 2))
    assert (asked.responder.status, scene.straight, scene.registry.asked) == (400, [], [])
    fewer = scene.ask(many(READS_MAX, apart=GAP_BYTES + 2))
    assert (fewer.responder.status, len(scene.registry.asked)) == (206, READS_MAX)


def test_what_the_registry_encodes_on_the_way(scene: BlobScene) -> None:
    """The digest is that of something else; a client that undoes it finds out."""
    scene.registry.reply = make_reply(length=len(BODY), content_encoding="gzip")
    asked = scene.ask()
    assert scene.straight == [asked.responder]
    assert scene.download.cancelled


# -- how it is asked ----------------------------------------------------------------------


def test_a_stranger_is_asked_for_by_a_get(scene: BlobScene) -> None:
    """Until the origin gave that to who sends these credentials; a HEAD is a HEAD."""
    for agent in (b"x", b"y"):
        for lines in ((), ((b"Authorization", b"Bearer t"), (b"User-Agent", agent))):
            scene.ask(*lines, target=b"/a").responder.leave()
    scene.ask(target=b"/secret").responder.leave()
    scene.ask((b"Cookie", b"a=b"), method=b"HEAD", target=b"/a")
    scene.ask()  # a registry may be a cache
    assert scene.registry.by_get == [True, True, False, False, True, False, False]


def test_who_is_refused_stays_a_stranger(scene: BlobScene) -> None:
    """And who was given nothing though it said yes becomes one again."""
    scene.registry.reply = OriginRefused("log in", 401)
    refused = scene.ask(target=b"/a")
    assert scene.straight == [refused.responder]
    scene.registry.reply = None
    for _ in range(2):
        asked = scene.ask(target=b"/a")
        scene.registry.errors = [OriginRefused("no", 403)]
        scene.download.fail(NoSources("none"))
        assert asked.note.ending == "aborted"
    assert scene.registry.by_get == [True, True, True]


def refuse(scene: BlobScene) -> None:
    """The registry gives nothing to who asks for bytes, and neither does the swarm."""
    scene.registry.errors = [OriginRefused("no", 401)]
    scene.download.fail(OriginRefused("no", 401))


def test_a_get_that_is_refused_after_a_head_was_not(scene: BlobScene) -> None:
    """The client hears the registry's no as it is; no HEAD of that registry is believed then."""
    asked = scene.ask()
    refuse(scene)
    assert scene.straight == [asked.responder]
    assert (asked.note.route, asked.note.ending) == ("direct", "done")
    assert scene.clock.getDelayedCalls() == []
    other = scene.ask((b"Authorization", b"Bearer t"))
    assert scene.download.request.admitted
    assert scene.registry.by_get == [False, True]
    assert other.responder.status == 200
    other.responder.leave()


def test_a_get_that_is_refused_late(scene: BlobScene) -> None:
    """When the head is out there is nothing but a cut; the next one is asked for by a GET."""
    asked = scene.ask()
    scene.wait(HEAD_S)
    refuse(scene)
    assert (asked.responder.status, asked.responder.ending) == (200, "aborted")
    assert scene.straight == []
    scene.ask().responder.leave()
    assert scene.registry.by_get == [False, True]


def test_what_is_here_is_not_given_out_for_a_head(scene: BlobScene) -> None:
    """To who had no byte of it from the registry yet; to him a HEAD will do for a while."""
    scene.held = True
    for _ in range(2):
        scene.ask().responder.leave()
        assert scene.download.request.admitted
    scene.clock.advance(KNOWN_S)
    scene.ask().responder.leave()
    assert scene.registry.by_get == [True, False, True]


def test_who_had_a_byte_of_it_is_known(scene: BlobScene) -> None:
    """Whoever gave it, since that asks the registry by a GET."""
    first = begun(scene)
    second = scene.ask()
    assert (first.responder.status, second.responder.status) == (200, 200)
    assert scene.download.request.admitted
    for asked in (first, second):
        asked.responder.leave()
    assert scene.registry.by_get == [False, False]


def test_a_client_that_leaves_before_the_head(scene: BlobScene) -> None:
    """Nothing stays, and nobody is asked for it any more."""
    asked = scene.ask()
    asked.responder.leave()
    assert scene.clock.getDelayedCalls() == []
    assert scene.straight == []
    assert asked.note.ending == "gone"


# -- an answer that is remembered ---------------------------------------------------------


def read(scene: BlobScene, *lines: tuple[bytes, bytes], target: bytes | None = None) -> Asked:
    """A part that is read at once."""
    asked = scene.ask((b"Range", b"bytes=0-9"), *lines, target=target)
    if not asked.responder.over and scene.downloads:
        scene.download.finish()
    return asked


def test_many_parts_are_one_question(scene: BlobScene) -> None:
    """Of the same caller, for a minute."""
    for _ in range(5):
        assert read(scene, (b"Authorization", b"Bearer t")).received == BODY[:10]
    assert len(scene.registry.probed) == 1
    scene.clock.advance(KEEP_S)
    read(scene, (b"Authorization", b"Bearer t"))
    assert len(scene.registry.probed) == 2


def test_another_caller_is_another_question(scene: BlobScene) -> None:
    """What one may have says nothing of the next; his no is his alone."""
    read(scene, (b"Authorization", b"Bearer t"))
    scene.registry.reply = OriginRefused("no", 401)
    for lines in ((), ((b"Authorization", b"Bearer u"),), ((b"Cookie", b"a=b"),)):
        asked = read(scene, *lines)
        assert scene.straight[-1] is asked.responder
    assert read(scene, (b"Authorization", b"Bearer t")).received == BODY[:10]
    assert len(scene.registry.probed) == 4


def test_a_head_is_a_question(scene: BlobScene) -> None:
    """An engine that is about to push asks so whether the registry has the blob still; and if
    it has not, that is known to all."""
    read(scene)
    scene.registry.reply = OriginRefused("gone", 404)
    head = scene.ask(method=b"HEAD")
    assert scene.straight == [head.responder]
    assert scene.straight[-1] is not read(scene).responder
    assert len(scene.straight) == 2


def test_what_may_change_is_a_question(scene: BlobScene) -> None:
    """A file that is named by its URL: a moment ago it may have been another one."""
    for _ in range(2):
        scene.ask(target=b"/file.tar").responder.leave()
    assert len(scene.registry.probed) == 2


def test_a_yes_that_was_none(scene: BlobScene) -> None:
    """A body that could not be completed is asked for anew."""
    read(scene)
    asked = scene.ask((b"Range", b"bytes=0-9"))
    scene.registry.errors = [OriginRefused("no", 403)]
    scene.download.fail(NoSources("none"))
    assert asked.note.ending == "aborted"
    read(scene)
    assert len(scene.registry.probed) == 2


# -- straight on -------------------------------------------------------------------------


def test_who_reads_for_a_swarm(scene: BlobScene) -> None:
    """Is not sent into one, which waits for him; others' names in ``Via`` mean nothing."""
    asked = scene.ask((b"Via", b"1.1 dfdaemon-1, 1.1 dragonfly"), (b"Via", b"1.1 cache"))
    assert scene.straight == [asked.responder]
    assert scene.downloads == []
    scene.ask((b"Via", b"1.1 dragonflies")).responder.leave()
    assert len(scene.downloads) == 1


@pytest.mark.parametrize(
    "error", [OriginRefused("no", 401), OriginRefused("gone", 404), OriginUnreachable("down")]
)
def test_the_registry_says_no(scene: BlobScene, error: Exception) -> None:
    """Its very own answer is for the client; what was downloaded is not."""
    scene.registry.reply = error
    asked = scene.ask()
    assert scene.straight == [asked.responder]
    assert asked.responder.status == 0
    assert scene.download.cancelled
    assert str(error) in asked.note.why
    assert asked.note.route == "direct"


def test_without_supernodes() -> None:
    """The registry gives it, as if the swarm had: checked, redirects followed, with ranges."""
    scene = BlobScene(BODY, nodes=())
    asked = scene.ask()
    assert complete(asked)
    assert asked.received == BODY
    assert asked.headers[b"Accept-Ranges"] == b"bytes"
    assert asked.headers[b"X-Dragonfly-Source"] == b"origin"
    assert (asked.note.route, asked.note.why) == ("direct", "no supernode is configured")
    assert asked.note.sources["registry"] == len(BODY)
    assert scene.straight == []
    assert scene.downloads == []
    scene.registry.ranges = False
    asked = scene.ask((b"Range", b"bytes=10-19"))
    assert (asked.responder.status, asked.received) == (206, BODY[10:20])
    assert [each.end for each in scene.registry.asked] == [None, 20]


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        ([(b"If-None-Match", b'"v1"')], None),
        ([(b"X", b"\xff")], None),
        ([], b"/v2/x/blobs/sha256:" + b"0" * 64 + b"\xff"),
    ],
)
def test_what_the_swarm_is_not_for(
    scene: BlobScene, lines: list[tuple[bytes, bytes]], target: bytes | None
) -> None:
    """Conditions, headers and paths that are no text."""
    scene.ask(*lines, target=target)
    assert len(scene.straight) == 1
    assert scene.downloads == []


def test_a_request_with_a_body(scene: BlobScene) -> None:
    """A GET may have one; it is for the registry."""

    def give_body(responder: object) -> None:
        responder.body.length = 5  # type: ignore[attr-defined]

    scene.ask(before=give_body)
    assert len(scene.straight) == 1
    assert scene.downloads == []


def test_a_peer_that_is_stopping(scene: BlobScene) -> None:
    """The registry gives it."""
    scene.refuses = TaskError("this peer is stopping")
    asked = scene.ask()
    assert (asked.received, asked.note.why) == (BODY, "this peer is stopping")


def test_a_download_that_failed_before_the_check(scene: BlobScene) -> None:
    """The registry gives it from the beginning."""
    scene.registry.reply = held = Deferred()
    asked = scene.ask()
    scene.download.fail(DiskFull("/d: 5 bytes wanted, 3 free"))
    held.callback(None)
    assert asked.received == BODY
    assert [each.start for each in scene.registry.asked] == [0]
    assert "5 bytes wanted" in asked.note.why


def test_a_redirect_to_a_page(scene: BlobScene) -> None:
    """Where callers without rights are sent to log in, the answer is 200: it is not a yes."""
    scene.registry.reply = make_reply(url="https://login.example/")
    asked = scene.ask()
    scene.download.finish()
    assert scene.straight == [asked.responder]
    assert asked.received == b""


def test_a_page_of_no_length(scene: BlobScene) -> None:
    """It may be made on the fly for who has no rights; what the swarm knows is not for him."""
    scene.registry.reply = make_reply(length=None)
    asked = scene.ask()
    scene.download.know()
    scene.download.finish()
    assert scene.straight == [asked.responder]
    assert asked.received == b""


def test_a_part_of_a_page(scene: BlobScene) -> None:
    """Nor is it one for a part that such a page has, too."""
    scene.registry.reply = make_reply(length=2000, url="https://login.example/")
    asked = scene.ask((b"Range", b"bytes=0-9"))
    scene.download.finish()
    assert scene.straight == [asked.responder]
    assert asked.received == b""


def test_lengths_that_contradict(scene: BlobScene) -> None:
    """What is here is of another length than the registry announces."""
    scene.registry.reply = held = Deferred()
    scene.ask()
    scene.download.know()
    held.callback(make_reply(length=5))
    assert len(scene.straight) == 1


def test_a_dead_supernode_is_not_waited_for_each_time(scene: BlobScene) -> None:
    """For a while the registry gives blobs, but for those that are here; then it is tried
    again."""
    begun(scene)
    scene.download.reason = Reason.NO_SUPERNODE
    scene.download.finish()
    assert scene.ask().received == BODY
    assert len(scene.downloads) == 1
    scene.held = True
    scene.ask().responder.leave()
    assert len(scene.downloads) == 2
    scene.held = False
    scene.wait(DARK_S)
    scene.ask().responder.leave()
    assert len(scene.downloads) == 3


# -- no length, no bytes -----------------------------------------------------------------


def test_a_length_that_only_the_swarm_knows(scene: BlobScene) -> None:
    """It is announced, if it comes soon."""
    scene.registry.announce = False
    asked = scene.ask()
    assert asked.responder.status == 0
    scene.download.know()
    scene.wait(LOOK_S)
    scene.download.come(AHEAD)
    assert asked.headers[b"Content-Length"] == str(len(BODY)).encode()
    scene.download.finish()
    assert asked.received == BODY


@pytest.mark.parametrize("swarm", [True, False])
def test_a_length_that_nobody_knows(scene: BlobScene, swarm: bool) -> None:
    """The body goes in chunks, its end held back all the same."""
    scene.registry.announce = False
    asked = scene.ask((b"Range", b"bytes=0-9"))
    if swarm:
        scene.download.know(length=False)
        scene.wait(HEAD_S)
    else:
        scene.wait(LENGTH_S + LOOK_S)
        scene.download.know(length=False)
    assert asked.responder.status == 200
    assert b"Content-Length" not in asked.headers
    scene.download.come(len(BODY))
    assert asked.received == BODY[:-HOLD_BYTES]
    scene.download.finish()
    assert asked.received == BODY
    assert complete(asked)


def test_no_bytes_at_all() -> None:
    """There is nothing to share, and the registry's own head is the best."""
    scene = BlobScene(b"")
    asked = scene.ask()
    assert scene.straight == [asked.responder]


def test_no_bytes_where_there_should_be(scene: BlobScene) -> None:
    """An empty answer cannot be cut off: the registry gives its own."""
    scene.registry.reply = make_reply(length=0)
    scene.ask()
    assert len(scene.straight) == 1


# -- the rest from the registry ------------------------------------------------------------


def test_the_download_fails(scene: BlobScene) -> None:
    """The rest comes from the registry, and the whole is right."""
    asked = begun(scene)
    scene.download.fail(NoSources("nobody is left"))
    assert asked.received == BODY
    assert complete(asked)
    assert [each.start for each in scene.registry.asked] == [AHEAD]
    assert asked.note.why == "nobody is left"
    assert asked.note.sources["cdn"] == AHEAD
    assert asked.note.sources["registry"] == len(BODY) - AHEAD
    assert scene.download.prefixes[0].released


def test_the_digest_counts_over_both_parts(scene: BlobScene) -> None:
    """Right bytes after wrong ones do not make it right."""
    asked = begun(scene)
    scene.download.prefixes[0].body = b"?" + BODY[1:]  # what the file holds
    scene.download.fail(NoSources("nobody is left"))
    assert asked.responder.ending == "aborted"
    assert len(asked.received) < len(BODY)
    assert asked.note.ending == "aborted"


def test_a_wrong_digest_in_the_swarm(scene: BlobScene) -> None:
    """What went out is wrong: nothing is to be saved."""
    asked = begun(scene)
    scene.download.come(len(BODY))
    scene.download.fail(DigestMismatch("the content has x, expected y"))
    assert asked.responder.ending == "aborted"
    assert asked.received == BODY[:-HOLD_BYTES]
    assert scene.registry.asked == []
    assert "expected y" in asked.note.why


def test_a_wrong_digest_of_which_nothing_went_out() -> None:
    """The registry may have the right one."""
    scene = BlobScene(BODY[:1000])
    asked = scene.ask()
    scene.download.know()
    scene.download.come(1000)
    scene.download.fail(DigestMismatch("the content has x, expected y"))
    assert asked.received == BODY[:1000]
    assert complete(asked)
    assert asked.note.sources["registry"] == 1000


def test_a_right_digest_of_more_than_announced(scene: BlobScene) -> None:
    """The client would take a part for the whole."""
    scene.registry.claims = len(BODY) - 5
    asked = begun(scene)
    scene.download.finish()
    assert asked.responder.ending == "aborted"
    assert len(asked.received) < len(BODY) - 5


def test_a_right_digest_of_fewer_than_announced(scene: BlobScene) -> None:
    """It can never be what was announced."""
    scene.registry.claims = len(BODY) + 5
    asked = begun(scene)
    scene.download.finish()
    assert asked.responder.ending == "aborted"


@pytest.mark.parametrize("begin", [100, len(BODY) + 2])
def test_a_part_of_fewer_than_announced(scene: BlobScene, begin: int) -> None:
    """What the swarm has is not what the registry announced: nothing of it is given out."""
    scene.registry.claims = len(BODY) + 5
    asked = scene.ask((b"Range", f"bytes={begin}-".encode()))
    scene.download.finish()
    assert asked.responder.ending == ("aborted" if asked.received else "")
    assert scene.straight == ([] if asked.received else [asked.responder])
    assert asked.received in (b"", BODY[begin:])  # the registry gives what it has
    assert asked.note.sources["cdn"] == 0


def test_the_front_cannot_be_read_again(scene: BlobScene) -> None:
    """Then nobody can say that the whole is right."""
    asked = begun(scene)
    scene.download.prefixes[0].error = StoreError("input/output error")
    scene.download.fail(StoreError("input/output error"))
    assert asked.responder.ending == "aborted"
    assert scene.registry.asked == []


def test_the_registry_fails_too(scene: BlobScene) -> None:
    """Cut off; the log says what led to that."""
    asked = begun(scene)
    scene.registry.errors = [OriginRefused("expired", 401)]
    scene.download.fail(NoSources("nobody is left"))
    assert asked.responder.ending == "aborted"
    assert asked.received == BODY[:AHEAD]
    assert asked.note.why == "nobody is left; then: expired"


def test_a_part_goes_on_from_the_registry(scene: BlobScene) -> None:
    """Without a digest, and no further than it goes."""
    asked = scene.ask((b"Range", b"bytes=1000-250999"))
    scene.download.know()
    scene.download.come(AHEAD)
    scene.download.fail(NoSources("nobody is left"))
    assert asked.received == BODY[1000:251_000]
    assert complete(asked)
    assert scene.download.prefixes == []
    assert asked.note.sources["registry"] == 251_000 - AHEAD


# -- patience --------------------------------------------------------------------------


def test_a_swarm_that_says_nothing(scene: BlobScene) -> None:
    """The registry is read, and the next blobs do not wait again."""
    asked = scene.ask()
    scene.wait(BEGIN_S - 1)
    assert asked.received == b""
    scene.wait(1 + LOOK_S)
    assert asked.received == BODY
    assert asked.note.why.startswith(f"nothing came for {BEGIN_S:g} s")
    scene.ask()
    assert len(scene.downloads) == 1


def test_a_swarm_that_stands_still(scene: BlobScene) -> None:
    """In the middle of a body."""
    asked = begun(scene)
    scene.wait(SILENCE_S - 1)
    assert asked.received == BODY[:AHEAD]
    scene.wait(1 + LOOK_S)
    assert asked.received == BODY


def test_pieces_that_the_client_does_not_wait_for(scene: BlobScene) -> None:
    """They show that it is moving, but not for ever."""
    asked = begun(scene)
    listener = scene.download.listeners[0]
    for _ in range(int(HUNGRY_S) - 1):
        scene.wait(1)
        listener.on_ranges([(0, 1)])
    assert asked.received == BODY[:AHEAD]
    scene.wait(1 + LOOK_S)
    assert asked.received == BODY


def test_a_part_far_behind(scene: BlobScene) -> None:
    """The registry gives it at once, the swarm perhaps in an hour."""
    asked = scene.ask((b"Range", b"bytes=500000-"))
    scene.download.know()
    scene.download.come(AHEAD)
    scene.wait(PART_S + LOOK_S)
    assert asked.received == BODY[500_000:]
    assert complete(asked)


@pytest.mark.parametrize("wanted", [b"bytes=0-%d" % SMALL_BYTES, b"bytes=1000-"])
def test_a_part_of_which_nobody_says_anything(wanted: bytes) -> None:
    """Whoever reads in parts does not wait as long as for a whole, however long the part."""
    scene = BlobScene(BODY + bytes(SMALL_BYTES))
    asked = scene.ask((b"Range", wanted))
    scene.wait(PART_S - 1)
    assert asked.received == b""
    scene.wait(1 + LOOK_S)
    assert complete(asked)
    assert asked.note.why.startswith(f"nothing came for {PART_S:g} s")


def test_a_client_that_does_not_read(scene: BlobScene) -> None:
    """Nobody is late then."""
    asked = scene.ask(before=lambda responder: setattr(responder, "room", 1000))
    scene.download.know()
    scene.download.come(len(BODY))
    scene.wait(4 * SILENCE_S)
    assert scene.registry.asked == []
    asked.responder.take(1 << 30)
    scene.download.finish()
    assert asked.received == BODY


def test_a_digest_that_is_not_checked(scene: BlobScene) -> None:
    """That has its time, too; then the registry and our own hashing decide."""
    asked = begun(scene)
    scene.download.come(len(BODY))
    scene.wait(CHECK_S - 1)
    assert scene.registry.asked == []
    scene.wait(1 + LOOK_S)
    assert asked.received == BODY
    assert complete(asked)


# -- changes, clients that go -----------------------------------------------------------------


def test_it_begins_again_before_anything_went_out() -> None:
    """The new content is read from its beginning."""
    scene = BlobScene(BODY[:1000])
    asked = scene.ask()
    scene.download.know()
    scene.download.come(500)
    scene.download.restart()
    scene.wait(1)
    scene.download.finish()
    assert asked.received == BODY[:1000]
    assert scene.registry.asked == []
    assert all(prefix.released for prefix in scene.download.prefixes)


def test_it_begins_again_after_something_went_out(scene: BlobScene) -> None:
    """Two contents are not mixed."""
    asked = begun(scene)
    scene.download.restart()
    assert [each.start for each in scene.registry.asked] == [AHEAD]
    assert asked.received == BODY


def test_why_is_what_the_download_said_first(scene: BlobScene) -> None:
    """Its notice explains what follows."""
    asked = begun(scene)
    scene.download.notice("not shared: the origin says private")
    scene.download.fail(NoSources("nobody is left"))
    assert asked.note.why == "not shared: the origin says private"


@pytest.mark.parametrize("when", ["check", "begin", "middle", "registry"])
def test_the_client_hangs_up(scene: BlobScene, when: str) -> None:
    """Wherever that is, everything stops and nothing is wrong."""
    if when == "check":
        scene.registry.reply = Deferred()
    asked = scene.ask()
    if when in {"middle", "registry"}:
        scene.download.know()
        scene.download.come(AHEAD)
    if when == "registry":
        scene.registry.silent = True
        scene.download.fail(NoSources("nobody is left"))
    asked.responder.leave()
    assert asked.result == [None]
    assert asked.note.ending == "gone"
    assert scene.download.cancelled
    assert scene.clock.getDelayedCalls() == []
    assert all(prefix.released for prefix in scene.download.prefixes)
    assert all(body.stopped for body in scene.registry.bodies)


def test_cancelling(scene: BlobScene) -> None:
    """The answer is cut, the download given up."""
    asked = begun(scene)
    asked.answering.cancel()
    assert asked.responder.ending == "aborted"
    assert scene.download.cancelled
    assert isinstance(asked.result[0].value, CancelledError)


# -- what has no digest in its name -----------------------------------------------------------

FILE = b"/files/a.whl?X-Amz-Signature=s3cret"


def known(scene: BlobScene) -> None:
    """The swarm has the version that the origin announces."""
    name = name_of(scene.download.request.url, filters=("X-Amz-Signature",))
    scene.download.id = task_id(name, Version("etag", '"v1"'))
    scene.download.know()


def test_a_file(scene: BlobScene) -> None:
    """It is named by its URL without signature, and by the tag that the origin gave it."""
    asked = scene.ask(target=FILE)
    fetched = scene.download.request
    assert (fetched.digest, fetched.filters, fetched.notbs) == (None, ("X-Amz-Signature",), True)
    known(scene)
    scene.download.come(AHEAD)
    assert asked.received == BODY[:AHEAD]
    assert asked.headers[b"X-Dragonfly-Source"] == b"swarm"
    assert asked.headers[b"X-Dragonfly-Task-ID"] == scene.download.id.hex().encode()
    scene.download.come(len(BODY))
    assert complete(asked)
    assert asked.received == BODY


def test_another_version(scene: BlobScene) -> None:
    """What the swarm has is not what the origin announced: it is read from there."""
    asked = scene.ask(target=FILE)
    scene.download.know()
    assert asked.received == BODY
    assert scene.download.cancelled
    assert "another version" in asked.note.why
    (again,) = scene.registry.asked
    assert again.validator is not None
    assert again.validator.etag == '"v1"'


def test_a_file_that_stops_in_the_middle(scene: BlobScene) -> None:
    """The rest comes from the origin, if it is still the same."""
    asked = scene.ask(target=FILE)
    known(scene)
    scene.download.come(AHEAD)
    scene.registry.etag = '"v2"'
    scene.download.fail(NoSources("nobody has it"))
    assert asked.responder.ending == "aborted"
    assert asked.received == BODY[:AHEAD]
    assert "changed" in asked.note.why


@pytest.mark.parametrize(
    "lines",
    [
        {"etag": 'W/"v1"'},
        {"etag": '"v1"', "cache_control": "private"},
        {"last_modified": "Mon, 30 Nov 2026 00:00:00 GMT"},  # and parameters were left out
        {},
    ],
)
def test_what_nothing_tells_from_another_version(scene: BlobScene, lines: dict[str, str]) -> None:
    """It goes straight on."""
    scene.registry.reply = make_reply(length=len(BODY), **lines)
    asked = scene.ask(target=FILE)
    assert scene.straight == [asked.responder]
    assert scene.downloads == []
    assert asked.note.why.startswith("not shared")


def test_filters_of_the_client(scene: BlobScene) -> None:
    """They count in place of ours."""
    scene.ask((b"X-Dragonfly-Filtered-Query-Params", b"b"), target=b"/f?a=1&b=2").responder.leave()
    assert scene.download.request.filters == ("b",)


# -- HEAD, and several ranges --------------------------------------------------------------------


def test_head(scene: BlobScene) -> None:
    """As a GET would be answered; nothing is downloaded."""
    asked = scene.ask(method=b"HEAD")
    assert (asked.responder.status, asked.received) == (200, b"")
    assert asked.headers[b"Content-Length"] == str(len(BODY)).encode()
    assert asked.headers[b"Accept-Ranges"] == b"bytes"
    assert complete(asked)
    assert scene.downloads == []


def test_several_ranges(scene: BlobScene) -> None:
    """One part after another, some from the swarm and the rest from the registry."""
    asked = scene.ask((b"Range", b"bytes=0-9, -5, 100000-100009"))
    scene.download.know()
    scene.download.come(50)
    scene.download.fail(NoSources("nobody has it"))
    head = b"\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
    size = len(BODY)
    expected = b"--cut" + head % (0, 9, size) + BODY[:10]
    expected += b"\r\n--cut" + head % (size - 5, size - 1, size) + BODY[-5:]
    expected += b"\r\n--cut" + head % (100_000, 100_009, size) + BODY[100_000:100_010]
    expected += b"\r\n--cut--\r\n"
    assert asked.received == expected
    assert asked.headers[b"Content-Length"] == str(len(expected)).encode()
    assert asked.headers[b"Content-Type"] == b"multipart/byteranges; boundary=cut"
    assert complete(asked)
    assert [(each.start, each.end) for each in scene.registry.asked] == [
        (size - 5, None),
        (100_000, 100_010),
    ]
    assert asked.note.sources["cdn"] == 10
    assert asked.note.sources["registry"] == 15


def test_too_many_ranges(scene: BlobScene) -> None:
    """Those who ask for several go on with fewer when they hear 400."""
    many = b",".join(b"%d-%d" % (i, i) for i in range(257))
    asked = scene.ask((b"Range", b"bytes=" + many))
    assert asked.responder.status == 400
    assert b"257 ranges" in asked.received
    asked = scene.ask((b"Range", b"bytes=0-,0-"))
    assert asked.responder.status == 400


def test_what_a_hub_says_in_its_redirect(scene: BlobScene) -> None:
    """Its clients want it, and do not see the redirect."""
    reply = make_reply(length=len(BODY), etag='"cdn"')
    passed = (("x-repo-commit", "abc"), ("x-linked-etag", '"ff"'), ("x-xet-hash", "00"))
    scene.registry.reply = attrs.evolve(reply, passed=passed)
    asked = scene.ask(target=b"/m/resolve/main/f", method=b"HEAD")
    assert asked.headers[b"X-Repo-Commit"] == b"abc"
    assert asked.headers[b"X-Linked-ETag"] == b'"ff"'
    assert asked.headers[b"ETag"] == b'"cdn"'
    assert b"Location" not in asked.headers


# -- parts, and the rest ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        ([], True),
        ([(b"Range", b"bytes=0-")], True),
        ([(b"Range", b"bytes=5-")], False),
        ([(b"Range", b"bytes=0-5,7-9")], False),
        ([(b"Range", b"bytes=5-"), (b"X-Dragonfly-Prefetch", b"true")], True),
    ],
)
def test_how_much_is_fetched(
    scene: BlobScene, lines: list[tuple[bytes, bytes]], whole: bool
) -> None:
    """What is asked for, unless more is wished."""
    scene.ask(*lines).responder.leave()
    assert scene.downloads[0].request.whole is whole


def test_prefetching(scene: BlobScene) -> None:
    """The rest comes when the client is gone, once for all who ask; then nothing is left."""
    wished = (b"Range", b"bytes=5-9"), (b"X-Dragonfly-Prefetch", b"true")
    asked = scene.ask(*wished)
    first, rest = scene.downloads
    first.know()
    first.come(10)
    assert asked.received == BODY[5:10]
    assert first.cancelled
    assert (rest.request.whole, rest.cancelled) == (True, False)
    scene.ask(*wished).responder.leave()
    assert len(scene.downloads) == 3
    rest.finish()
    assert rest.cancelled
    scene.ask(*wished).responder.leave()
    assert len(scene.downloads) == 5


def test_all_of_it_is_here(scene: BlobScene) -> None:
    """The answer says so."""
    scene.registry.reply = held = Deferred()
    asked = scene.ask()
    scene.download.know()
    scene.download.come(len(BODY), "cache")
    held.callback(None)
    assert asked.headers[b"X-Dragonfly-Source"] == b"cache"
    assert asked.headers[b"X-Dragonfly-Task-Download-Finished"] == b"true"
    asked.responder.leave()


@pytest.mark.parametrize(
    ("line", "vary", "shared"),
    [
        ((b"Accept", b"*/*"), None, True),
        ((b"Accept", b"*/*"), "User-Agent", False),
        ((b"Authorization", b"Bearer t"), None, False),
        ((b"Cookie", b"a=b"), None, False),
    ],
)
def test_what_only_a_date_tells(
    scene: BlobScene, line: tuple[bytes, bytes], vary: str | None, shared: bool
) -> None:
    """It may be made for this caller; then it is not looked for in the swarm at all."""
    date = "Mon, 30 Nov 2026 00:00:00 GMT"
    scene.registry.reply = make_reply(length=len(BODY), last_modified=date, vary=vary)
    asked = scene.ask(line, target=b"/files/b.whl")
    assert (len(scene.downloads) == 1) is shared
    assert (scene.straight == []) is shared
    asked.responder.leave()


def test_who_is_elsewhere(scene: BlobScene) -> None:
    """The supernode is not asked for what he may not have: it may reach more than he."""
    scene.place = attrs.evolve(scene.place, local=False)
    scene.registry.reply = held = Deferred()
    asked = scene.ask()
    assert scene.downloads == []
    held.callback(None)
    assert not scene.download.request.loopback
    asked.responder.leave()


def test_one_origin_that_is_slow(scene: BlobScene) -> None:
    """Others are looked for in the swarm all the same."""
    scene.ask()
    scene.wait(BEGIN_S + 1)
    assert scene.ask().note.why.startswith("no supernode answered")
    scene.place = parse_registry("https://other.example")
    scene.ask().responder.leave()
    assert len(scene.downloads) == 2


# -- when dfdaemon leaves the swarm ----------------------------------------------------


def test_an_answer_goes_on_from_the_registry_when_the_swarm_is_left(scene: BlobScene) -> None:
    """From the byte where it was, with the digest of the whole checked."""
    asked = begun(scene)
    left = Deferred.fromCoroutine(scene.blobs.leave_swarm())
    assert left.called
    assert complete(asked)
    assert asked.received == BODY
    assert asked.note.sources["registry"] == len(BODY) - AHEAD
    assert "leaves the swarm" in asked.note.why


def test_what_comes_after_that_is_not_asked_for_in_the_swarm(scene: BlobScene) -> None:
    """The front serves until the last moment."""
    Deferred.fromCoroutine(scene.blobs.leave_swarm())
    asked = scene.ask()
    assert complete(asked)
    assert not scene.downloads


def test_the_swarm_is_left_when_its_bytes_are_hashed(scene: BlobScene) -> None:
    """What the peer keeps is closed after that."""
    asked = begun(scene)
    held: Deferred[None] = Deferred()
    scene.download.prefixes[0].held = held
    left = Deferred.fromCoroutine(scene.blobs.leave_swarm())
    assert not left.called
    held.callback(None)
    assert left.called
    assert complete(asked)


def test_leaving_while_the_origin_is_asked(scene: BlobScene) -> None:
    """What the peer has is not touched any more: the origin gives it."""
    scene.registry.reply = held = Deferred()
    asked = scene.ask()
    scene.download.finish()
    leaving = Deferred.fromCoroutine(scene.blobs.leave_swarm())
    assert scene.download.cancelled
    assert leaving.called
    held.callback(None)
    assert complete(asked)
    assert asked.received == BODY
    assert asked.note.sources["registry"] == len(BODY)
