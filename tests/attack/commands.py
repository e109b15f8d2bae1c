"""Commands of kmc in processes forked from this one, with limits, and what they open."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

from kmc.cli.app import main

MAX_S, MAX_MEMORY = 10, 10**9
_HANGS_S = 300  # of the clock, which a busy machine shares


class Outcome(NamedTuple):
    """What became of a command."""

    code: int  # -N where signal N ended it
    text: str  # of both streams
    memory: int  # bytes beside those of the process that it was forked from
    seconds: float  # of processor
    opened: list[str]  # files below the folder that nothing may open

    @property
    def failures(self) -> list[str]:
        """What no input may lead to."""
        checks = {
            "traceback": "Traceback (most recent" in self.text,
            "aborted": "Aborted!" in self.text,
            "ended by a signal": self.code < 0,
            "memory": self.memory > MAX_MEMORY,
            "time": self.seconds > MAX_S,
            "opened": bool(self.opened),
        }
        return [name for name, failed in checks.items() if failed]


def run(arguments: list, folder: Path, untouched: Path | None = None) -> Outcome:
    """Run a command in a folder; opening what lies below `untouched` is noted."""
    with tempfile.TemporaryDirectory() as place:
        printed, noted = Path(place) / "printed", Path(place) / "noted"
        noted.touch()
        # A child begins with all that this process holds, a GB after a hundred other tests.
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        before = pages * resource.getpagesize()
        if not (child := os.fork()):
            _command([*map(str, arguments)], folder, untouched, printed, noted)
        _, status, used = os.wait4(child, 0)
        return Outcome(
            os.waitstatus_to_exitcode(status),
            printed.read_text("utf-8", "replace") if printed.exists() else "",
            used.ru_maxrss * 1024 - before,
            used.ru_utime + used.ru_stime,
            noted.read_text().splitlines(),
        )


def _command(
    arguments: list[str], folder: Path, untouched: Path | None, printed: Path, noted: Path
) -> None:
    code = 70
    try:
        os.chdir(folder)
        text = os.open(printed, os.O_WRONLY | os.O_CREAT)
        for stream, number in ((os.open(os.devnull, os.O_RDONLY), 0), (text, 1), (text, 2)):
            os.dup2(stream, number)
        encoded = {"encoding": "utf-8", "errors": "backslashreplace"}
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, **encoded) for n in (1, 2))
        sys.stdin = os.fdopen(0)
        resource.setrlimit(resource.RLIMIT_AS, (5 << 30,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (2 * MAX_S,) * 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_HANGS_S)
        if untouched:
            note = os.open(noted, os.O_WRONLY | os.O_APPEND)
            below = os.path.realpath(untouched)

            def hook(event, values):
                place = values[0] if event == "open" and isinstance(values[0], str) else ""
                if place and os.path.realpath(place).startswith(below):
                    os.write(note, f"{place}\n".encode())

            sys.addaudithook(hook)
        main(arguments, prog_name="kmc")
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
