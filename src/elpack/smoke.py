"""What a smoke test does, as values: steps from the release file, made concrete for one installed set."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.errors import ConfigError, Problem
from elpack.model import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from elpack.config import Release
    from elpack.plan.model import Plan
    from elpack.service import Service

WORK = "/run/elpack"
"""Where the sandbox sees the driver, its logs and the release's files."""
HOME = "/home/smoke"
"""Home of the ordinary user; gone after the session."""
_PLACEHOLDER = re.compile(r"\{(files|home|prefix|python|port:[1-9][0-9]{0,4}|version:[A-Za-z0-9._-]+)\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9 _-]*\Z")
_READY = re.compile(r"(?:notify|tcp:[1-9][0-9]{0,4})\Z")
_SIGNAL = re.compile(r"SIG[A-Z0-9]+\Z")


@dataclass(frozen=True, slots=True)
class SmokeStep:
    """One thing to try in the installed root, checked on construction.

    `run` is an argument vector in which ``{prefix}``, ``{python}``, ``{files}``, ``{home}`` and ``{port:NUMBER}`` are
    replaced; the last one is the number itself, or what a container's port is published as.
    `expect` are regular expressions, each to be found in the output; there ``{version:DIST}`` is the lock's version
    too. A `background` step goes on running until a later step names it in `ends`; it counts as started when
    it is `ready`: ``notify`` (systemd's READY=1) or ``tcp:PORT``. `exit` is a background step's at its end.
    `ends` lets the step, after its own command or `signal`, wait until that background step has ended and has
    left no process behind. `timeout` is in seconds. `user` is a name in the root, or empty for an ordinary one.

    Raises ValueError for what contradicts itself.
    """

    name: str
    run: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    exit: int = 0
    timeout: int = 60
    background: bool = False
    ready: str = ""
    ends: str = ""
    signal: str = ""
    user: str = ""
    directory: str = HOME
    state: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._require(_NAME.match(self.name), "a step's name is made of small letters, digits, blanks, - and _")
        self._require(bool(self.run) != bool(self.signal), "a step either runs a command or sends a signal")
        self._require(not self.signal or self.ends, "a signal needs 'ends', which names its receiver")
        self._require(not self.signal or _SIGNAL.match(self.signal), f"{self.signal!r} is no signal")
        self._require(not self.ready or self.background, "'ready' is for background steps")
        self._require(not self.ready or _READY.match(self.ready), "'ready' is 'notify' or 'tcp:PORT'")
        self._require(not (self.background and self.ends), "a background step cannot end another")
        self._require(self.timeout > 0, "'timeout' is a number of seconds above 0")
        for pattern in self.expect:
            try:
                re.compile(_PLACEHOLDER.sub("x", pattern))
            except re.error as error:
                raise ValueError(f"step {self.name!r}: {pattern!r} is no regular expression: {error}") from error

    def _require(self, condition: object, what: str) -> None:
        if not condition:
            raise ValueError(f"step {self.name!r}: {what}")


@dataclass(frozen=True, slots=True)
class Smoke:
    """A release's smoke test.

    `files` is a folder beside the release file, seen by the steps as ``{files}``. `environment` is added to
    every step's. `service` names steps that are taken once more while the system service runs.
    Raises ValueError when steps refer to one another wrongly.
    """

    steps: tuple[SmokeStep, ...]
    files: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    service: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two steps are named {name!r}")
        open_steps: set[str] = set()
        for step in self.steps:
            if step.ends and step.ends not in open_steps:
                raise ValueError(f"step {step.name!r}: no background step {step.ends!r} runs at that point")
            open_steps.discard(step.ends)
            open_steps |= {step.name} if step.background else set()
        if open_steps:
            raise ValueError(f"no step ends {', '.join(sorted(open_steps))}")
        for name in self.service:
            if name not in names:
                raise ValueError(f"service: there is no step {name!r}")


@dataclass(frozen=True, slots=True)
class Session:
    """Concrete steps for one installed set; nothing is left to replace or to decide.

    grace: how long processes may take to be gone after a step has ended them, in seconds.
    """

    steps: tuple[SmokeStep, ...]
    grace: int = 3

    @property
    def seconds(self) -> int:
        """The longest time that it can take."""
        return sum(step.timeout for step in self.steps)

    def slower(self, factor: int) -> Session:
        """Return the session with so much more time for everything, such as where its root is emulated."""
        steps = tuple(dataclasses.replace(step, timeout=step.timeout * factor) for step in self.steps)
        return Session(steps, self.grace * factor)

    def as_json(self) -> dict[str, Any]:
        """Return what the driver inside the root reads."""
        return {"home": HOME, "grace": self.grace, "steps": [dataclasses.asdict(step) for step in self.steps]}


def smoke_of(release: Release, plan: Plan) -> Smoke:
    """Return the smoke test of a plan: the release file's; where that has none for libraries, they are imported."""
    smoke = release.smoke_of(plan.layout)
    if smoke.steps or plan.layout is not Layout.SYSTEM:
        return smoke
    roots = [package for package in plan.packages if package.node in plan.roots and package.modules]
    run = "import " + ", ".join(sorted(module for package in roots for module in package.modules))
    return Smoke((SmokeStep("import", ("{python}", "-c", run)),) if roots else ())


def with_imports(smoke: Smoke, modules: Collection[str]) -> Smoke:
    """Return the smoke test with a first step that imports these modules: what no build could try."""
    if not modules:
        return smoke
    run = ("{python}", "-c", f"import {', '.join(sorted(modules))}")
    return dataclasses.replace(smoke, steps=(SmokeStep("imports of what was cross-compiled", run), *smoke.steps))


def make_session(
    smoke: Smoke, service: Service | None, places: Mapping[str, str], versions: Mapping[str, str]
) -> Session:
    """Make the release's steps concrete. places: ``prefix`` and ``python``; versions: of the lock, by normalised name.

    Raises `ConfigError` when a step asks for the version of a dist that the lock does not hold.
    """
    return Session(
        tuple(
            concrete(step, smoke, {"home": HOME, **places}, versions)
            for step in (*smoke.steps, *_service_steps(smoke, service))
        )
    )


def concrete(
    step: SmokeStep,
    smoke: Smoke,
    places: Mapping[str, str],
    versions: Mapping[str, str],
    ports: Mapping[int, int] | None = None,
) -> SmokeStep:
    """Return a step with nothing left to replace. places: prefix, python and home; ports: as they can be reached.

    Raises `ConfigError` when it asks for the version of a dist that the lock does not hold.
    """
    fixed = {**places, "files": f"{WORK}/files"}

    def replace(text: str, quote: Callable[[str], str]) -> str:
        def value(match: re.Match[str]) -> str:
            kind, _, what = match[1].partition(":")
            if kind == "port":
                return str((ports or {}).get(int(what), what))
            if not what:
                return quote(fixed[kind])
            if what not in versions:
                raise ConfigError(Problem(f"{text!r}: the lock holds no {what}", where="[[smoke.step]]"))
            return quote(versions[what])

        return _PLACEHOLDER.sub(value, text)

    return dataclasses.replace(
        step,
        run=tuple(replace(word, str) for word in step.run),
        expect=tuple(replace(pattern, re.escape) for pattern in step.expect),
        environment={**smoke.environment, **step.environment},
    )


def _service_steps(smoke: Smoke, service: Service | None) -> Iterator[SmokeStep]:
    """Start the service as its unit would, take the named steps, end it as its unit would."""
    if service is None:
        return
    yield SmokeStep(
        name="service start",
        run=service.exec_start,
        background=True,
        ready="notify" if service.type == "notify" else "",
        timeout=service.start_timeout,
        user=service.user,
        directory=service.home,
        state=service.state_directory,
        environment=service.environment,
    )
    for step in smoke.steps:
        if step.name in smoke.service:
            yield dataclasses.replace(step, name=f"service {step.name}")
    yield SmokeStep(name="service stop", signal=service.kill_signal, ends="service start", timeout=service.stop_timeout)
