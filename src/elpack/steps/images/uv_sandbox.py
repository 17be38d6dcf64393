"""Where uv works: a sandbox with the target's Python, the folder of one task, and no network but its own loopback."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.builders.disk import Measure
from elpack.builders.limits import Fence, Mechanism, fence_name, met
from elpack.builders.roots import Roots
from elpack.errors import BuildError, ImageError
from elpack.images import uv
from elpack.run import CLEAN_ENV, Command
from elpack.steps.images.pypy_root import build_root
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from elpack.config.builds import Limits
    from elpack.model import Target
    from elpack.run import Completed, Runner
    from elpack.session import Session
    from elpack.steps.images.home import Home

_OWN = ("dev", "proc", "sys", "run", "tmp", "home", "etc", "opt", "elpack")
"""What is not the root's in the sandbox."""
_HOSTS = "127.0.0.1 localhost"


@dataclass(frozen=True, slots=True)
class Index:
    """Files by the address that a lock gives them, and the certificate of who answers there (PEM, with its key).

    authority: the certificate that uv is told to trust, and no other.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    ports: tuple[tuple[int, bool], ...] = ()
    certificate: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class UvSandbox:
    """Folders for tasks, made below `work`; `root` is a root with the target's Python, which nobody changes."""

    root: Path
    work: Path
    target: Target
    prefix: str
    runner: Runner

    @contextmanager
    def task(self) -> Iterator[Task]:
        """Give the folder of one task, and take it away again whatever happens."""
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="uv-", dir=self.work))
        try:
            task = Task(self, folder)
            task.lay_out()
            yield task
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: `folder` is the sandbox's root folder, where the tree is made and all that it needs is put."""

    sandbox: UvSandbox
    folder: Path

    @property
    def home(self) -> Path:
        """Return the folder that is seen as `uv.HOME`."""
        return self.folder / uv.HOME.lstrip("/")

    @property
    def tree(self) -> Path:
        """Return the folder that is seen as the prefix."""
        return self.folder / self.sandbox.prefix.lstrip("/")

    def lay_out(self) -> None:
        """Make the folders that the target's root is seen through."""
        for entry in sorted(self.sandbox.root.iterdir()):
            if entry.name in _OWN:
                continue
            if entry.is_symlink():
                (self.folder / entry.name).symlink_to(entry.readlink())
            elif entry.is_dir():
                (self.folder / entry.name).mkdir()
        for name in _OWN:
            (self.folder / name).mkdir()
        (self.home / "home").mkdir()
        self.tree.parent.mkdir(parents=True, exist_ok=True)
        for name in ("uv_task.py", "finish_tree.py"):
            (self.home / name).write_text((resources.files("elpack.assets") / name).read_text())

    def run(
        self,
        commands: Sequence[tuple[tuple[str, ...], str]],
        *,
        log: Path,
        index: Index | None = None,
        offline: bool = True,
        binds: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Completed:
        """Run commands, each in a folder, up to the first that fails.

        binds: more options of bubblewrap. limits: of what runs somebody's code. Raises `BuildError` when one is met.
        """
        index = index or Index()
        values = {**uv.environment(self.sandbox.prefix, offline=offline), **(environment or {})}
        if index.authority:
            (self.home / "authority.pem").write_text(index.authority)
            (self.home / "server.pem").write_text(index.certificate)
            values["SSL_CERT_FILE"] = f"{uv.HOME}/authority.pem"
        task = {
            "files": dict(index.files),
            "ports": index.ports,
            "certificate": f"{uv.HOME}/server.pem",
            "commands": commands,
            "environment": values,
        }
        (self.home / "task.json").write_text(json.dumps(task))
        (self.folder / "etc" / "hosts").write_text(
            "\n".join((_HOSTS, *(f"127.0.0.1 {name}" for name in index.hosts), ""))
        )
        (self.folder / "etc" / "nsswitch.conf").write_text("hosts: files\n")
        command = self._command(log, binds)
        return self._within(command, limits) if limits else self.sandbox.runner(command)

    def _within(self, command: Command, limits: Limits) -> Completed:
        record = self.folder.with_suffix(".groups")
        fence = Fence(limits, fence_name(self.folder), record, Mechanism.here(), Measure((self.folder,), limits.disk))
        with fence.around(command) as enclosed:
            done = self.sandbox.runner(enclosed)
        if done.ended:
            raise BuildError(met(done.ended, limits, str(command.log), done.tail(4)))
        return done

    def _command(self, log: Path, binds: tuple[str, ...]) -> Command:
        root = self.sandbox.root
        shown = [
            word
            for entry in sorted(root.iterdir())
            if entry.name not in _OWN and entry.is_dir() and not entry.is_symlink()
            for word in ("--ro-bind", str(entry), f"/{entry.name}")
        ]
        cache = root / "etc" / "ld.so.cache"
        argv = (
            *("bwrap", "--bind", str(self.folder), "/", *shown),
            *(("--ro-bind", str(cache), "/etc/ld.so.cache") if cache.exists() else ()),
            *("--ro-bind", str(uv_program()), uv.UV, *binds),
            *("--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--tmpfs", "/tmp"),  # noqa: S108 - of the sandbox
            # a lock's addresses have ports below 1024
            *("--unshare-all", "--cap-drop", "ALL", "--cap-add", "CAP_NET_BIND_SERVICE"),
            *("--die-with-parent", "--new-session", "--hostname", "localhost", "--chdir", uv.HOME, "--"),
            *(self.sandbox.target.interpreter, "-I", "-S", f"{uv.HOME}/uv_task.py", f"{uv.HOME}/task.json"),
        )
        return Command(argv, env={**CLEAN_ENV}, log=log)


def uv_program() -> Path:
    """Return the uv that elpack depends on."""
    import uv as package

    return Path(package.find_uv_bin())


def uv_sandbox(session: Session, home: Home) -> UvSandbox:
    """Return a sandbox of this machine with the Python of a session's target, making its root if no earlier run did.

    The caller holds the lock of the run: what a killed one left goes away.
    """
    target, workspace = home.target, session.workspace
    tasks, prefix = workspace.work / "images" / "tasks", session.project.release.prefix
    shutil.rmtree(tasks, ignore_errors=True)
    if target.pypy:
        return UvSandbox(build_root(target, workspace, session.runner).folder, tasks, target, prefix, session.runner)
    work = workspace.work / "roots"
    dnf = Dnf(home.base.repositories, target.arch, str(target.el), work / "dnf", ImageError, session.runner)
    roots = Roots(dnf, (target.python_rpm,), work, session.runner)
    return UvSandbox(roots.base(), tasks, target, prefix, session.runner)
