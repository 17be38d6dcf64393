"""What stands between a program that nobody vouches for and this host: its output and its end."""

from __future__ import annotations

import io
import os
import select
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import ReadableBuffer, WriteableBuffer

LOG = "log"
"""Why a program was ended that said more than it may."""

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Enclosure:
    """How a program is held: it gets no open file of ours, and its output comes by a pipe, up to `log_bytes`.

    An output file of ours in its hands could be made as large as the disk at once, or be emptied. `watch` is asked
    several times a second and says in a word why the program must end now, "" while it may go on.
    """

    log_bytes: int
    watch: Callable[[], str] = str


def end_all(pumps: Iterable[Pump]) -> None:
    """End all of them; an error of one keeps nobody from ending the others. Raises OSError."""
    with ExitStack() as stack:
        for pump in pumps:
            stack.callback(pump.end)


class Pump:
    """Carries what is written to `entrance` to a function, up to a number of bytes; then nobody listens any more."""

    def __init__(self, keep: Callable[[bytes], object], limit: int) -> None:
        self._exit, self.entrance = os.pipe()
        self._keep, self._left = keep, limit
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self.full = False
        self.error: OSError | None = None

    def begin(self) -> None:
        """Begin once the program has been started: from now on it alone can write."""
        os.close(self.entrance)
        self._thread.start()

    def end(self, patience: float | None = None) -> None:
        """Wait until the last word has been carried. Raises OSError if it could not be kept, as on a full disk.

        patience: seconds after which nobody listens any more; None for a program that is gone with all its children.
        """
        if self._thread.ident is None:  # the program did not start
            os.close(self.entrance)
            os.close(self._exit)
            return
        self._thread.join(patience)
        if self._thread.is_alive():
            self._keep = len
        if self.error:
            raise self.error

    def _carry(self) -> None:
        try:
            while chunk := os.read(self._exit, _CHUNK):
                self._keep(chunk[: self._left])
                self._left -= len(chunk)
                if self._left < 0:
                    self.full = True
                    return
        except OSError as error:
            self.error, self.full = error, True
        finally:
            os.close(self._exit)


class TimedPipe(io.RawIOBase):
    """Our end of a pipe to a program. Reading and writing raise `TimeoutError` after `until`, by the monotonic clock.

    What is written has been taken by the pipe, all of it: closing has nothing left to wait for.
    """

    def __init__(self, end: IO[bytes], until: float) -> None:
        self._end, self._until = end, until
        os.set_blocking(end.fileno(), False)

    def readable(self) -> bool:
        """Say to io's readers that they may read, if the program is one that writes."""
        return self._end.readable()

    def writable(self) -> bool:
        """Say to io's writers that they may write, if the program is one that reads."""
        return self._end.writable()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what is there, as soon as something is."""
        self._wait(select.POLLIN)
        view = memoryview(buffer).cast("B")
        data = os.read(self._end.fileno(), len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data: ReadableBuffer) -> int:
        """Write all of it, however long the program takes to read it."""
        left = view = memoryview(data).cast("B")
        while left:
            self._wait(select.POLLOUT)
            left = left[os.write(self._end.fileno(), left) :]
        return len(view)

    def close(self) -> None:
        """Close this end."""
        super().close()
        self._end.close()

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._end.fileno(), event)
        left = self._until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
