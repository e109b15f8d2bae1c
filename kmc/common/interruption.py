"""A request to stop, by Ctrl-C or by the system, for work that ends only where it is consistent."""

from __future__ import annotations

import signal
import threading
from types import FrameType

# SIGHUP, where there is one, comes with the end of a terminal or of a connection.
_STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interruption:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop, between two calls of the event loop.

    An exception raised during the compilation of the loop would be lost inside the compiler. A
    second signal interrupts at once. Outside the main thread this has no effect.
    """

    def __init__(self):
        self.requested = False
        self._previous: dict = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING:
                ignored = signal.getsignal(number) is signal.SIG_IGN
                if not (ignored and number not in (signal.SIGINT, signal.SIGTERM)):  # nohup
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
