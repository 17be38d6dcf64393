"""What SIGINT, SIGTERM and SIGHUP do: the run ends what it began, tidies up, and says so by its exit code."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Which signal came, 0 while none did."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells say it; Ctrl-C when nothing is known."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let the first signal raise `KeyboardInterrupt`. Later ones are ignored: tidying up is what they would cut short.

    A signal that is ignored already, as nohup does with SIGHUP, stays so.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def raise_once(number: int, _frame: FrameType | None) -> None:
        if stop.number:
            return
        stop.number = number
        raise KeyboardInterrupt

    wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, raise_once) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
