"""The whole state table: every message in every state; and the copy of it in the manual."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from dragonfly.errors import ErrorCode, UnexpectedMessage
from dragonfly.wire.constants import Kind
from dragonfly.wire.session import Role
from dragonfly.wire.table import TABLE, State
from tests.doubles.wire import last_bye, scene

DOC = Path(__file__).parents[3] / "doc"
PLACES = [*((state, Role.DIALLER) for state in State), (State.OPEN, Role.LISTENER)]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(("state", "role"), PLACES)
def test_every_message_in_every_state(state: State, role: Role, kind: Kind) -> None:
    """It moves as the table says, or closes the connection with a word; there is no third."""
    stage = scene(state, role)
    subject = stage.subject
    assert subject.state is state
    move = TABLE.get((state, kind))
    if state is State.CLOSED:
        assert move is None
        assert subject.receive(stage.frames[kind], 0.0) == []
        assert subject.take_output() == []
    elif move is None:
        with pytest.raises(UnexpectedMessage, match=f"{kind.name} in state {state.name}"):
            subject.receive(stage.frames[kind], 0.0)
        assert subject.state is State.CLOSED
        assert last_bye(subject)[0] == ErrorCode.UNEXPECTED_MESSAGE
    else:
        subject.receive(stage.frames[kind], 0.0)
        assert subject.state is move.target


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.HELLO, Kind.BYE}))
def test_a_header_is_enough(kind: Kind) -> None:
    """Nothing of a message out of place is kept: a stranger costs us five bytes."""
    stage = scene(State.LISTENING)
    with pytest.raises(UnexpectedMessage):
        stage.subject.receive(stage.frames[kind][:5], 0.0)


def test_nothing_leads_out_of_closed() -> None:
    """Closed is for ever, and every other state can say goodbye."""
    assert not [state for state, _ in TABLE if state is State.CLOSED]
    assert {state for state, kind in TABLE if kind is Kind.BYE} == set(State) - {State.CLOSED}


def test_every_kind_is_for_something() -> None:
    """A kind without a state would be dead weight on the wire."""
    assert {kind for _, kind in TABLE} == set(Kind)


def test_the_manual_shows_this_table() -> None:
    """``python doc/wire_tables.py --write`` brings them in step."""
    tool = runpy.run_path(str(DOC / "wire_tables.py"))
    for name, make in tool["FILES"].items():
        assert (DOC / name).read_text(encoding="utf-8") == make(), name


def test_the_manual_explains_every_code() -> None:
    """Whoever sees a code in a log finds it in the specification, with its number."""
    text = (DOC / "protocol.rst").read_text(encoding="utf-8")
    codes = text[text.index("\nCodes\n") : text.index("\nSecurity\n")]
    for code in ErrorCode:
        assert f"``{code.name}``" in codes, code
        if code < ErrorCode.BUSY:
            assert f"* - ``{code.name}``\n     - {code.value}\n" in codes, code


def test_the_manual_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--write`` the tool changes nothing and shows all."""
    tool = runpy.run_path(str(DOC / "wire_tables.py"))
    before = {name: (DOC / name).read_bytes() for name in tool["FILES"]}
    tool["main"]([])
    printed = capsys.readouterr().out
    assert all(make() in printed for make in tool["FILES"].values())
    assert before == {name: (DOC / name).read_bytes() for name in tool["FILES"]}
