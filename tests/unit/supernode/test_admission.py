"""Admission: the origin decides for each caller, and is asked as seldom as that allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import (
    DragonflyError,
    OriginError,
    OriginRefused,
    OriginUndecided,
    OriginUnreachable,
)
from dragonfly.net.reply import OriginReply
from dragonfly.net.tasks import TaskSet
from dragonfly.supernode.admission import ADMISSION_S, Admission, Admitted
from dragonfly.supernode.questions import PROBES_EACH, PROBES_MAX, Access
from tests.doubles.reader import make_reply

URL = "http://origin.example/private"
NAME = b"n" * 32
Headers = tuple[tuple[str, str], ...]

RIGHT = ("Authorization", "Basic cmlnaHQ=")
WRONG = ("Authorization", "Basic d3Jvbmc=")


@attrs.define(eq=False)
class Prober:
    """An origin that answers questions when it is told to, or at once."""

    decide: Callable[[Headers], OriginReply | DragonflyError]
    hold: bool = False
    asked: list[Headers] = attrs.field(factory=list)
    waiting: list[Deferred[None]] = attrs.field(factory=list)
    most: int = 0
    open_head: bool = False
    gets: list[bool] = attrs.field(factory=list)

    async def probe(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        by_get: bool = False,
        opening: bool = False,
    ) -> OriginReply:
        """Note the question; answer it now or at :meth:`round_trip`."""
        assert url.startswith("http://origin.example")
        self.asked.append(tuple(headers))
        self.gets.append(by_get)
        if self.hold:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            self.most = max(self.most, len(self.waiting))
            await waiting
        head_of_all = self.open_head and not by_get
        answer = public(()) if head_of_all else self.decide(tuple(headers))
        if isinstance(answer, DragonflyError):
            raise answer
        return answer

    def round_trip(self) -> None:
        """Answer what is asked by now."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)


def private(headers: Headers) -> OriginReply | DragonflyError:
    """Give the content to the right password only."""
    if RIGHT in headers:
        return make_reply(length=5, etag='"v1"')
    return OriginRefused("the origin answered 401", 401)


def public(headers: Headers) -> OriginReply:
    """Give it to everybody."""
    return make_reply(length=5, etag='"v1"')


class Lab:
    """An admission, its clock and its origin."""

    def __init__(self, decide: Callable[[Headers], OriginReply | DragonflyError]) -> None:
        self.clock = Clock()
        self.prober = Prober(decide)
        self.loopback = Prober(decide)
        self.admission = Admission(
            lambda loopback: self.loopback if loopback else self.prober,
            self.clock,
            TaskSet(Logger()),
            secret=b"s" * 32,
        )

    def access(self, *headers: tuple[str, str], url: str = URL) -> Access:
        """Name a caller's way."""
        return self.admission.access(url, headers)

    def ask(
        self, *headers: tuple[str, str], immutable: bool = False, url: str = URL
    ) -> Deferred[Admitted]:
        """Put one caller's question."""
        access = self.access(*headers, url=url)
        return Deferred.fromCoroutine(self.admission.check(access, NAME, immutable=immutable))

    def check(self, *headers: tuple[str, str], immutable: bool = False) -> Admitted:
        """The answer; raises what is refused."""
        got: list[Admitted | Failure] = []
        self.ask(*headers, immutable=immutable).addBoth(got.append)
        (answer,) = got
        if isinstance(answer, Failure):
            answer.raiseException()
        assert isinstance(answer, Admitted)
        return answer


# -- who gets in -----------------------------------------------------------------------------


@pytest.mark.parametrize("immutable", [True, False])
def test_wrong_password(immutable: bool) -> None:
    """What others were given opens no door: each credential is asked for itself."""
    lab = Lab(private)
    assert lab.check(RIGHT, immutable=immutable).public is False
    for headers in ((WRONG,), ()):
        with pytest.raises(OriginRefused) as caught:
            lab.check(*headers, immutable=immutable)
        assert caught.value.status == 401
    assert lab.check(RIGHT, immutable=immutable).access.header("authorization") == RIGHT[1]


def test_a_password_that_was_changed() -> None:
    """Without a digest in the name every registration is judged anew."""
    lab = Lab(private)
    lab.check(RIGHT)
    lab.prober.decide = lambda _: OriginRefused("the origin answered 403", 403)
    with pytest.raises(OriginRefused):
        lab.check(RIGHT)


def test_a_digest_holds_for_a_grants_life() -> None:
    """Content named by its digest cannot change: a yes serves until a grant would end."""
    lab = Lab(private)
    lab.check(RIGHT, immutable=True)
    asked = len(lab.prober.asked)
    lab.clock.advance(ADMISSION_S - 1)
    lab.check(RIGHT, immutable=True)
    assert len(lab.prober.asked) == asked
    lab.clock.advance(2)
    lab.check(RIGHT, immutable=True)
    assert len(lab.prober.asked) > asked


def test_public_content_is_fetched_without_credentials() -> None:
    """Where everybody gets the same, the caller's password is neither needed nor kept."""
    lab = Lab(public)
    admitted = lab.check(RIGHT)
    assert (admitted.public, admitted.audience) == (True, "")
    assert admitted.access.headers == ()
    assert lab.prober.asked == [(), (), (RIGHT,)]
    assert lab.prober.gets == [False, True, True]
    assert lab.check(RIGHT).public is True
    assert lab.prober.gets[3:] == [False, False]


DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


@pytest.mark.parametrize(
    ("page", "file", "same"),
    [
        ({"etag": '"v1"'}, {"etag": '"v1"'}, True),
        ({"etag": '"v1"'}, {"etag": '"v2"'}, False),
        ({}, {"etag": '"v2"'}, False),
        ({"etag": 'W/"v1"'}, {"etag": 'W/"v1"'}, False),
        ({"last_modified": DATE}, {"last_modified": DATE}, True),
        ({"last_modified": DATE}, {}, False),
        ({}, {}, False),
    ],
)
def test_strangers_may_be_given_another_page(
    page: dict[str, str], file: dict[str, str], same: bool
) -> None:
    """Many sites show those who are not logged in a page with status 200: that is not it."""

    def decide(headers: Headers) -> OriginReply:
        return make_reply(length=5, **(file if RIGHT in headers else page))

    admitted = Lab(decide).check(RIGHT)
    assert admitted.public is same
    assert admitted.access.headers == (() if same else (RIGHT,))
    assert bool(admitted.audience) is not same


def test_public_and_asked_by_a_stranger() -> None:
    """The yes for nobody in particular serves all callers."""
    lab = Lab(public)
    first = lab.check(RIGHT, immutable=True)
    asked = len(lab.prober.asked)
    assert lab.check(WRONG, immutable=True) is first
    assert len(lab.prober.asked) == asked


@pytest.mark.parametrize("immutable", [True, False])
def test_a_head_that_is_open_to_all(immutable: bool) -> None:
    """It admits nobody: whoever is not given a byte is refused, whoever came before him."""
    lab = Lab(private)
    lab.prober.open_head = True
    for _ in range(2):
        for headers in ((), (WRONG,)):
            with pytest.raises(OriginRefused):
                lab.check(*headers, immutable=immutable)
        admitted = lab.check(RIGHT, immutable=immutable)
        assert (admitted.public, admitted.access.headers) == (False, (RIGHT,))
    lab.prober.decide = lambda _: OriginRefused("the origin answered 403", 403)
    lab.clock.advance(ADMISSION_S)
    with pytest.raises(OriginRefused):
        lab.check(RIGHT, immutable=immutable)


def test_a_head_that_strangers_are_refused_tells_who_is_admitted() -> None:
    """A registry that is a cache need not fetch a blob before it says yes."""
    lab = Lab(private)
    lab.check(RIGHT)
    assert lab.prober.gets == [False, False]


def test_a_refused_password_is_refused_though_strangers_are_not() -> None:
    """Asked directly, the origin would say the same."""
    lab = Lab(lambda headers: OriginRefused("no", 403) if WRONG in headers else public(headers))
    with pytest.raises(OriginRefused):
        lab.check(WRONG)


@pytest.mark.parametrize("answer", [OriginUnreachable("gone"), OriginRefused("down", 503)])
def test_credentials_that_get_no_answer(answer: OriginError) -> None:
    """Strangers are refused, so it is no outage in which what was public is given out."""

    def decide(headers: Headers) -> OriginReply | DragonflyError:
        return answer if WRONG in headers else private(headers)

    with pytest.raises(OriginUndecided) as caught:
        Lab(decide).check(WRONG)
    assert caught.value.status == answer.status
    assert caught.value.retryable


def test_an_outage_for_everybody_is_one() -> None:
    """Whoever asks, a proxy says that the origin is down."""
    lab = Lab(lambda _: OriginRefused("down", 503))
    with pytest.raises(OriginRefused) as caught:
        lab.check(RIGHT)
    assert caught.value.status == 503


def test_content_that_depends_on_who_asks() -> None:
    """Public, but another one for those who log in: the caller's own version counts."""

    def decide(headers: Headers) -> OriginReply:
        return make_reply(length=5, etag='"v1"', vary="Authorization")

    lab = Lab(decide)
    mine, others = lab.check(RIGHT), lab.check()
    assert (mine.public, others.public) == (False, True)
    assert mine.audience
    assert mine.audience != others.audience
    assert mine.audience == lab.check(RIGHT).audience


def test_content_that_depends_on_who_asks_in_another_layer() -> None:
    """A proxy that compresses adds a Vary of its own to that of the program behind it."""
    two = (("vary", "Authorization"), ("vary", "Accept-Encoding"), ("etag", '"v1"'))
    lab = Lab(lambda _: OriginReply(status=200, headers=two, url=URL, length=5))
    assert lab.check(RIGHT).public is False


def test_content_that_depends_on_a_harmless_header() -> None:
    """Languages are versions too, kept apart without being secrets."""

    def decide(headers: Headers) -> OriginReply:
        return make_reply(length=5, vary="Accept-Language, Accept-Encoding")

    lab = Lab(decide)
    english, german = (lab.check(("Accept-Language", tag)) for tag in ("en", "de"))
    assert english.audience != german.audience
    assert lab.check().audience == ""


def test_loopback_has_its_own_client() -> None:
    """Who asks decides what may be fetched: addresses of loopback only for loopback."""
    lab = Lab(public)
    access = lab.admission.access(URL, loopback=True)
    Deferred.fromCoroutine(lab.admission.check(access, NAME))
    assert (len(lab.loopback.asked), len(lab.prober.asked)) == (1, 0)
    assert access.key != lab.admission.access(URL).key


def test_access_tells_no_secret() -> None:
    """It may be printed; its key is a keyed hash, not the credential's."""
    lab = Lab(public)
    access = lab.admission.access(f"{URL}?sig=secret", [RIGHT])
    assert "secret" not in repr(access)
    assert RIGHT[1] not in repr(access)
    other = Admission(lambda _: lab.prober, Clock(), TaskSet(Logger()), secret=b"t" * 32)
    assert other.access(f"{URL}?sig=secret", [RIGHT]).key != access.key


def test_headers_that_are_ours() -> None:
    """What belongs to one connection is not the caller's to set, and makes no difference."""
    lab = Lab(public)
    plain = lab.access(RIGHT)
    busy = lab.access(RIGHT, ("Connection", "close"), ("Accept-Encoding", "br"), ("TE", "x"))
    assert busy == plain


# -- how often the origin is asked ---------------------------------------------------------------


def test_many_callers_one_question() -> None:
    """N callers cost at most one question for each round trip of the origin."""
    lab = Lab(public)
    lab.prober.hold = True
    answers = [lab.ask() for _ in range(500)]
    assert len(lab.prober.asked) == 1
    lab.prober.round_trip()
    assert len(lab.prober.asked) == 2  # for those who came while it was under way
    lab.prober.round_trip()
    assert len(lab.prober.asked) == 2
    assert all(answer.called for answer in answers)
    assert lab.prober.most == 1


def test_an_answer_is_younger_than_its_question() -> None:
    """Whoever came after a question was put waits for the next answer: it may be another."""
    lab = Lab(public)
    lab.prober.hold = True
    early, late = lab.ask(), lab.ask()
    tags: list[str | None] = []
    for answer in (early, late):
        answer.addCallback(lambda admitted: tags.append(admitted.reply.etag))
    lab.prober.round_trip()
    lab.prober.decide = lambda _: make_reply(length=5, etag='"v2"')
    lab.prober.round_trip()
    assert tags == ['"v1"', '"v2"']


def test_different_callers_do_not_wait_for_each_other() -> None:
    """Each credential has a question of its own."""
    lab = Lab(private)
    lab.prober.hold = True
    answers = DeferredList([lab.ask(RIGHT), lab.ask(WRONG)], consumeErrors=True)
    for _ in range(4):
        lab.prober.round_trip()
    got: list[list[tuple[bool, object]]] = []
    answers.addCallback(got.append)
    assert [success for success, _ in got[0]] == [True, False]
    assert lab.prober.most == 2


def test_one_who_leaves() -> None:
    """The question goes on for the others; who left hears nothing more."""
    lab = Lab(public)
    lab.prober.hold = True
    leaving, staying = lab.ask(), lab.ask()
    gone: list[Failure] = []
    leaving.addErrback(gone.append)
    leaving.cancel()
    assert gone[0].check(CancelledError)
    lab.prober.round_trip()
    lab.prober.round_trip()
    assert staying.called


def test_origins_are_asked_a_bounded_number_of_questions_at_once() -> None:
    """Ten thousand different origins do not get ten thousand connections."""
    lab = Lab(public)
    lab.prober.hold = True
    answers = [lab.ask(url=f"http://origin.example:{n}/") for n in range(1, PROBES_MAX + 10)]
    assert len(lab.prober.asked) == PROBES_MAX
    lab.prober.round_trip()
    lab.prober.round_trip()
    assert all(answer.called for answer in answers)
    assert lab.prober.most == PROBES_MAX


def test_one_origin_does_not_take_all_turns() -> None:
    """However many of its URLs are asked for: other origins are asked meanwhile."""
    lab = Lab(public)
    lab.prober.hold = True
    answers = [lab.ask(url=f"http://origin.example/{n}") for n in range(2 * PROBES_EACH)]
    assert len(lab.prober.asked) == PROBES_EACH
    answers.append(lab.ask(url="http://origin.example:81/"))
    assert len(lab.prober.asked) == PROBES_EACH + 1
    lab.prober.round_trip()
    lab.prober.round_trip()
    assert all(answer.called for answer in answers)


# -- outages ----------------------------------------------------------------------------------


def gone(_headers: Headers) -> DragonflyError:
    """Be unreachable."""
    return OriginUnreachable("origin.example:80: connection refused")


def test_an_unreachable_origin_rests() -> None:
    """It is not tried again for a while that doubles; the error says the same meanwhile."""
    lab = Lab(gone)
    for wait_s in (5.0, 10.0, 20.0):
        with pytest.raises(OriginUnreachable, match="refused"):
            lab.check()
        asked = len(lab.prober.asked)
        lab.clock.advance(wait_s - 0.1)
        with pytest.raises(OriginUnreachable, match="refused"):
            lab.check()
        assert len(lab.prober.asked) == asked
        lab.clock.advance(0.2)
    lab.prober.decide = public
    assert lab.check().public
    assert lab.check().public


def test_an_outage_is_the_callers_own() -> None:
    """One whose headers make the origin hang up does not keep others from it."""
    lab = Lab(lambda headers: gone(headers) if WRONG in headers else private(headers))
    with pytest.raises(OriginUndecided):
        lab.check(WRONG)
    assert lab.check(RIGHT).public is False


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_refusal_is_no_outage(status: int) -> None:
    """A no is the answer to this caller now, and keeps nobody from asking again."""
    lab = Lab(lambda _: OriginRefused("no", status))
    for _ in range(2):
        with pytest.raises(OriginRefused):
            lab.check(RIGHT)
    assert len(lab.prober.asked) == 4


def test_a_bug_in_the_client_reaches_the_caller(no_silent_failures: list[Failure]) -> None:
    """Nobody waits for ever for a question that ended in a bug, and the log has it."""

    def broken(_headers: Headers) -> DragonflyError:
        raise ZeroDivisionError

    lab = Lab(broken)
    with pytest.raises(ZeroDivisionError):
        lab.check()
    assert [failure.type for failure in no_silent_failures] == [ZeroDivisionError]
    no_silent_failures.clear()
    lab.prober.decide = public
    assert lab.check().public
