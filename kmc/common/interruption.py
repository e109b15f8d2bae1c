"""A request to stop, by Ctrl-C or by the system, for work that ends only where it is consistent."""

import os
import signal
import socket
import sys
import threading
from types import FrameType

# SIGHUP, where there is one, comes with the end of a terminal or of a connection.
_STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_FATAL = [number for number in _STOPPING if number != signal.SIGINT]
_PATIENCE_S = 2.0


class _WhileCompiling:
    """Ends the process at SIGTERM or SIGHUP where a compilation goes on for seconds.

    Python hands a signal over between two of its own instructions, and the code generator is one
    call of many seconds; a thread sees the signal at once. Nothing is being written meanwhile, so
    the files are those of a kill: complete.
    """

    def __init__(self) -> None:
        self._heard, self._written = socket.socketpair()
        self._written.setblocking(False)
        self._before = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        self._written.close()  # which ends the thread

    def _listen(self) -> None:
        with self._heard:
            while numbers := self._heard.recv(1):
                if numbers[0] in _FATAL and _compiles_for(_PATIENCE_S):
                    os.write(2, b"Ended while compiling; nothing new was computed.\n")
                    os._exit(128 + numbers[0])  # as shells count a signal


def _compiles_for(seconds: float) -> bool:
    """Whether numba's lock is held by a compilation all this time."""
    module = sys.modules.get("numba.core.compiler_lock")
    # A private name of numba: where a version has another one, nothing is ended early.
    lock = getattr(getattr(module, "global_compiler_lock", None), "_lock", None)
    if lock is None:
        return False
    if lock.acquire(timeout=seconds):
        lock.release()
        return False
    return True


class Interruption:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop, between two calls of the event loop.

    An exception raised during the compilation of the loop would be lost inside the compiler. A
    second signal interrupts at once. Outside the main thread this has no effect.

    - `requested` (bool)
    - `compiling` (bool): set while the loop is compiled, which takes a minute: SIGTERM and SIGHUP
      then end the process, as batch systems kill it after some seconds anyway. No event has
      happened by then, and the file is that of a killed run, which `kmc resume` continues.
    """

    def __init__(self):
        self.requested = self.compiling = False
        self._previous: dict = {}
        self._watch: _WhileCompiling | None = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING:
                # nohup has SIGHUP ignored, and the run must survive the terminal.
                ignored = signal.getsignal(number) is signal.SIG_IGN
                if not (ignored and number not in (signal.SIGINT, signal.SIGTERM)):  # nohup
                    self._previous[number] = signal.signal(number, self._handle)
            self._watch = _WhileCompiling()
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._watch is not None:
            self._watch.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # A batch system kills in seconds, and a compilation of a minute does not hear it before.
        if self.compiling and number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def interrupt_gently() -> bool:
    """Ask the run of this process to stop where it is consistent; False where none listens.

    It then saves its checkpoint, as after Ctrl-C.
    """
    # The handler is a bound method: its object is the run that listens now.
    listener = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    main = threading.current_thread() is threading.main_thread()
    if not (main and isinstance(listener, Interruption)):
        return False
    listener.requested = True
    return True
