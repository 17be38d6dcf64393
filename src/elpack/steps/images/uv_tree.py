"""The tree of flavour `uv`: what the application's own lock froze, unpacked by uv at its final path."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.errors import HashMismatchError, ImageError, Problem
from elpack.images import uv
from elpack.images.model import Layer
from elpack.images.root import seconds
from elpack.intact import is_intact, remember
from elpack.manifest import digest_of
from elpack.steps.exchange import link_or_copy
from elpack.steps.images.home import home_of
from elpack.steps.images.tars import Member, placed, write_layer
from elpack.steps.images.uv_bytecode import Bytecode
from elpack.steps.images.uv_content import installed
from elpack.steps.images.uv_index import make_index
from elpack.steps.images.uv_inputs import made_here, read_inputs
from elpack.steps.images.uv_overlay import overlay
from elpack.steps.images.uv_sandbox import uv_program, uv_sandbox
from elpack.steps.images.wheels import wheels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from packaging.utils import NormalizedName

    from elpack.images.model import Images
    from elpack.run import Completed
    from elpack.session import Session
    from elpack.steps.images.home import Home
    from elpack.steps.images.uv_inputs import UvInputs
    from elpack.steps.images.uv_sandbox import Index, Task, UvSandbox

_FORMAT = "2"
"""Raise it when layers are made in another way than before."""
THIRD_PARTY, FIRST_PARTY, OVERLAY = "third-party", "first-party", "overlay"
_FETCHED = f"{uv.HOME}/fetched"
_LEAVE_OUT = "leave it out of one of them by [[drop]] in an override"
_TAMPERED = ("hash mismatch", "Hash mismatch")


@dataclass(frozen=True, slots=True)
class Stage:
    """What the first stage of a Containerfile works with, so that it gives the tree of mode `host`.

    context: the folder with all of it, which the stage sees read-only at the place that `uv_stage` was told. run: lines
    of POSIX shell, in order, for one RUN; they need a shell, Python, and no network. prefix: the one folder that the
    last stage copies from it. overlay: ``overlay.tar`` in the context, what the last stage adds besides:
    configuration, passwd and group, the volume's folder.
    """

    context: Path
    run: tuple[str, ...]
    prefix: str
    overlay: Layer


def uv_layers(
    session: Session, into: Path, say: Callable[[str], None] = lambda _: None, *, python: str = ""
) -> tuple[Layer, ...]:
    """Write the layers ``third-party`` and ``first-party`` as tars into a folder, and return them in that order.

    The session has a target, a plan of layout `stack` or `bundle`, results and a base: its steps up to `build` ran.
    python: the interpreter in the image, the target's if it is empty. The last layer holds, beside the
    first-party dists, the tree's links to the interpreter, the files of [[asset]], /etc/passwd and /etc/group with the
    images' user, and the volume's folder, which belongs to that user; all else belongs to root. A layer whose content
    is that of an earlier run is not made again.

    Raises `LockError` when the lock is not the project's, `HashMismatchError` when a file is not the one that the lock
    pins, `ImageError` when uv refuses or the tree is not what the lock selects.
    """
    making = _Making.of(session, python)
    layers = tuple(making.layer(name, say) for name in (THIRD_PARTY, FIRST_PARTY))
    return tuple(placed(layer, into) for layer in layers)


def uv_stage(
    session: Session,
    into: Path,
    say: Callable[[str], None] = lambda _: None,
    *,
    python: str = "",
    context: str = "/context",
) -> Stage:
    """Fill a folder with what mode `container` needs; see `Stage`. Raises what `uv_layers` raises.

    python: the interpreter of the base image; context: where the stage sees the folder, and cannot change it.
    """
    making = _Making.of(session, python)
    inputs, prefix = making.inputs, making.sandbox.prefix
    wheels = {**making.wheels(THIRD_PARTY, say), **making.wheels(FIRST_PARTY, say)}
    with making.sandbox.task() as task:
        say("uv fills its cache")
        making.put(task)
        interpreter = making.sandbox.target.interpreter
        commands = [(uv.venv(interpreter, prefix), "/"), making.sync(interpreter)]
        _judged(task.run(commands, log=making.log(OVERLAY), index=making.index(), offline=False, binds=making.binds()))
        home = into / uv.HOME.lstrip("/")
        shutil.copytree(task.home / "source", home / "source")
        shutil.copytree(task.home / "cache", home / "cache", symlinks=True, copy_function=link_or_copy)
    (home / "home").mkdir()
    (home / "wheels").mkdir()
    for path in wheels.values():
        link_or_copy(path, home / "wheels" / path.name)
    shutil.copy2(uv_program(), home / "uv")
    making.write_tree(home, inputs.packages, wheels)
    layer = write_layer(OVERLAY, making.overlay(), into)
    return Stage(into, stage_commands(session, python=python, context=context), prefix, layer)


def stage_commands(session: Session, *, python: str = "", context: str = "/context") -> tuple[str, ...]:
    """Return the lines of shell that make the tree in mode `container`; see `Stage` and `uv_stage`.

    They are known from the plan: nothing need have been built.
    """
    release, target = session.project.release, session.target
    python, prefix = python or target.interpreter, release.prefix
    commands = [
        (uv.venv(python, prefix), "/"),
        (uv.finish(python, "bare"), "/"),
        (uv.sync(target, python, release.application.extras, made_here(session)), uv.SOURCE),
        (uv.install(f"{prefix}/bin/python", (), target), "/"),
        (uv.finish(python, "finish"), "/"),
    ]
    return uv.stage_lines(prefix, context, python, commands)


@dataclass(frozen=True, slots=True)
class _Making:
    """The making of one target's layers."""

    session: Session
    home: Home
    inputs: UvInputs
    sandbox: UvSandbox
    python: str
    images: Images
    when: int

    @classmethod
    def of(cls, session: Session, python: str) -> _Making:
        """Return it, after the lock has been found to be the project's."""
        release = session.project.release
        if release.images is None:
            fix = "add [images], with command and ports"
            raise ImageError(Problem("the release makes no images", where="elpack.toml", fix=fix))
        home = home_of(session)
        inputs = read_inputs(session, home)
        return cls(
            session,
            home,
            inputs,
            uv_sandbox(session, home),
            python or session.target.interpreter,
            release.images,
            seconds(release.date),
        )

    @property
    def work(self) -> Path:
        """Return the folder of this target's layers and wheels."""
        target = self.inputs.target
        kind = "pypy" if target.pypy else "uv"
        return self.session.workspace.work / "images" / kind / f"{target.name}-{target.arch}"

    def log(self, name: str) -> Path:
        """Return the log of what makes a layer, empty."""
        log = self.session.output / "logs" / "images" / f"uv-{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        return log

    def layer(self, name: str, say: Callable[[str], None]) -> Layer:
        """Return a layer of an earlier run with the same content, or make it."""
        key = self._key(name)
        folder = self.work / name / key
        if (folder / "layer.json").exists() and is_intact(folder):
            told = json.loads((folder / "layer.json").read_text())
            say(f"{name}: as before")
            return Layer(name, folder / f"{name}.tar", told["sha256"], told["size"])
        for old in (self.work / name).glob("*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True)
        layer, files = self._make(name, partial, say)
        told = {"sha256": layer.sha256, "size": layer.size, "files": files}
        write_text(partial / "layer.json", json.dumps(told, sort_keys=True))
        remember(partial, folder)
        partial.rename(folder)
        return Layer(name, folder / f"{name}.tar", layer.sha256, layer.size)

    def _make(self, name: str, into: Path, say: Callable[[str], None]) -> tuple[Layer, Mapping[str, str]]:
        """Make a layer in a folder; return it with its dists' files."""
        own = name == FIRST_PARTY
        wheels = self.wheels(name, say)
        packages = [dist for dist in self.inputs.packages if (dist in self.inputs.own) is own]
        interpreter, prefix = self.sandbox.target.interpreter, self.sandbox.prefix
        with self.sandbox.task() as task:
            self.put(task)
            ready = Bytecode(self.work / "bytecode", self._common(), self.inputs, packages if own else ())
            files = self.write_tree(task.home, packages, wheels, self._below() if own else {}, ready.known(wheels))
            commands = [(uv.venv(interpreter, prefix), "/"), (uv.finish(interpreter, "bare"), "/")]
            if not own:
                say(f"uv installs {len(packages)} dists")
                commands.append(self.sync(interpreter))
            if wheels:
                inside = [f"{uv.WHEELS}/{path.name}" for path in wheels.values()]
                commands.append((uv.install(f"{prefix}/bin/python", inside, self.inputs.target), "/"))
            commands.append((uv.finish(interpreter, "finish"), "/"))
            (task.home / "wheels").mkdir()
            shown = tuple(
                word for path in wheels.values() for word in ("--ro-bind", str(path), f"{uv.WHEELS}/{path.name}")
            )
            index = None if own else self.index()
            binds = (*self.binds(), *shown, *ready.binds(wheels))
            _judged(task.run(commands, log=self.log(name), index=index, offline=own, binds=binds))
            ready.keep(task.tree, wheels)
            members = [*_members(task.tree, prefix, self.when, links=own)]
            return write_layer(name, [*members, *(self.overlay() if own else ())], into), files

    def _below(self) -> Mapping[str, str]:
        """Return the files of the layer below the first-party one."""
        told = json.loads((self.work / THIRD_PARTY / self._key(THIRD_PARTY) / "layer.json").read_text())
        return dict(told["files"])

    def overlay(self) -> tuple[Member, ...]:
        """Return what the image holds beside the tree."""
        return overlay(self.session.project.release, self.images, self.session.workspace, self.when)

    def wheels(self, name: str, say: Callable[[str], None]) -> Mapping[NormalizedName, Path]:
        """Return the wheels of what no wheel is locked for in a layer, by dist, making them if no earlier run did."""
        own = name == FIRST_PARTY
        made = [package for dist, package in self.inputs.made.items() if (dist in self.inputs.own) is own]
        return wheels_of(made, self.session, self.home, self.sandbox, self.work / "wheels", say)

    def put(self, task: Task) -> None:
        """Put what `uv sync` reads into a task's folder."""
        source = task.home / "source"
        source.mkdir()
        (source / "pyproject.toml").write_bytes(self.inputs.pyproject)
        (source / "uv.lock").write_bytes(self.inputs.lock)

    def sync(self, python: str) -> tuple[tuple[str, ...], str]:
        """Return the command that installs what is locked, and its folder."""
        extras = self.session.project.release.application.extras
        return uv.sync(self.inputs.target, python, extras, self.inputs.made), uv.SOURCE

    def index(self) -> Index:
        """Return what answers for the addresses of the locked wheels."""
        return make_index({file.url: f"{_FETCHED}/{path.name}" for file, path in self.inputs.locked.values()})

    def binds(self) -> tuple[str, ...]:
        """Return bubblewrap's options that show the locked wheels, read-only."""
        folders = {path.parent for _, path in self.inputs.locked.values()}
        if len(folders) > 1:
            raise AssertionError(f"locked wheels lie in {folders}")
        return tuple(word for folder in folders for word in ("--ro-bind", str(folder), _FETCHED))

    def write_tree(
        self,
        home: Path,
        dists: Iterable[NormalizedName],
        wheels: Mapping[NormalizedName, Path],
        below: Mapping[str, str] | None = None,
        bytecode: Mapping[str, str] | None = None,
    ) -> Mapping[str, str]:
        """Write what `finish_tree.py` is told, and that program itself, into a folder that becomes `uv.HOME`.

        below: the files of the layer below; bytecode: see `Bytecode.known`. Returns the dists' files, by path below the
        prefix, with their digests as far as they are known. Raises `ImageError` when two dists have a file of one name.
        """
        prefix, python = self.sandbox.prefix, self.inputs.target.python
        files: dict[str, str] = {}
        problems = []
        for dist in dists:
            wheel = wheels[dist] if dist in wheels else self.inputs.locked[dist][1]
            own = installed(wheel, prefix, self.inputs.target.python_name)
            problems += [
                Problem(f"{path} is in two dists, of which one is {dist}", "the tree", fix=_LEAVE_OUT)
                for path in sorted(own)
                if path in files or path in (below or {})
            ]
            files |= own
        if problems:
            raise ImageError(*problems)
        keep = sorted({path for dist in dists for path in self.inputs.packages[dist].keep_source})
        folder = os.path.dirname(self.python)  # noqa: PTH120 - of the image, not of this machine
        pyvenv = f"home = {folder}\ninclude-system-site-packages = false\nversion = {python}\n"
        told = {"prefix": prefix, "python": self.python, "pyvenv": pyvenv, "keep_source": keep, "files": files}
        told["bytecode"] = dict(bytecode or {})
        (home / Path(uv.TREE).name).write_text(json.dumps(told, sort_keys=True))
        name = Path(uv.FINISH).name
        (home / name).write_text((resources.files("elpack.assets") / name).read_text())
        return files

    def _common(self) -> tuple[str, ...]:
        """Return what all that is made hangs on."""
        assets = [resources.files("elpack.assets") / name for name in ("finish_tree.py", "uv_task.py")]
        programs = [hashlib.sha256(asset.read_bytes()).hexdigest() for asset in assets]
        settings = (_FORMAT, self.home.base.digest, self.sandbox.prefix, self.python, str(self.inputs.target))
        return (*settings, *programs, digest_of(uv_program()))

    def _key(self, name: str) -> str:
        own = name == FIRST_PARTY
        settings = [*self._common(), str(self.when)]
        for dist, package in sorted(self.inputs.packages.items()):
            if (dist in self.inputs.own) is own:
                settings.append(f"{dist} {package.upstream_version} {self.inputs.digests[dist]} {package.keep_source}")
        if own:
            for one in self.overlay():
                content = one.content if one.source is None else one.source.read_bytes()
                digest = hashlib.sha256(content or b"").hexdigest()
                settings.append(f"{one.path} {one.mode} {one.uid} {one.gid} {digest}")
        return hashlib.sha256("\n".join(settings).encode()).hexdigest()[:32]


def _members(tree: Path, prefix: str, when: int, *, links: bool) -> Iterable[Member]:
    """Yield a tree's members. The links to the interpreter and pyvenv.cfg are the first-party layer's."""
    top = prefix.lstrip("/")
    yield Member(top, stat.S_IFDIR | 0o755, when)
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(folder, name)
            inside = path.relative_to(tree)
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                if links:
                    yield Member(f"{top}/{inside}", found.st_mode, when, link=str(path.readlink()))
            elif links or str(inside) != "pyvenv.cfg":
                source = path if stat.S_ISREG(found.st_mode) else None
                yield Member(f"{top}/{inside}", found.st_mode, when, source=source)


def _judged(done: Completed) -> None:
    """Raise what a failure means: a file that is not the locked one, or a tree that cannot be made."""
    if done.returncode == 0:
        return
    said = done.tail()
    where = str(done.command.log or "")
    if any(words in said for words in _TAMPERED):
        what = f"uv refuses a file that is not the one that the lock pins\n{said}"
        raise HashMismatchError(Problem(what, where, fix="delete that file from .elpack/downloads, then run again"))
    raise ImageError(Problem(f"uv could not make the tree\n{said}", where))
