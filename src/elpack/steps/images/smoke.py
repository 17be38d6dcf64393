"""Tries an image as its user will run it: hardened, from outside, stopped and started again."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from elpack.engine.calls import PODMAN_ERRORS
from elpack.errors import EngineError, Problem, SmokeError
from elpack.images.container import (
    BRIDGE,
    HEALTH_TIMEOUT,
    HOST,
    Container,
    health_of,
    misfits,
    powers,
    strangers,
)
from elpack.images.smoke import image_steps
from elpack.plain import plain
from elpack.smoke import WORK
from elpack.steps.images.containers import OWNER, StepError, started, sweep, volume
from elpack.steps.smoke import StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from podman import PodmanClient

    from elpack.engine import Engine
    from elpack.images.model import Images
    from elpack.images.oci import OciDigest
    from elpack.smoke import Smoke, SmokeStep
    from elpack.steps.images.containers import Running

T = TypeVar("T")

_TAIL = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_START = "start"


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that is tried, and what is expected of it.

    image: an id or a reference that the engine holds. digests: of its configuration and of what leads to that, manifest
    and index; podman keeps one or both of these two. Empty where nobody can tell. places: prefix and python; versions:
    of the lock. home: the release file's folder, below which files and mounts are looked for. patience: by how much
    time limits grow. emulated: its programs are not this machine's own.
    """

    image: str
    images: Images
    smoke: Smoke
    places: Mapping[str, str]
    versions: Mapping[str, str]
    home: Path
    digests: tuple[OciDigest, ...] = ()
    patience: int = 1
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class ImageSmokeReport:
    """How all steps went. image: its id; network: what the application was reached by, bridge or host.

    emulated: its programs are not this machine's own.
    """

    image: str
    digest: str
    network: str
    steps: tuple[StepResult, ...]
    seconds: float
    logs: str
    emulated: bool = False


def smoke_image(
    engine: Engine,
    subject: Subject,
    *,
    logs: Path,
    owner: str,
    progress: Callable[[str], None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> ImageSmokeReport:
    """Try an image, and return how each step went. Containers and volumes are gone afterwards, whatever happens.

    logs: emptied, then holds a log per step, the report, and copies of the files that containers see. owner: whose
    containers these are; those that an earlier run of the same owner left are removed. notice hears what the machine
    does not offer. Raises `SmokeError` with every step that failed, `EngineError`, `ConfigError`.
    """
    begin = time.monotonic()
    progress("smoke test of the image")
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    trial = _Trial(engine, subject, logs, owner, progress)
    try:
        sweep(engine.client, owner)
        trial.take_all()
    except PODMAN_ERRORS as error:
        raise EngineError(Problem(f"podman failed: {error}", str(logs), fix="elpack image smoke again")) from error
    report = ImageSmokeReport(
        *(trial.image_id, trial.digest, trial.network, tuple(trial.results), time.monotonic() - begin, str(logs)),
        emulated=subject.emulated,
    )
    (logs / "report.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    if trial.network == HOST:
        notice(
            f"the application was tried on the host's own network, for on a bridge it did not start: {trial.refused}"
        )
    if trial.problems:
        raise SmokeError(*trial.problems)
    progress(f"smoke test of the image: {len(report.steps)} steps passed in {report.seconds:.0f} s")
    return report


@dataclass(slots=True)
class _Trial:
    engine: Engine
    subject: Subject
    logs: Path
    owner: str
    progress: Callable[[str], None]
    results: list[StepResult] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    image_id: str = ""
    digest: str = ""
    network: str = ""
    refused: str = ""
    health: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    live: list[Running] = field(default_factory=list)
    typed: str = ""

    @property
    def client(self) -> PodmanClient:
        return self.engine.client

    def take_all(self) -> None:
        """Take every step. Where one is the ground that others stand on, those are skipped."""
        wanted, images = self.subject.images.smoke, self.subject.images
        if not self.take("image", self.inspect):
            return
        files = self.copied()
        for step in self.steps(wanted.steps):
            self.take(step.name, partial(self.command, step, files))
        if not images.health:
            return
        self.take("health check fails", self.not_healthy)
        with volume(self.client, self.owner) as data:
            kept = self.first_life(data, files)
            if kept is not None:
                self.second_life(data, kept)

    def first_life(self, data: str, files: Mapping[str, str]) -> dict[str, bytes] | None:
        """Run the application with a read-only root and a new volume; return what that keeps, None when it fails."""
        with ExitStack() as stack:
            running = self.take(_START, partial(self.serve, stack, data, read_only=True))
            if running is None:
                return None
            self.network, self.refused = running.asked.network, plain(running.refused)
            for step in self.steps(self.subject.images.smoke.outside, running.ports()):
                self.take(step.name, partial(self.command, step, files, network=HOST))
            self.take("privileges", partial(self.powerless, running))
            kept = self.take("volume", partial(self.kept, running))
            self.take("stop", partial(self.stop, running))
            return kept

    def second_life(self, data: str, kept: dict[str, bytes]) -> None:
        """Run it once more with the same volume, and a root that would let it write."""
        with ExitStack() as stack:
            running = self.take("start again", partial(self.serve, stack, data, read_only=False))
            if running is None:
                return
            self.take("volume is kept", partial(self.same, running, kept))
            self.take("stop again", partial(self.stop, running))
            self.take("writes", partial(self.unwritten, running))

    def take(self, name: str, action: Callable[[], T]) -> T | None:
        """Take one step and note how it went; return what it returns, None when it failed."""
        self.progress(name)
        log = self.log(name, len(self.results) + 1)
        begin, self.typed, detail, value = time.monotonic(), "", "", None
        try:
            value = action()
        except StepError as error:
            detail = str(error)
        except PODMAN_ERRORS as error:
            detail = f"podman failed: {error}"
        seconds, said = round(time.monotonic() - begin, 2), ""
        if detail:
            said = self.tail(log)
            self.problems.append(self.problem(name, detail, said, log))
        self.results.append(StepResult(name, "failed" if detail else "ok", seconds, detail, log.name, said))
        return value

    def log(self, name: str, number: int) -> Path:
        return self.logs / f"{number:02}-{name.replace(' ', '-')}.log"

    def problem(self, name: str, detail: str, said: str, log: Path) -> Problem:
        typed = self.typed or (self.live[-1].asked.typed(self.subject.image) if self.live else "")
        settings = [f"{key}={value}" for key, value in (self.engine.environment or {}).items() if key in _OURS]
        again = shlex.join(["env", *settings]) + f" {typed}" if settings else typed
        what = f"step {name!r} {detail}" + (f"\n{said}" if said else "")
        fix = f"to see it again: {again}" if typed else _FIX
        return Problem(what, str(log if log.exists() else self.logs), fix=fix)

    def tail(self, log: Path) -> str:
        """Return the last lines of a step's log, or of the application that runs beside it."""
        texts = [log.read_text(errors="replace")] if log.exists() else []
        for running in self.live:
            try:
                texts.append(running.save_log())
            except PODMAN_ERRORS:
                continue
        lines = [line for text in texts for line in _COLOUR.sub("", text).rstrip().splitlines()[-_TAIL:]]
        return "\n".join(lines)

    # the steps

    def inspect(self) -> bool:
        """Look at the image itself: what it says, and whether it is the one that the manifest lists."""
        found = self.client.images.get(self.subject.image).attrs
        config = found["Config"]
        self.image_id, self.digest = found["Id"], found["Digest"]
        names = {found["Digest"], *(name.partition("@")[2] for name in found.get("RepoDigests") or [])}
        wrong = [problem.what for problem in misfits(config, self.subject.images)]
        known = self.subject.digests
        if known and (f"sha256:{self.image_id}" not in known or names.isdisjoint(known)):
            wrong.append(f"it is {found['Digest']}, which is none of {', '.join(known)}")
        if wrong:
            raise StepError("is refused: " + "; ".join(wrong))
        if self.subject.images.health:
            self.health = health_of(config["Labels"])
        return True

    def command(self, step: SmokeStep, files: Mapping[str, str], network: str = "none") -> bool:
        """Run a step's command in a container of its own, and judge what it says."""
        run, *arguments = step.run
        container = self.container(
            entrypoint=(run,),
            command=tuple(arguments),
            directory=step.directory,
            network=network,
            mounts=files,
            environment=step.environment,
        )
        code, text = self.run(container, step.name, step.timeout * self.subject.patience)
        if code != step.exit:
            raise StepError(f"ended with {code}, expected {step.exit}")
        absent = [pattern for pattern in step.expect if not re.search(pattern, text, re.MULTILINE)]
        if absent:
            raise StepError("the output does not match " + ", ".join(map(repr, absent)))
        return True

    def not_healthy(self) -> bool:
        """Ask for the health where nothing runs: a check that cannot fail tells nothing."""
        container = self.container(entrypoint=self.health[:1], command=self.health[1:])
        code, _ = self.run(container, "health check fails", 60 * self.subject.patience)
        if code == 0:
            raise StepError("says healthy where the application does not run")
        return True

    def serve(self, stack: ExitStack, data: str, *, read_only: bool) -> Running:
        """Start the application with its volume, and wait until podman's health check says healthy."""
        images, patience = self.subject.images, self.subject.patience
        container = self.container(
            network=BRIDGE,
            ports=images.ports,
            volume=(data, images.data),
            mounts=self.configuration(),
            read_only=read_only,
            health=self.health,
            start_period=images.start_timeout * patience,
            health_timeout=HEALTH_TIMEOUT * patience,
        )
        log = self.log("application" if read_only else "application again", len(self.results) + 1)
        self.typed = container.typed(self.subject.image)
        running = stack.enter_context(started(self.client, self.image_id, container, log))
        stack.callback(self.live.clear)
        self.live[:] = [running]
        running.healthy(images.start_timeout * patience)
        return running

    def powerless(self, running: Running) -> bool:
        """Look at the processes: none is root's, none has a capability or could get one."""
        if found := powers(running.processes()):
            raise StepError(f"a process has more than it needs: {'; '.join(found)}")
        return True

    def kept(self, running: Running) -> dict[str, bytes]:
        """Return the files that a restart is to keep."""
        images = self.subject.images
        return {path: running.file(f"{images.data}/{path}") for path in images.smoke.kept}

    def same(self, running: Running, before: dict[str, bytes]) -> bool:
        """Compare them with those of the first life."""
        changed = sorted(path for path, content in self.kept(running).items() if content != before[path])
        if changed:
            raise StepError(f"a restart changed {', '.join(changed)}")
        return True

    def stop(self, running: Running) -> bool:
        """Stop it as `podman stop` does."""
        if code := running.stop(self.subject.images.stop_timeout * self.subject.patience):
            raise StepError(f"ended with {code} on {self.subject.images.stop_signal}, expected 0")
        return True

    def unwritten(self, running: Running) -> bool:
        """Look for what was written beside the volume."""
        mounted = [mount["Destination"] for mount in running.handle.inspect()["Mounts"]]
        wrote = strangers(running.handle.diff(), (*mounted, "/run", "/tmp", "/var/tmp"))  # noqa: S108 - in memory
        if wrote:
            raise StepError(f"wrote outside its volume: {', '.join(wrote[:_TAIL])}")
        return True

    # what they share

    def steps(self, names: tuple[str, ...], ports: Mapping[int, int] | None = None) -> tuple[SmokeStep, ...]:
        places = {**self.subject.places, "home": self.subject.images.data}
        return image_steps(names, self.subject.smoke, places, self.subject.versions, ports)

    def container(self, **values: object) -> Container:
        name = f"elpack-smoke-{uuid.uuid4().hex[:12]}"
        return Container(name, owner=(OWNER, self.owner), **values)  # type: ignore[arg-type]

    def run(self, container: Container, name: str, seconds: float) -> tuple[int, str]:
        """Run a container to its end; return its exit code and what it said, without colours."""
        log = self.log(name, len(self.results) + 1)
        self.typed = container.typed(self.subject.image)
        with started(self.client, self.image_id, container, log) as running:
            code = running.end(seconds)
            return code, _COLOUR.sub("", running.save_log())

    def copied(self) -> dict[str, str]:
        """Copy the release's files for steps to where every user can read them; return the mount."""
        if not self.subject.smoke.files:
            return {}
        shutil.copytree(self.subject.home / self.subject.smoke.files, self.logs / "files")
        for path in (self.logs / "files", *(self.logs / "files").rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        return {f"{WORK}/files": str(self.logs / "files")}

    def configuration(self) -> dict[str, str]:
        """Copy the files that are mounted, for the same reason; return their places."""
        folder, found = self.logs / "mounts", {}
        folder.mkdir(exist_ok=True)
        for number, (place, source) in enumerate(sorted(self.subject.images.mounts.items())):
            copy = folder / f"{number}-{place.rpartition('/')[2]}"
            shutil.copyfile(self.subject.home / source, copy)
            copy.chmod(0o644)
            found[place] = str(copy)
        return found


_OURS = ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")
_FIX = "elpack image build, which makes it as the release says"
