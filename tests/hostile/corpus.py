"""What all hostile cases share: a small release on disk, the canaries around it, and the judge.

A case changes one thing of a sound release. The judge runs elpack on it, then the real rpm on the specs, and sees that
nothing of the input was executed, that nothing outside the release's folder changed, and that there is either one clear
error or a correct package.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests import shop
from tests.rpmtools import macro_options
from tests.shop import BUILD_LOCK, build_lock_table, sha256
from tests.shop import wheel as plain_wheel

from elpack.cli.guard import guarded
from elpack.cli.options import session_of
from elpack.pipeline import carry_out
from elpack.report.console import show
from elpack.report.tables import plan_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.session import Session

EVIL = "pwned"
"""The program that hostile text wants to start. It is in the judge's PATH and leaves a mark."""
LONGEST = 20
"""Seconds of the processor that a case may take, whatever else runs here."""

RELEASE = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
[application]
name = "app"
expose = ["app"]
[first-party]
app = { version = "1.0", sha256 = "SDIST_SHA256" }
[targets.el9]
"""
LIBRARY = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
layout = "system"
[library]
name = "app"
lock = "uv.lock"
[first-party]
app = { version = "1.0", sha256 = "SDIST_SHA256" }
[targets.el9]
"""
PYPROJECT = f'{shop.PYPROJECT}[project.scripts]\napp = "app:main"\n'
LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1.0"
source = { editable = "." }
dependencies = [{ name = "lib" }]

[package.metadata]
requires-dist = [{ name = "lib", specifier = ">=1" }]

[[package]]
name = "lib"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://files.pythonhosted.org/WHEEL_NAME", hash = "sha256:WHEEL_SHA256", size = WHEEL_SIZE },
]
"""
INFO = "lib-1.0.dist-info"


def metadata(name: str, *lines: str) -> bytes:
    """Return core metadata with more lines in its head."""
    head = ("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", "License-Expression: MIT", *lines)
    return "".join(f"{line}\n" for line in head).encode(errors="surrogateescape")


def wheel(files: dict[str, bytes], record: bytes | None = None, info: str = INFO) -> bytes:
    """Return a wheel of lib 1.0 with these files, and a sound RECORD unless one is given."""
    lines = "".join(f"{_csv(path)},sha256={record_hash(data)},{len(data)}\n" for path, data in files.items())
    whole = {**files, f"{info}/RECORD": record if record is not None else f"{lines}{info}/RECORD,,\n".encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in whole.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 11, 1, 0, 0, 0)), data)
    return out.getvalue()


def record_hash(data: bytes) -> str:
    """Return a digest as RECORD spells it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _csv(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if re.search('[",\r\n]', path) else path


def sdist(files: dict[str, bytes], folder: str = "app-1.0") -> bytes:
    """Return an sdist with these files below its folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Project:
    """A sound release: an application's sdist, one wheel that it requires, and the locks. A case changes parts of it.

    `wheel` and `sdist`, when set, stand in place of what is made of the files. In `release` and `lock` the words
    SDIST_SHA256, WHEEL_NAME, WHEEL_SHA256 and WHEEL_SIZE are replaced by what they say. `beside` are more files in the
    release's folder, by path. `after` makes there what is no plain file.
    """

    wheel_files: dict[str, bytes] = field(
        default_factory=lambda: {
            "lib.py": b"",
            f"{INFO}/METADATA": metadata("lib", "Summary: A library"),
            f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
    )
    sdist_files: dict[str, bytes] = field(
        default_factory=lambda: {
            "PKG-INFO": metadata("app", "Summary: An application", "Requires-Dist: lib>=1"),
            "pyproject.toml": PYPROJECT.encode(),
            "app.py": b"def main(): ...\n",
        }
    )
    wheel: bytes | None = None
    wheel_name: str = "lib-1.0-py3-none-any.whl"
    sdist: bytes | None = None
    sdist_name: str = "app-1.0.tar.gz"
    sdist_folder: str = "app-1.0"
    release: str | bytes = RELEASE
    lock: str | bytes | None = LOCK
    build_lock: str | bytes | None = None
    beside: dict[str, str | bytes] = field(default_factory=dict)
    layout: str = ""
    after: Callable[[Path], None] | None = None

    def save(self, home: Path) -> None:
        """Write the release, and what would be fetched to where it would lie after that."""
        wheel_ = self.wheel if self.wheel is not None else wheel(self.wheel_files)
        lock = {} if self.lock is None else {"uv.lock": filled(self.lock, wheel_, self.wheel_name)}
        source = self.sdist if self.sdist is not None else sdist(self.sdist_files | lock, self.sdist_folder)
        name = "installer-1.0-py3-none-any.whl"
        build_lock = self.build_lock
        if build_lock is None:
            build_lock = BUILD_LOCK.format(name=name, size=len(INSTALLER), sha256=sha256(INSTALLER))
            build_lock += build_lock_table("3.12 x86_64", sha256(source))
        downloads = home / ".elpack" / "downloads"
        downloads.mkdir(parents=True)
        for path, data in ((self.wheel_name, wheel_), (self.sdist_name, source), (name, INSTALLER)):
            _put(downloads / path, data)
        _put(home / "elpack.toml", filled(self.release, wheel_, self.wheel_name, source))
        _put(home / "pylock.build.toml", _bytes(build_lock))
        for path, data_ in self.beside.items():
            _put(home / path, _bytes(data_))
        if self.after:
            self.after(home)


INSTALLER = plain_wheel("installer")
"""What stands for the wheel that installs wheels; plans name it, and nothing here runs it."""


def filled(text: str | bytes, wheel_: bytes, name: str, source: bytes = b"") -> bytes:
    """Return text with its words replaced by what they stand for."""
    words = {"SDIST_SHA256": sha256(source), "WHEEL_SHA256": sha256(wheel_), "WHEEL_SIZE": str(len(wheel_))}
    data = _bytes(text)
    for word, value in {**words, "WHEEL_NAME": name}.items():
        data = data.replace(word.encode(), value.encode())
    return data


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="surrogateescape")


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile input.

    `id` is ``subject/detail``, where the subject is what carries the hostile text. `make` changes a sound project.
    `code` is elpack's exit code, 0 for a correct package. Each of `says` is in the error, or in the specs as rpm read
    them. `never` must be in none of them.
    """

    id: str
    what: str
    make: Callable[[Project], None]
    code: int = 0
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What carries the hostile text."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case: the exit code, what elpack said, and the specs as rpm read them."""

    code: int
    said: str
    parsed: str


class Sandbox:
    """A folder with the release in it and canaries around: files that nobody may touch, a program nobody may start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "work" / "release"
        self.mark = folder / "executed"
        self.home.mkdir(parents=True)
        for name in ("home/.ssh/id", "work/neighbour/file", "outside/a", "elpack.toml", "work/uv.lock"):
            _put(folder / name, b"a canary\n")
        _put(folder / "bin" / EVIL, f"#!/bin/sh\necho $0 $* >> '{self.mark}'\n".encode())
        (folder / "bin" / EVIL).chmod(0o755)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the release's folder, with the canary program in the path and a home of one's own."""
        before, folder = dict(os.environ), Path.cwd()
        os.environ |= {"PATH": f"{self.folder}/bin:{before['PATH']}", "HOME": f"{self.folder}/home", "COLUMNS": "200"}
        os.chdir(self.home)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)

    def outside(self) -> dict[str, str]:
        """Return what lies around the release: path, kind, mode and content of everything."""
        return _tree(self.folder, {self.home})

    def inside(self) -> dict[str, str]:
        """Return the release's own files, without the work folder."""
        return _tree(self.home, {self.home / ".elpack"})


def _tree(folder: Path, without: set[Path]) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path in without or without & set(path.parents):
            continue
        if path.is_symlink():
            content = f"link to {path.readlink()}"
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {content}"
    return found


def judge(case: Case, folder: Path) -> Verdict:
    """Run elpack and rpm on a case in an empty folder. An AssertionError tells what got through."""
    sandbox = Sandbox(folder)
    project = Project()
    case.make(project)
    project.save(sandbox.home)
    outside, inside = sandbox.outside(), sandbox.inside()
    parsed = ""
    with sandbox.entered(), at_most(LONGEST):
        done = plan(project.layout)
        crash = sandbox.home / ".elpack" / "crash.log"
        assert not crash.exists(), crash.read_text()
        assert done.code == case.code, done.stdout + done.stderr
        if done.session is not None:
            parsed = _parse(done.session, sandbox.folder / "rpm")
            outside |= {path: value for path, value in sandbox.outside().items() if path.split("/")[0] == "rpm"}
    assert not sandbox.mark.exists(), f"executed: {sandbox.mark.read_text()}"
    assert sandbox.outside() == outside, "something outside was touched"
    assert sandbox.inside() == inside, "something of the release itself was changed"
    said = done.stderr
    for text in (done.stdout, said):
        assert not [char for char in text if not harmless(char)], f"raw to the terminal: {text!r}"
    assert "Traceback" not in said
    if case.code:
        assert len(re.findall(r"^error: .*\n• ", said, re.MULTILINE)) == 1, said
        assert done.stdout == ""
    heard = said if case.code else parsed
    assert not [text for text in case.says if text not in heard], heard[-6000:]
    assert not [text for text in case.never if text in heard], heard[-6000:]
    return Verdict(done.code, said, parsed)


def harmless(char: str) -> bool:
    """Tell whether a terminal shows a character as what it is: nothing is moved, hidden, coloured or turned around."""
    return char == "\n" or not unicodedata.category(char).startswith(("C", "Zl", "Zp"))


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes the processor for longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@dataclass(slots=True)
class Done:
    """What a command did: its exit code, what it wrote, and its session if it came to its end."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    session: Session | None = None


def plan(layout: str = "") -> Done:
    """Do what ``elpack plan --offline`` does in the current folder: guard, pipeline and table, without the parser."""
    done, out, err = Done(), io.StringIO(), io.StringIO()

    @guarded
    def command() -> None:
        session = session_of(Path("elpack.toml"), target="el9", arch="x86_64", layout=layout, offline=True)
        carry_out(session, "plan")
        show(plan_table(session.plan, (), {}, everything=True))
        done.session = session

    with redirect_stdout(out), redirect_stderr(err):
        try:
            command()
        except SystemExit as ended:
            done.code = int(ended.code or 0)
    done.stdout, done.stderr = out.getvalue(), err.getvalue()
    return done


_RELATIONS = ("REQUIRES", "PROVIDES", "CONFLICTS", "OBSOLETES", "RECOMMENDS", "TRIGGERNAME", "FILENAMES")
_SCRIPTS = ("PREIN", "POSTIN", "PREUN", "POSTUN", "PRETRANS", "POSTTRANS", "VERIFYSCRIPT")
_QUERY = "".join([f"[%{{{tag}}}\\n]" for tag in _RELATIONS] + [f"%{{{tag}}}\\n" for tag in _SCRIPTS])


def _parse(session: Session, folder: Path) -> str:
    """Let rpm parse every spec of a plan; return them as rpm read them. What is hostile may stand in prose alone."""
    folder.mkdir()
    specs = []
    for package in session.plan.packages:
        for name, text in package.generated:
            (folder / name).write_text(text)
        specs.append(folder / f"{package.rpm}.spec")
        specs[-1].write_text(session.specs[package.node])
    options = [
        *macro_options(".el9", folder),
        "--define",
        f"__python3 {sys.executable}",
        "--define",
        f"_topdir {folder}",
    ]
    text = _rpmspec("-P", *options, *map(str, specs))
    for section, line in active(text):
        assert EVIL not in line, f"{section}: {line}"
    for kind in ("--rpms", "--srpm"):
        told = _rpmspec("-q", kind, "--qf", _QUERY, *options, *map(str, specs))
        assert EVIL not in _TITLE.sub("", told), told
    return text


_SECTION = re.compile(
    r"%(package|description|prep|build|install|check|clean|pre|post|preun|postun|pretrans|posttrans|trigger\w*"
    r"|filetrigger\w*|verifyscript|files|changelog|sourcelist|patchlist|generate_buildrequires)\b"
)
# of a service's user, in %pre; it holds nothing that a shell reads
_TITLE = re.compile(r" -c '[\w .,/()+@=-]*'")
_PROSE = ("%description", "%changelog")
_PROSE_TAGS = ("summary:", "url:", "license:", "vendor:", "packager:")


def active(parsed: str) -> Iterator[tuple[str, str]]:
    """Yield, with its section, each line of specs that does something: all but comments, prose and their tags."""
    section = "preamble"
    for line in parsed.split("\n"):  # nothing else ends a line for rpm
        if match := _SECTION.match(line):
            section = match[0]
        elif line.startswith("Name:"):
            section = "preamble"
        prose = section in _PROSE or (section in {"preamble", "%package"} and line.lower().startswith(_PROSE_TAGS))
        if not prose and not line.startswith("#"):
            yield section, _TITLE.sub("", line)


def _rpmspec(*arguments: str) -> str:
    done = subprocess.run(["rpmspec", *arguments], capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout
