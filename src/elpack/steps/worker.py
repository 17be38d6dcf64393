"""The other end of `builders.worker`: builds one job from outside, and believes nothing of it."""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elpack import __version__
from elpack.builders import Repository
from elpack.builders.choose import choose_builder
from elpack.builders.declared import check_passive
from elpack.builders.emulation import MACHINE
from elpack.builders.order import Refusal, receive_order, send_built, send_refusal
from elpack.builders.parcel import OtherVersionError
from elpack.errors import ArchiveError, BuildError, ElpackError, ForeignArchError, Problem, StoreError, from_os
from elpack.run import marked, run
from elpack.steps.base import base, drop_damaged
from elpack.store.lock import held, locked
from elpack.targets import TargetChoice, known_targets, pythons, resolve_target
from elpack.tools.createrepo import create_repository
from elpack.tools.rpm import read_headers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.builders import Built
    from elpack.builders.order import Asked
    from elpack.model import Target
    from elpack.run import Runner
    from elpack.steps.base import Base

    Say = Callable[[str], None]

_PLACES = ("/usr/", "/opt/")
"""Below which the packages of a job may put files. Scripts of the base's packages run as root while they are installed,
and would read what lies in /etc."""
_CHUNK = 1 << 16
_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Worker:
    """Builds below `work`, which any number of workers share. say: is told what happens, in a few words.

    emulated: whether it builds for other architectures than this machine's as well.
    """

    work: Path
    say: Say
    emulated: bool = False
    runner: Runner = run

    def serve(self, hear: IO[bytes], answer: IO[bytes], done: Callable[[], None] = lambda: None) -> None:
        """Read one job, build it, and answer with what was built, or with why it was not. done: called before that.

        Raises the `ElpackError` that was answered, and `ForeignArchError` when no job comes.
        """
        try:
            target, asked = self._asked(hear)
            base_ = self._base(target, asked)
            with self._room(asked.name) as room:
                built = self._build(asked, hear, target, base_, room)
                done()
                send_built(answer, target.arch, base_.digest, (built.srpm, *built.rpms))
        except EOFError as error:
            fix = "nobody types this command: [builds.workers] in elpack.toml names it"
            raise ForeignArchError(Problem("no job came by standard input, or half of one", fix=fix)) from error
        except (ElpackError, OSError) as error:
            known = error if isinstance(error, ElpackError) else from_os(error, str(self.work))
            if known is None:
                raise
            done()
            send_refusal(answer, Refusal(isinstance(known, BuildError), known.problems))
            raise known from error

    def _asked(self, hear: IO[bytes]) -> tuple[Target, Asked]:
        """Return what is to be built, for which target. Raises `ForeignArchError` for what is not built here."""
        try:
            asked = receive_order(hear)
        except OtherVersionError as error:
            what = f"this worker is elpack {__version__}, and the job comes from elpack {error}"
            raise ForeignArchError(Problem(what, fix="install the same version at both ends")) from error
        self.say(f"asked for {asked.name}, {asked.target} / {asked.python} / {asked.arch}")
        if asked.target not in known_targets() or asked.python not in pythons(asked.target):
            raise ForeignArchError(Problem(f"there is no target {asked.target} with Python {asked.python}"))
        if asked.arch != MACHINE and not self.emulated:
            what = f"this worker's machine is {MACHINE}, and the job is for {asked.arch}"
            fix = f"name a machine of that architecture under [builds.workers] {asked.arch}"
            raise ForeignArchError(Problem(what, fix=f"{fix}, or start it with --emulated"))
        choice = TargetChoice(asked.target, asked.python, (asked.arch,))
        return resolve_target(choice, asked.arch), asked

    def _base(self, target: Target, asked: Asked) -> Base:
        """Return the target's base, made here if need be. Raises `ForeignArchError` if it is another than there."""
        workspace = Workspace(self.work / "elpack.toml", self.work, self.work / "dist")
        with locked(self.work / "base.lock"):
            drop_damaged(workspace.bases("bwrap"), self.say)
            base_ = base(target, workspace, self.say, notice=self.say)
        if base_.digest != asked.base:
            raise ForeignArchError(
                Problem(
                    f"the packages of {target.title} that this worker builds with are others than yours",
                    f"{base_.digest[:16]} here, {asked.base[:16]} there",
                    _why_other(target),
                    _same_again(target, self.work),
                )
            )
        return base_

    @contextmanager
    def _room(self, name: str) -> Iterator[Path]:
        """Give a folder for one job, which is gone afterwards; another worker's job of that name is waited for.

        What a killed worker left is gone as well: its files and its processes.
        """
        rooms = self.work / "jobs"
        rooms.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in [path for path in rooms.iterdir() if path.is_dir()]:
            with suppress(StoreError), held(left.with_suffix(".lock")), marked(left.with_suffix(".running")):
                _clear(left)
        room = rooms / _folder(name)
        with held(room.with_suffix(".lock"), wait=None), marked(room.with_suffix(".running")):
            _clear(room)
            room.mkdir()
            try:
                yield room
            finally:
                _clear(room)

    def _build(self, asked: Asked, hear: IO[bytes], target: Target, base_: Base, room: Path) -> Built:
        # the log stays for who looks for it here
        log = self.work / "logs" / f"{asked.name}.log"
        job, rpms = asked.job(hear, room, log)
        extra = (self._repository(rpms),) if rpms else ()
        choice = choose_builder("auto", target, base_.repositories, self.work, extra=extra, runner=self.runner)
        self.say(f"building {job.name} by {choice.builder.name}: {choice.reason}")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with _followed(log):
            (built,) = choice.builder.build((job,), room / "out")
        self.say(f"built {job.name} in {built.seconds:.0f} s")
        return built

    def _repository(self, rpms: tuple[Path, ...]) -> Repository:
        """Return a repository of what came with the job. Root installs it: it may run nothing and lie nowhere odd."""
        check_passive("the job's packages", rpms, self.runner)
        problems = [
            Problem(f"{header.name} holds {path!r}, outside of {' and '.join(_PLACES)}", "the job's packages")
            for header in read_headers(rpms, self.runner)
            for path in (*header.files, *header.folders)
            if not f"{path}/".startswith(_PLACES)
        ]
        if problems:
            raise ArchiveError(*problems)
        create_repository(rpms[0].parent, self.runner)
        return Repository("elpack", str(rpms[0].parent), priority=1)


@contextmanager
def cancelled_by(descriptor: int) -> Iterator[Callable[[], None]]:
    """Let this process get SIGTERM when the other end of a pipe or a socket closes: nobody waits for it any more.

    Gives a function that ends the watch.
    """
    stop, hang_up = os.pipe()

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLRDHUP)  # what comes is nothing to us, and a hang-up is told anyway
        poll.register(stop, select.POLLIN)
        if stop not in {found for found, _ in poll.poll()}:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch, daemon=True)

    def end() -> None:
        if thread.is_alive():
            os.write(hang_up, b".")
            thread.join()

    thread.start()
    try:
        yield end
    finally:
        end()
        os.close(hang_up)
        os.close(stop)


@contextmanager
def _followed(log: Path) -> Iterator[None]:
    """Copy what is written to a log to our stderr meanwhile, which is the log at the other end."""
    done = threading.Event()

    def follow() -> None:
        with suppress(OSError):  # nobody reads it
            position, last = 0, False
            while not last:
                last = done.wait(_EVERY)
                position = _copied(log, position)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _copied(log: Path, position: int) -> int:
    """Write what a log holds from a position on to stderr, and return where it ended."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(position)
        while chunk := file.read(_CHUNK):
            position += len(chunk)
            while chunk:
                chunk = chunk[os.write(2, chunk) :]
    return position


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _folder(name: str) -> str:
    """Return the folder of a job: not its name, which may be as long as a file's may be."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _why_other(target: Target) -> str:
    if target.standin:
        return "the stand-ins were made at different times, or by different elpacks"
    return "one of both reads a mirror that is behind"


def _same_again(target: Target, work: Path) -> str:
    if target.standin:
        return f"copy one end's stand-in to the other: .elpack/standin here, {work}/standin on the worker"
    return "run again later, or let both read the same mirror"
