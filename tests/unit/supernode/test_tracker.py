"""The tracker: who is admitted to a task, who is sent to whom, and what is forgotten."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from dragonfly.control.messages import (
    RUNS_INLINE_BYTES,
    DirectAnswer,
    Holding,
    LeaveRequest,
)
from dragonfly.errors import (
    BadControlMessage,
    ConfigError,
    OriginError,
    OriginRefused,
    OriginUnreachable,
    TrackerBusy,
    TrackerError,
)
from dragonfly.signatures import KeyRing
from dragonfly.supernode.admission import ADMISSION_S
from dragonfly.supernode.finder import OPENED_S
from dragonfly.supernode.tracker import DIAL_WAIT_S, Caller
from dragonfly.supernode.turnstile import Turnstile
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.digest import piece_digest
from dragonfly.task.grant import check_grant
from tests.doubles.reader import make_reply
from tests.doubles.swarm import NOW, URL, LabPeer, TrackerLab, result_of

TOKEN = [("Authorization", "Bearer right")]


def _grant_ends(lab: TrackerLab, peer: LabPeer, answer: Any, task: bytes) -> int:
    ring = KeyRing([lab.key.public])
    now = lab.clock.seconds()
    grant = check_grant(answer.grant, ring, task=task, key=peer.key, now=now)
    assert grant.expires == answer.grant_expires
    return grant.expires


# -- registrations ------------------------------------------------------------------------


def test_the_first_peer_gets_the_seed_and_all_that_is_known() -> None:
    """Grant, keys, the supernode's time, and what the origin told of the content."""
    lab = TrackerLab()
    peer = lab.peer(1)
    answer = lab.register(peer, callsystem="test")
    content = lab.content(answer)
    assert (answer.fetch, answer.piece_size) == (content.fetch, content.piece_size)
    assert (answer.length, answer.validator.etag) == (1 << 20, '"v1"')
    assert (answer.now, answer.state, answer.keys) == (NOW, "fetching", [lab.key.public])
    assert _grant_ends(lab, peer, answer, answer.task) == NOW + ADMISSION_S
    [seed] = answer.neighbours
    assert (seed.key, seed.address, seed.port) == (lab.key.public, "10.255.0.1", 8001)
    assert seed.seed
    assert lab.tracker.peer_count == 1
    assert lab.value("dfgettasks_registered_total", callsystem="test") == 1
    assert lab.tracker.downloads() == {("test", "RUNNING"): 1}


def test_peers_are_sent_to_each_other() -> None:
    """A later one dials those before it, at the addresses from which they called."""
    lab = TrackerLab()
    lab.swarm(3)
    answer = lab.register(lab.peer(4))
    told = {(each.address, each.port, each.seed) for each in answer.neighbours}
    assert told == {("10.255.0.1", 8001, True)} | {(f"10.0.0.{n}", 65002, False) for n in (1, 2, 3)}
    assert lab.announce(lab.peer(1), answer, neighbours=[]).neighbours != []


def test_malformed_urls_and_wrong_digests_are_refused_and_counted() -> None:
    """Refusals count as failed, under the caller's system."""
    lab = TrackerLab()
    with pytest.raises(ConfigError):
        lab.register(lab.peer(1), "ftp://origin.example/f", callsystem="x")
    with pytest.raises(ConfigError):
        lab.register(lab.peer(1), digest="md5:zz", callsystem="x")
    assert lab.value("dfgettasks_failed_total", callsystem="x") == 2
    assert lab.tracker.peer_count == 0


def test_the_origin_decides_for_each_caller() -> None:
    """A wrong password gets the origin's no, though the content is here."""
    lab = TrackerLab()
    lab.keep_private()
    answer = lab.register(lab.peer(1), headers=TOKEN)
    with pytest.raises(OriginRefused):
        lab.register(lab.peer(2), headers=[("Authorization", "Bearer wrong")])
    with pytest.raises(OriginRefused):
        lab.register(lab.peer(3))
    assert lab.register(lab.peer(4), headers=TOKEN).task == answer.task
    assert lab.tracker.peer_count == 2


def test_content_that_must_not_be_shared_is_left_to_the_caller() -> None:
    """The answer says so; nobody is in any swarm."""
    lab = TrackerLab()
    lab.origin.decide = lambda _: make_reply(length=1, cache_control="no-store")
    answer = result_of(lab.registering(lab.peer(1)))
    assert isinstance(answer, DirectAnswer)
    assert "no-store" in answer.reason
    assert lab.tracker.peer_count == 0
    assert lab.library.kept == {}


# -- small contents ---------------------------------------------------------------------------


def _small(lab: TrackerLab, data: bytes = b"small") -> None:
    """The library has all of whatever the next registration finds."""
    obtain = lab.library.obtain

    async def obtained(wanted: Any) -> Any:
        content = await obtain(wanted)
        lab.library.small[content.id] = data
        return content

    lab.library.obtain = obtained  # type: ignore[method-assign]


def test_small_content_comes_inside_the_answer() -> None:
    """And nothing else: no grant, no neighbours, no place in a swarm."""
    lab = TrackerLab()
    _small(lab)
    answer = lab.register(lab.peer(1), inline=100, callsystem="test")
    assert (answer.content, answer.grant, answer.neighbours) == (b"small", b"", [])
    assert lab.tracker.peer_count == 0
    assert lab.dialler.asked == []
    assert lab.value("dfgettasks_registered_total", callsystem="test") == 1
    assert lab.value("pieces_uploaded_size_bytes_total") == len(b"small")


def test_who_does_not_ask_for_content_gets_none_inside() -> None:
    """Earlier peers, and those who take less, are given a place in the swarm."""
    lab = TrackerLab()
    _small(lab)
    for number, fields in enumerate(({}, {"inline": 4}), 1):
        answer = lab.register(lab.peer(number), **fields)
        assert answer.content == b""
        assert answer.grant != b""


def test_small_content_goes_only_to_whom_the_origin_admits() -> None:
    """Though it is in memory: a wrong password, or none, gets the origin's no."""
    lab = TrackerLab()
    lab.keep_private()
    _small(lab)
    assert lab.register(lab.peer(1), headers=TOKEN, inline=100).content == b"small"
    for headers in ([("Authorization", "Bearer wrong")], []):
        with pytest.raises(OriginRefused):
            lab.register(lab.peer(2), headers=headers, inline=100)
    lab.origin.decide = lambda _: OriginUnreachable("silent")
    with pytest.raises(OriginUnreachable):
        lab.register(lab.peer(3), headers=TOKEN, inline=100)


def test_small_content_is_not_for_the_banned() -> None:
    """Also if the ban came while the origin was asked."""
    lab = TrackerLab()
    _small(lab)
    peer = lab.peer(1)
    give = lab.library.whole

    async def banning(*args: Any) -> Any:
        lab.tracker._quarantine.refuse = refuse  # type: ignore[method-assign]
        return await give(*args)

    def refuse(_key: bytes) -> None:
        raise TrackerError("banned", 403)

    lab.library.whole = banning  # type: ignore[method-assign]
    with pytest.raises(TrackerError, match="banned"):
        lab.register(peer, inline=100)


def test_changed_content_is_another_task() -> None:
    """Each registration asks the origin; nobody gets the old version."""
    lab = TrackerLab()
    first = lab.register(lab.peer(1))
    lab.origin.decide = lambda _: make_reply(length=1 << 20, etag='"v2"')
    second = lab.register(lab.peer(2))
    assert first.task != second.task
    assert [each.seed for each in second.neighbours] == [True]


@pytest.mark.parametrize(
    "down",
    [
        OriginUnreachable("origin.example:80: refused"),
        *(OriginRefused("a gateway's word", status) for status in (502, 503, 504)),
    ],
    ids=["silent", "502", "503", "504"],
)
def test_public_content_outlives_its_origin(down: OriginError) -> None:
    """What is complete here is given out when the origin does not answer, also where a proxy
    in front of it says so."""
    lab = TrackerLab()
    first = lab.register(lab.peer(1))
    lab.origin.decide = lambda _: down
    lab.library.finish(lab.content(first))
    second = lab.register(lab.peer(2), headers=TOKEN)
    assert (second.task, second.state) == (first.task, "ready")
    assert len(second.neighbours) == 2
    lab.clock.advance(200.0)
    assert lab.announce(lab.peer(2), second).grant != b""


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500])
def test_an_answer_of_the_origin_counts(status: int) -> None:
    """Whatever is kept here: the origin itself has said no."""
    lab = TrackerLab()
    lab.library.finish(lab.content(lab.register(lab.peer(1))))
    lab.origin.decide = lambda _: OriginRefused("no", status)
    with pytest.raises(OriginRefused):
        lab.register(lab.peer(2))


def test_peers_are_told_how_many_pieces_to_ask_for() -> None:
    """As the operator says."""
    lab = TrackerLab(down_limit=3)
    assert lab.register(lab.peer(1)).down_limit == 3


def test_private_or_half_content_does_not() -> None:
    """Nobody can say who may have it, or nobody has it."""
    lab = TrackerLab()
    lab.keep_private()
    first = lab.register(lab.peer(1), headers=TOKEN)
    down = OriginUnreachable("origin.example:80: refused")
    lab.library.finish(lab.content(first))
    lab.origin.decide = lambda _: down
    with pytest.raises(OriginUnreachable):
        lab.register(lab.peer(2), headers=TOKEN)
    with pytest.raises(OriginUnreachable):
        lab.register(lab.peer(2), "http://origin.example/never-seen")


def test_signed_urls_are_private_whatever_their_headers() -> None:
    """The signature that filters take out of the name is what opened the door; when the
    origin is down nobody can check another one."""
    lab = TrackerLab()
    first = lab.register(lab.peer(1), f"{URL}?sig=right", filters=["sig"])
    assert not lab.content(first).public
    assert not lab.library.wanted[0].admitted.public
    lab.library.finish(lab.content(first))
    lab.origin.decide = lambda _: OriginUnreachable("origin.example:80: refused")
    with pytest.raises(OriginUnreachable):
        lab.register(lab.peer(2), f"{URL}?sig=forged", filters=["sig"])


DIGEST = "sha256:" + "5" * 64
DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


@pytest.mark.parametrize(
    ("shown", "shared"),
    [
        ({"etag": '"v1"'}, True),
        ({"last_modified": DATE}, True),
        ({}, False),
    ],
)
def test_filters_open_no_door(shown: dict[str, str], shared: bool) -> None:
    """With parameters that filters take out of the name the origin may show something else,
    to everybody: what it says of that is no yes to content of which nothing was taken out, not
    even together with the right digest. Among those that leave out the same, validators tell."""
    lab = TrackerLab()
    lab.origin.decide = lambda _: make_reply(length=5, **shown)
    url = f"{URL}?file=secret"
    for digest in (DIGEST, None):
        plain = lab.register(lab.peer(1), url, digest=digest)
        sly = lab.register(lab.peer(2), f"{url}&preview=1", filters=["preview"], digest=digest)
        slyer = lab.register(lab.peer(3), f"{url}&preview=2", filters=["preview"], digest=digest)
        assert (sly.task == slyer.task) is shared
        assert sly.task != plain.task


def test_a_yes_to_another_length_is_about_another_content() -> None:
    """A name with a digest leaves the rest of the path out; what the origin has there may be
    a page that everybody is shown."""
    lab = TrackerLab()
    first = lab.register(lab.peer(1), f"http://origin.example/v2/a/blobs/{DIGEST}")
    same = lab.register(lab.peer(2), f"http://origin.example/v2/b/blobs/{DIGEST}")
    assert first.task == same.task
    lab.origin.decide = lambda _: make_reply(length=99)
    answer = result_of(lab.registering(lab.peer(3), f"http://origin.example/v2/c/blobs/{DIGEST}"))
    assert isinstance(answer, DirectAnswer)


def test_few_runs_come_inside_the_answer_and_many_do_not() -> None:
    """Thousands may ask at once, so an answer stays small."""
    lab = TrackerLab()
    content = lab.content(lab.register(lab.peer(1)))
    content.add_digest(piece_digest(b"x"))
    content.sign(lab.key)
    assert lab.register(lab.peer(2)).runs == content.manifest.runs
    for n in range(31):
        content.add_digest(piece_digest(bytes([n])))
        content.sign(lab.key)
    assert sum(map(len, content.manifest.runs)) > RUNS_INLINE_BYTES
    assert lab.register(lab.peer(3)).runs == []


def test_what_a_peer_holds_is_believed_of_this_fetch_only() -> None:
    """After a restart of the supernode peers say what they have; bits that make no sense are
    refused."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    bits = Bitfield.full(32)
    have = Holding(
        task=task.task,
        fetch=task.fetch,
        piece_size=task.piece_size,
        count=32,
        bits=bits.to_bytes(32),
    )
    lab.register(lab.peer(2), have=have)
    assert lab.tracker.downloads() == {("unknown", "RUNNING"): 1, ("unknown", "SUCCESS"): 1}
    lab.register(lab.peer(3), have=attrs.evolve(have, fetch=task.fetch + 1))
    assert lab.tracker.downloads()["unknown", "SUCCESS"] == 1
    for broken in (attrs.evolve(have, count=33), attrs.evolve(have, count=-1)):
        with pytest.raises(BadControlMessage):
            lab.register(lab.peer(4), have=broken)


def test_with_the_pattern_cdn_a_peer_has_the_seed_only() -> None:
    """And nobody is sent to it."""
    lab = TrackerLab()
    lab.swarm(3)
    task = lab.register(lab.peer(4), pattern="cdn")
    assert [each.seed for each in task.neighbours] == [True]
    told = lab.announce(lab.peer(4), task, neighbours=[b"x" * 32])
    assert [each.seed for each in told.neighbours] == [True]
    assert told.drop == b""
    assert lab.peer(4).key not in {each.key for each in lab.register(lab.peer(5)).neighbours}


def test_the_supernode_is_no_peer_of_its_own() -> None:
    """Its key names the seed."""
    lab = TrackerLab()
    with pytest.raises(TrackerError, match="own"):
        lab.register(lab.peer(1, key=lab.key.public))


# -- addresses ------------------------------------------------------------------------------


def test_a_peer_that_cannot_be_dialled_dials_others_and_is_given_to_nobody() -> None:
    """Behind NAT: the links are made from its side."""
    lab = TrackerLab()
    hidden = lab.peer(9)
    lab.dialler.unreachable.add((hidden.address, hidden.port))
    lab.swarm(3)
    answer = lab.register(hidden)
    assert len(answer.neighbours) == 4
    assert hidden.key not in {each.key for each in lab.register(lab.peer(5)).neighbours}
    lab.clock.advance(10.0)
    told = lab.announce(lab.peer(1), answer)
    assert hidden.key not in {each.key for each in told.neighbours}


def test_a_registration_waits_a_moment_for_the_dial_back() -> None:
    """When it comes in time the peer is one like all others at once; else a guest for now."""
    lab = TrackerLab()
    lab.dialler.hold = True
    waiting = lab.registering(lab.peer(1))
    assert not waiting.called
    lab.dialler.answer()
    task = result_of(waiting)
    waiting = lab.registering(lab.peer(2))
    lab.clock.advance(DIAL_WAIT_S)
    assert len(result_of(waiting).neighbours) == 2
    assert lab.announce(lab.peer(1), task).neighbours[0].seed
    lab.dialler.answer()
    keys = {each.key for each in lab.announce(lab.peer(1), task).neighbours}
    assert lab.peer(2).key in keys


def test_leaving_while_the_dial_back_is_under_way_ends_the_registration() -> None:
    """An answer would be about a peer that is not there; a cancelled caller leaves no timer."""
    lab = TrackerLab()
    lab.dialler.hold = True
    waiting = lab.registering(lab.peer(1))
    lab.tracker.leave(LeaveRequest(key=lab.peer(1).key))
    lab.dialler.answer()
    with pytest.raises(TrackerError, match="left"):
        result_of(waiting)
    gone = lab.registering(lab.peer(2))
    gone.addErrback(lambda _: None)
    gone.cancel()
    assert lab.clock.getDelayedCalls() == []


def test_loopback_addresses_stay_on_this_host() -> None:
    """For another host they would be itself; the two meet from the other side."""
    lab = TrackerLab()
    here = lab.peer(1, address="127.0.0.1")
    task = lab.register(here)
    far = lab.register(lab.peer(2))
    assert [each.seed for each in far.neighbours] == [True]
    assert len(lab.announce(here, task).neighbours) == 2


def test_an_unreachable_peer_is_tried_again_later() -> None:
    """Its firewall may have changed; until then nobody is bothered."""
    lab = TrackerLab()
    peer = lab.peer(1)
    lab.dialler.unreachable.add((peer.address, peer.port))
    task = lab.register(peer)
    for _ in range(5):
        lab.clock.advance(10.0)
        lab.announce(peer, task)
    assert len(lab.dialler.asked) == 1
    lab.dialler.unreachable.clear()
    lab.clock.advance(300.0)
    lab.announce(peer, task)
    assert len(lab.dialler.asked) == 2
    assert peer.key in {each.key for each in lab.register(lab.peer(2)).neighbours}


def test_a_peer_without_a_port_is_not_dialled() -> None:
    """It takes no calls."""
    lab = TrackerLab()
    lab.register(lab.peer(1, port=0))
    assert lab.dialler.asked == []


# -- leaving and being forgotten -----------------------------------------------------------------


def test_leaving_one_task_or_all() -> None:
    """A peer is known while it is in a task; leaving twice is no error."""
    lab = TrackerLab()
    peer = lab.peer(1)
    one = lab.register(peer)
    lab.register(peer, f"{URL}2")
    lab.register(peer, f"{URL}3")
    for _ in range(2):
        lab.tracker.leave(LeaveRequest(key=peer.key, task=one.task))
    assert not lab.announce(peer, one).known
    assert lab.tracker.peer_count == 1
    lab.tracker.leave(LeaveRequest(key=peer.key))
    lab.tracker.leave(LeaveRequest(key=peer.key))
    assert lab.tracker.peer_count == 0
    assert lab.tracker.downloads() == {}
    assert lab.tracker._swarms.population == 0


def test_silent_peers_and_idle_tasks_are_forgotten() -> None:
    """A task is in use while it has members; then it has its time, if nobody reads it."""
    lab = TrackerLab(peer_gc_delay_s=60.0, task_expire_time_s=100.0)
    quiet, task = lab.peer(1), lab.register(lab.peer(1))
    for _ in range(10):
        lab.clock.advance(20.0)
        lab.register(lab.peer(2))
        lab.tracker.expire(lab.clock.seconds())
    assert lab.tracker.peer_view(quiet.key) is None
    assert lab.tracker.peer_count == 1
    assert lab.value("gc_peers_total") == 1
    assert lab.library.kept
    lab.clock.advance(61.0)
    lab.tracker.expire(lab.clock.seconds())
    assert lab.tracker.peer_count == 0
    assert lab.library.kept
    watcher = object()
    lab.content(task).listen(watcher)  # type: ignore[arg-type]
    lab.clock.advance(101.0)
    lab.tracker.expire(lab.clock.seconds())
    assert lab.library.kept
    lab.content(task).unlisten(watcher)  # type: ignore[arg-type]
    lab.tracker.expire(lab.clock.seconds())
    assert lab.library.kept == {}
    assert lab.value("gc_tasks_total") == 1


def test_only_so_many_wait_for_origins() -> None:
    """Who was answered, or refused, makes room for others."""
    lab = TrackerLab()
    lab.tracker._turnstile = Turnstile(most=1)
    lab.register(lab.peer(1))
    lab.origin.decide = lambda _: OriginRefused("no", 401)
    for _ in range(2):
        with pytest.raises(OriginRefused):
            lab.register(lab.peer(2))
    lab.tracker._turnstile = Turnstile(most=0)
    with pytest.raises(TrackerBusy):
        lab.register(lab.peer(3))
    assert lab.tracker.peer_count == 1


def test_peers_that_were_told_to_wait_long_are_not_silent() -> None:
    """In a very large swarm they call less often than silent ones are forgotten."""
    lab = TrackerLab(peer_gc_delay_s=60.0)
    lab.tracker._swarms.population = 10**5
    lab.register(lab.peer(1))
    lab.clock.advance(100.0)
    lab.tracker.expire(lab.clock.seconds())
    assert lab.tracker.peer_count == 1


def test_peers_are_shown_as_they_describe_themselves() -> None:
    """For the read-only API; what they say of themselves is cut to a length."""
    lab = TrackerLab()
    lab.register(lab.peer(1, labels=("x" * 1000, "")))
    [view] = lab.tracker.peer_views()
    assert view == lab.tracker.peer_view(lab.peer(1).key)
    assert (view.address, view.port, view.hostname, view.version) == ("10.0.0.1", 65002, "h", "1")
    assert view.created == "2023-11-14T22:13:20.000Z"
    assert lab.tracker.peer_view(b"?" * 32) is None
    peer = lab.tracker._swarms._roster.get(lab.peer(1).key)
    assert peer is not None
    assert len(peer.labels.idc) == 256


def test_callers_on_loopback_only_may_have_what_only_loopback_serves() -> None:
    """The check is made, and the content fetched, under the caller's own rules."""
    lab = TrackerLab()
    lab.register(lab.peer(1))
    here = Caller(address="::1", reached="::1", secure=False)
    lab.register(lab.peer(2), caller=here)
    lab.register(lab.peer(3), caller=here, loopback=False)  # it asks for one who is not
    lab.register(lab.peer(4), loopback=True)
    asked = [wanted.admitted.access.loopback for wanted in lab.library.wanted]
    assert asked == [False, True, False, False]


def test_only_the_first_question_about_a_content_opens_its_transfer() -> None:
    """Later ones are about who may have it; so are all about what was kept of an earlier run."""
    lab = TrackerLab()
    lab.register(lab.peer(1))
    lab.register(lab.peer(2))
    assert lab.origin.opened == [True, False]
    lab.clock.advance(OPENED_S + 1)
    lab.register(lab.peer(3))
    assert lab.origin.opened[2:] == [False], "it is in memory"
    kept = TrackerLab()
    kept.library.latest = lambda name: (b"t" * 32, True)  # type: ignore[method-assign]
    kept.register(kept.peer(1))
    assert kept.origin.opened == [False]
