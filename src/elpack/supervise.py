"""What stands between a program that nobody vouches for and this host: its output and its end."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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

    def end(self) -> None:
        """Wait until the last word has been carried. Raises OSError if it could not be kept, as on a full disk."""
        if self._thread.ident is None:  # the program did not start
            os.close(self.entrance)
            os.close(self._exit)
            return
        self._thread.join()
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
