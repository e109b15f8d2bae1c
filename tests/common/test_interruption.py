"""Requests to stop, by the system or by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest


def test_a_batch_system_ends_a_compilation_at_once():
    """A minute of compilation ran on after SIGTERM; no event is done by then."""
    code = (
        "import os, signal, time\n"
        "from kmc.common.interruption import Interruption\n"
        "with Interruption() as found:\n"
        "    found.compiling({})\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('went on', found.requested)\n"
    )
    during = subprocess.run([sys.executable, "-c", code.format(True)], capture_output=True)
    assert during.returncode == -signal.SIGTERM
    after = subprocess.run([sys.executable, "-c", code.format(False)], capture_output=True)
    assert after.stdout.split() == [b"went", b"on", b"True"]


# A sum in one call stands for the compiler: Python hands no signal over before it returns.
_WAIT = """
import sys, time
from kmc.common.interruption import Interruption

with Interruption() as interruption:
    interruption.compiling(sys.argv[1] == "compiles")
    print("ready", flush=True)
    if sys.argv[1] == "compiles":
        sum(range(10**10))
    end = time.monotonic() + 60
    while time.monotonic() < end and not interruption.requested:
        time.sleep(0.05)
    print("stopped in order", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("state", "code"), [("compiles", -signal.SIGTERM), ("works", 0)])
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_call_of_the_compiler_does_not_delay_it(state, code):
    with subprocess.Popen(
        [sys.executable, "-c", _WAIT, state],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == "ready\n"
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=50)
    assert process.returncode == code
    assert time.monotonic() - asked < 45  # far below the minute that it would take else
    assert ("in order" in out) == (state == "works")
