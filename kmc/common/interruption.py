"""A request to stop, by Ctrl-C or by the system, for work that ends only where it is consistent."""

import signal
import threading
from types import FrameType

# SIGHUP, where there is one, comes with the end of a terminal or of a connection.
_STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class Interruption:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop, between two calls of the event loop.

    An exception raised during the compilation of the loop would be lost inside the compiler. A
    second signal interrupts at once. Outside the main thread this has no effect.

    - `requested` (bool)
    """

    def __init__(self):
        self.requested = False
        self._previous: dict = {}

    def __enter__(self) -> "Interruption":
        if _in_main_thread():
            for number in _STOPPING:
                # nohup has SIGHUP ignored, and the run must survive the terminal.
                ignored = signal.getsignal(number) is signal.SIG_IGN
                if not ignored or number in (signal.SIGINT, signal.SIGTERM):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def compiling(self, compiles: bool) -> None:
        """Tell that the loop is compiled, which takes a minute, or that this is over.

        Meanwhile SIGTERM and SIGHUP end the process: the compiler is one call of many seconds, in
        which Python hands no signal over, and batch systems kill by then. No event has happened
        yet, and the file is that of a killed run, which `kmc resume` continues.
        """
        # Other threads, which may compile something of their own, cannot set handlers.
        for number in self._previous.keys() - {signal.SIGINT} if _in_main_thread() else ():
            signal.signal(number, signal.SIG_DFL if compiles else self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def interrupt_gently() -> bool:
    """Ask the run of this process to stop where it is consistent; False where none listens.

    It then saves its checkpoint, as after Ctrl-C.
    """
    # The handler is a bound method: its object is the run that listens now.
    listener = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if not (_in_main_thread() and isinstance(listener, Interruption)):
        return False
    listener.requested = True
    return True
