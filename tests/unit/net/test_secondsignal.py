"""The second signal kills, the first does not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from dragonfly.net.secondsignal import die_of_the_second

die_of_the_second(reactor)
reactor.addSystemEventTrigger("before", "shutdown", Deferred)
number = {number}
reactor.callWhenRunning(os.kill, os.getpid(), number)
def again():
    print("again", flush=True)
    os.kill(os.getpid(), number)

reactor.addSystemEventTrigger("before", "shutdown", reactor.callLater, 0, again)
reactor.run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_kills(number: signal.Signals) -> None:
    """Although what is to be waited for never ends; and there is no traceback."""
    program = PROGRAM.format(number=int(number))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-number, "again\n", "")


HURRIED = """
import os, signal
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from dragonfly.net.secondsignal import die_of_the_second, hurry_at_the_first

ended, times = Deferred(), []

def send():
    os.kill(os.getpid(), {number})

def hurry():
    print("hurry", flush=True)
    times.append(1)
    if len(times) == 1:
        send()
    else:
        ended.callback(None)

die_of_the_second(reactor)
hurry_at_the_first(reactor, hurry)
reactor.addSystemEventTrigger("before", "shutdown", lambda: ended)
reactor.addSystemEventTrigger("before", "shutdown", reactor.callLater, 0, send)
reactor.callWhenRunning(reactor.stop)
reactor.run()
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 0, ["hurry"] * 2), (signal.SIGINT, -signal.SIGINT, ["hurry"])],
)
def test_what_ends_by_itself_is_hurried(number: int, code: int, said: list[str]) -> None:
    """A second SIGINT kills; of SIGTERM a service manager sends two."""
    program = HURRIED.format(number=int(number))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (code, said, "")
