"""Hand-made inputs of a plan: a small application, its closure and its build lock, without files or network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from elpack.config import parse_release
from elpack.model import (
    ArchivedFile,
    BuildTool,
    CoreMetadata,
    EntryPoint,
    Layout,
    Policy,
    RemoteFile,
    SdistFacts,
    SelectedDist,
    Selection,
    Sha256,
    Target,
    WheelFacts,
)
from elpack.naming import dist_name, parse_version
from elpack.overrides import parse_overrides
from elpack.plan.facts import Inputs
from elpack.plan.policy import choose_file, target_tags
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elpack.changelog import Entry
    from elpack.plan.policy import Choice

HEAD = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
"""
RELEASE = (
    HEAD
    + """\
[application]
name = "app"
provides = ["python3-app"]
expose = ["app"]
[first-party]
app = {}
own = {}
[targets.el9]
"""
)


def digest(text: str) -> Sha256:
    """Return what stands for the digest of a file of that name."""
    return Sha256(hashlib.sha256(text.encode()).hexdigest())


def el9(python: str = "3.12", arch: str = "x86_64") -> Target:
    """Return a target with the facts that are shipped."""
    return resolve_target(TargetChoice("el9", python, (arch,)), arch)


@dataclass(frozen=True)
class Dist:
    """One dist, its only file and what that holds. `wheel` is the wheel's tag; without it there is an sdist."""

    name: str
    version: str = "1.0"
    wheel: str = "py3-none-any"
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    metadata: CoreMetadata | None = None
    licence: str = "MIT"
    requires_dist: tuple[str, ...] = ()
    requires_python: str = ""
    build_requires: tuple[str, ...] = ()
    native: str = ""
    tools: tuple[BuildTool, ...] = ()
    uploaded: int | None = None

    @property
    def filename(self) -> str:
        """Return the name of its file."""
        stem = f"{self.name.replace('-', '_')}-{self.version}"
        return f"{stem}-{self.wheel}.whl" if self.wheel else f"{stem}.tar.gz"

    @property
    def sha256(self) -> Sha256:
        """Return the digest of its file."""
        return digest(self.filename)

    def selected(self) -> SelectedDist:
        """Return what a selection holds of it."""
        file = RemoteFile(self.filename, f"https://files.example/{self.filename}", self.sha256, uploaded=self.uploaded)
        return SelectedDist(
            dist_name(self.name),
            parse_version(self.version),
            frozenset(map(dist_name, self.extras)),
            tuple(sorted(map(dist_name, self.requires))),
            None if self.wheel else file,
            (file,) if self.wheel else (),
            1,
        )

    def facts(self) -> WheelFacts | SdistFacts:
        """Return what its file holds."""
        metadata = self.metadata or CoreMetadata(
            self.name,
            self.version,
            summary=f"What {self.name} does",
            licence_expression=self.licence,
            requires_dist=self.requires_dist,
            requires_python=self.requires_python,
        )
        points = tuple(EntryPoint(name, f"{name}:main") for name in self.scripts)
        module = self.name.replace("-", "_")
        if self.wheel:
            files = tuple(ArchivedFile(path, 1, 0) for path in (f"{module}.py", *self.files))
            return WheelFacts(self.filename, self.sha256, metadata, True, files, points, ())
        return SdistFacts(
            filename=self.filename,
            sha256=self.sha256,
            folder=f"{module}-{self.version}",
            metadata=metadata,
            build_requires=self.build_requires,
            backend="hatchling.build",
            backend_path=(),
            scripts=points,
            native=self.native,
            modules=(module,),
            licence_files=("LICENSE",),
            readme_files=(),
            has_uv_lock=False,
            tools=self.tools,
            plain=True,
        )


APP = Dist("app", "2.0", wheel="", requires=("own", "lib"), scripts=("app",), build_requires=("hatchling",))
OWN = Dist("own", "1.5", wheel="", build_requires=("hatchling",))
LIB = Dist("lib", "0.9")
HATCHLING = Dist("hatchling", "1.30")
INSTALLER = Dist("installer", "1.1.0")
PIP = Dist("pip", "26.0")
CLOSURE = (APP, OWN, LIB)
BUILD = (HATCHLING, INSTALLER, PIP)


@dataclass(frozen=True)
class Case:
    """A release with its dists; `inputs` makes of them what the planner takes."""

    closure: tuple[Dist, ...] = CLOSURE
    build: tuple[Dist, ...] = BUILD
    release: str = RELEASE
    overrides: Mapping[str, str] = field(default_factory=dict)
    target: Target = field(default_factory=el9)
    layout: Layout | None = None
    changelog: tuple[Entry, ...] = ()

    def instead(self, *dists: Dist) -> Case:
        """Return the case with these dists in place of those of the same name, or added to the closure."""
        new = {dist.name: dist for dist in dists}
        build = {dist.name for dist in self.build}
        kept = tuple(new.pop(dist.name, dist) for dist in self.closure)
        replaced = tuple(new.pop(dist.name) if dist.name in new else dist for dist in self.build)
        assert not build & new.keys()
        return replace(self, closure=(*kept, *new.values()), build=replaced)

    def inputs(self) -> Inputs:
        """Return the planner's inputs."""
        release = parse_release(self.release)
        own = release.first_party_names()
        policies = dict(release.policies)
        ranks = target_tags(self.target)

        def choices(dists: Sequence[SelectedDist]) -> dict[str, Choice]:
            return {
                dist.name: choose_file(
                    dist,
                    self.target,
                    ranks,
                    first_party=dist.name in own,
                    compile_it="elpack.toml says so" if policies.get(dist.name) is Policy.SDIST else "",
                )
                for dist in dists
            }

        selected = tuple(dist.selected() for dist in self.closure)
        build = tuple(dist.selected() for dist in self.build)
        texts = {f"specs/overrides/{name}.toml": text for name, text in self.overrides.items()}
        return Inputs(
            release=release,
            target=self.target,
            selection=Selection(release.application.name, selected),
            chosen={dist_name(name): choice for name, choice in choices(selected).items()},
            build=build,
            chosen_build={dist_name(name): choice for name, choice in choices(build).items()},
            facts={dist.sha256: dist.facts() for dist in (*self.closure, *self.build)},
            overrides=parse_overrides(texts),
            changelog=self.changelog,
            layout=self.layout or release.layout,
            version=next((str(dist.version) for dist in selected if dist.name == release.application.name), ""),
        )
