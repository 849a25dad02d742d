"""Ctrl-C at the worst moment."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.support import CHECKOUT

_DEAF = """
import signal, threading
from swarmd.cli import interrupts

class Deaf:
    def __del__(self):
        print("deaf", flush=True)
        threading.Event().wait()

interrupts.listen()
try:
    Deaf()
    threading.Event().wait()
except KeyboardInterrupt:
    interrupts.heard()
    print("heard", signal.getitimer(signal.ITIMER_REAL), flush=True)
"""

_IGNORED = """
import signal
from swarmd.cli import interrupts

signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupts.listen()
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""


def test_an_interrupt_that_a_destructor_swallowed_comes_again() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DEAF],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "deaf\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert out == "heard (0.0, 0.0)\n"
    assert "Exception ignored" in err, "else this shows nothing"


def test_where_interrupts_are_ignored_they_stay_so() -> None:
    subprocess.run([sys.executable, "-c", _IGNORED], cwd=CHECKOUT, check=True, timeout=20)
