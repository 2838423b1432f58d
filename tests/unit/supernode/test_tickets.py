"""Few at once may read the origin, each for a short time."""

from __future__ import annotations

from dragonfly.supernode.tickets import TICKET_S, TICKETS_MAX, Tickets


def test_few_at_once_and_each_for_a_while() -> None:
    """Who comes when all are out waits until one is over or given back."""
    tickets = Tickets()
    holders = [bytes([n]) for n in range(TICKETS_MAX)]
    assert [tickets.ask(key, 0.0) for key in holders] == [TICKET_S] * TICKETS_MAX
    assert tickets.ask(b"late", 1.0) == 0.0
    assert tickets.ask(holders[0], 4.0) == TICKET_S - 4.0
    tickets.give_back(holders[1])
    tickets.give_back(b"nobody")
    assert tickets.ask(b"late", 5.0) == TICKET_S
    assert tickets.ask(b"later", 5.0) == 0.0
    assert tickets.ask(b"later", TICKET_S) == TICKET_S
