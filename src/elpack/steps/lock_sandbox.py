"""Where uv resolves and backends are asked: a sandbox that sees nothing of the host but programs and one folder.

Both run code from sdists, which is hostile until shown otherwise. So each run gets a folder that no earlier run could
write to, what it left is read without following links, and backends have no network.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement

from elpack import strict
from elpack.builders.disk import Measure
from elpack.builders.limits import Fence, Mechanism, fence_name, met
from elpack.builders.sandbox import filtered
from elpack.builders.seccomp import filter_file
from elpack.config.builds import Limits
from elpack.errors import BuildLockError, Problem
from elpack.run import Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.requirements import Requirement

    from elpack.run import Completed, Runner

# What reaches the network differs from site to site: certificates and proxies of ours are let through to uv.
_PASSED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "no_proxy")
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/usr")
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates")
_LOADERS = {
    "x86_64": ("/lib64/ld-linux-x86-64.so.2", ("/lib/x86_64-linux-gnu", "/lib64")),
    "aarch64": ("/lib/ld-linux-aarch64.so.1", ("/lib/aarch64-linux-gnu", "/lib64")),
}
_BUILD_BYTES = 1 << 30
_MOST_BYTES = 1 << 24
_LIMITS = Limits(disk=4 << 30, log=_MOST_BYTES, time=900)
_EMULATED_LIMITS = replace(_LIMITS, time=7200)
_MOST_ANSWERS = 200


@dataclass(frozen=True, slots=True)
class LockSandbox:
    """Runs commands in bubblewrap. `work` holds the folders made for them, `environ` is our own environment.

    root: a folder whose programs take the place of the host's; emulated: they are another architecture's.
    """

    runner: Runner
    work: Path
    uv: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    emulated: bool = False

    @classmethod
    def here(cls, runner: Runner, work: Path, environ: Mapping[str, str]) -> LockSandbox:
        """Return a sandbox with the uv that elpack depends on."""
        import uv

        return cls(runner, work, Path(uv.find_uv_bin()), environ)

    @property
    def python(self) -> str:
        """Return the host's own interpreter, not that of the virtual environment we run in."""
        return f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"

    def folder(self) -> Path:
        """Return a new folder for one purpose."""
        self.work.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.work))

    def uv_run(self, folder: Path, *arguments: str, binds: tuple[str, ...] = ()) -> Completed:
        """Run uv with the network in a folder, which it sees as /task; its cache lies there too.

        binds: more options of bubblewrap.
        """
        own = ("--ro-bind", str(self.uv), "/elpack/uv", "--bind", str(folder), "/task")
        return self._run(folder, ("/elpack/uv", *arguments), (*own, *binds), network=True)

    def uv_apart(self, folder: Path, binds: tuple[str, ...], *arguments: str) -> Completed:
        """Run uv without network; it sees what `binds`, options of bubblewrap, let it see."""
        own: tuple[str, ...] = ("--ro-bind", str(self.uv), "/elpack/uv")
        start: tuple[str, ...] = ("/elpack/uv",)
        if self.emulated:  # uv itself is this machine's, and so are its loader and C library
            loader, libraries = _LOADERS[platform.machine()]
            found = next(path for path in libraries if Path(path).exists())
            own = (*own, "--ro-bind", loader, "/elpack/ld.so", "--ro-bind", found, "/elpack/lib")
            start = ("/elpack/ld.so", "--library-path", "/elpack/lib", *start)
        return self._run(folder, (*start, *arguments), (*own, *binds), network=False)

    def apart(self, folder: Path, binds: tuple[str, ...], *argv: str) -> Completed:
        """Run a program without network in a folder, which it sees as /task; `binds` as in `uv_apart`."""
        return self._run(folder, argv, ("--bind", str(folder), "/task", *binds), network=False)

    def ask(self, venv: Path, sdist: Path, question: str) -> tuple[Completed, str]:
        """Return what a backend, installed in /task/venv of a folder, answers; "" when it left none. No network."""
        inside = f"/elpack/{sdist.name}"
        binds = (
            *("--ro-bind", str(sdist), inside, "--size", str(_BUILD_BYTES), "--tmpfs", "/build"),
            *("--ro-bind", str(venv), "/task"),
        )
        return self._ask(binds, inside, question)

    def ask_tree(self, binds: tuple[str, ...], question: str) -> tuple[Completed, str]:
        """Do what `ask` does for a checkout; `binds`, options of bubblewrap, show it and /task. No network."""
        return self._ask(binds, "", question)

    def _ask(self, binds: tuple[str, ...], sdist: str, question: str) -> tuple[Completed, str]:
        program, folder = resources.files("elpack.assets") / "ask_backend.py", self.folder()
        binds = (*binds, "--ro-bind", str(program), "/elpack/ask.py", "--bind", str(folder), "/answer")
        argv = ("/task/venv/bin/python", "-I", "/elpack/ask.py", sdist, "/build", question, "/answer/answer.json")
        result = self._run(folder, argv, binds, network=False)
        return result, read_left(folder / "answer.json") if result.returncode == 0 else ""

    def _run(self, folder: Path, argv: tuple[str, ...], binds: tuple[str, ...], *, network: bool) -> Completed:
        passed = {name: self.environ[name] for name in _PASSED if name in self.environ} if network else {}
        system = [(f"{self.root or ''}{path}", path) for path in (*_SYSTEM, *(("/opt",) if self.root else ()))]
        visible = list(_NETWORK if network else ())
        visible += [passed[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in passed]
        visible += [] if sys.base_prefix.startswith("/usr") else [sys.base_prefix]
        command = (
            *filtered(filter_file(self.work)),
            *("--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
            *(("--share-net",) if network else ()),
            *(word for place, path in system for word in ("--ro-bind-try", place, path)),
            *(word for path in visible for word in ("--ro-bind-try", path, path)),
            # to the kernel we are who made the sandbox, and root may write its settings without any capability
            *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"),
            *("--size", str(_BUILD_BYTES), "--tmpfs", "/tmp", "--size", str(_BUILD_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108
            *binds,
            *("--chdir", "/task", "--", *argv),
        )
        return self._within_limits(Command(command, cwd=folder, env=_environment(passed)))

    def _within_limits(self, command: Command) -> Completed:
        descriptor, record = tempfile.mkstemp(suffix=".groups", dir=self.work)
        os.close(descriptor)
        limits = _EMULATED_LIMITS if self.emulated else _LIMITS
        measure = Measure((self.work,), limits.disk)
        fence = Fence(limits, fence_name(Path(record)), Path(record), Mechanism.here(), measure)
        with fence.around(command) as enclosed:
            result = self.runner(enclosed)
        if result.ended:
            problem = met(result.ended, limits, command.argv[-1], result.tail(4))
            raise BuildLockError(replace(problem, fix="package another version, or report it to its maintainers"))
        return result


def read_left(path: Path) -> str:
    """Return the text of a file that a sandbox left; "" when there is none. Raises `BuildLockError` for a trap."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise BuildLockError(Problem(f"a build backend left something else than a file: {error}", path.name)) from error
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BuildLockError(Problem(f"what a build backend left is larger than {_MOST_BYTES} bytes", path.name))
    return content.decode(errors="replace")


def read_requirements(answer_text: str, filename: str) -> tuple[str, ...]:
    """Return the requirements that a backend answered with. Raises `BuildLockError` for anything else."""
    try:
        answer = strict.json_value(answer_text)
    except ValueError:
        answer = None
    if not isinstance(answer, list) or len(answer) > _MOST_ANSWERS:
        raise BuildLockError(Problem("its backend answered with something else than requirements", filename))
    return tuple(str(_requirement(text, filename)) for text in answer)


def _requirement(text: Any, filename: str) -> Requirement:
    try:
        requirement = strict.requirement(text)
    except (InvalidRequirement, TypeError) as error:
        what = f"its backend asks for {text!r}, which is not a requirement"
        raise BuildLockError(Problem(what, filename)) from error
    if requirement.url:
        what = f"its backend asks for {text!r}, which is outside of any index"
        raise BuildLockError(Problem(what, filename, fix="package another version, or patch it"))
    return requirement


def _environment(passed: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/task/home",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "NO_COLOR": "1",
        "UV_CACHE_DIR": "/task/uv-cache",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        **passed,
    }
