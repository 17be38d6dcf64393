"""The same hostile texts, given to other tools that make packages of Python projects: what does each of them execute?

``python -m tests.hostile.peers FOLDER [TOOL...]`` installs the tools from PyPI into environments of their own, gives
each of them every case of the corpus that a project can bring along, as local files, without network and among
canaries, and lets the real rpm parse what they write. FOLDER gets ``results.json``; the table is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from tests.hostile.corpus import EVIL, INFO, Case, Project, Sandbox, active, sdist, wheel
from tests.hostile.text import metadata, names, requirements
from tests.rpmtools import macro_options

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60
"""What a tool may take for one project."""
SETUP = b"import json, setuptools\nsetuptools.setup(**json.load(open('setup.json')))\n"
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BUILD = b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


@dataclass(frozen=True, slots=True)
class Parts:
    """One project, as a tool may want it."""

    name: str
    sdist: bytes
    wheel: bytes
    metadata: bytes
    tree: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what to install, and the command for a project that lies in the current folder as `put` wrote it.

    The spec is the file SPEC there, or what the command prints.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[str, Path], tuple[str, ...]]
    prints: bool = False
    unpacked: bool = False
    more: Callable[[Path], Path | None] = field(default=lambda _: None)


def _pyp2rpm(name: str, bin_: Path) -> tuple[str, ...]:
    return (str(bin_ / "pyp2rpm"), "--no-venv", f"./{name}-1.0.tar.gz")


def _pyp2spec(name: str, bin_: Path) -> tuple[str, ...]:
    return (str(bin_ / "pyp2spec"), "--path", ".", "-v", "1.0", "-a", "-c", "config.toml", "-o", "SPEC", name)


def _py2pack(name: str, bin_: Path) -> tuple[str, ...]:
    options = ("--localfile", "PKG-INFO", "-t", "fedora.spec", "-f", "SPEC")
    return (str(bin_ / "py2pack"), "generate", *options, name, "1.0")


def _bdist_rpm(_: str, bin_: Path) -> tuple[str, ...]:
    return (str(bin_ / "python"), "setup.py", "bdist_rpm", "--spec-only", "--dist-dir", ".")


PEERS = (
    # it needs pkg_resources, which newer setuptools have not
    Peer("pyp2rpm", ("pyp2rpm", "setuptools<81"), _pyp2rpm, prints=True),
    Peer("pyp2spec", ("pyp2spec",), _pyp2spec),
    Peer("py2pack", ("py2pack",), _py2pack),
    Peer("bdist_rpm", ("setuptools",), _bdist_rpm, unpacked=True),
)


def parts(case: Case) -> Parts:
    """Return the project that brings a case's text along: the application for an sdist's, else the wheel's dist."""
    sound, project = Project(), Project()
    case.make(project)
    own = project.sdist_files != sound.sdist_files or project.sdist_folder != sound.sdist_folder
    name = "app" if own else "lib"
    info = f"{name}-1.0.dist-info"
    if own:
        files = dict(project.sdist_files)
        content = completed(files["PKG-INFO"])
        if files["pyproject.toml"] == sound.sdist_files["pyproject.toml"]:
            files["pyproject.toml"] = BUILD  # a [project] table would stand in place of what setup.py says
        wheel_ = wheel({"app.py": b"", f"{info}/METADATA": content, f"{info}/WHEEL": WHEEL}, info=info)
    else:
        content = project.wheel_files[f"{INFO}/METADATA"] = completed(project.wheel_files[f"{INFO}/METADATA"])
        plain = {path: data for path, data in project.wheel_files.items() if not path.startswith(f"{INFO}/METADATA")}
        files = {path: data for path, data in plain.items() if ".dist-info/" not in path and ".data/" not in path}
        files |= {"PKG-INFO": content, "pyproject.toml": BUILD}
        wheel_ = wheel(project.wheel_files)
    files["PKG-INFO"] = content
    entry_points = project.wheel_files.get(f"{INFO}/entry_points.txt", b"").decode(errors="replace")
    files.setdefault("setup.py", SETUP)
    files["setup.json"] = json.dumps(_arguments(name, content, entry_points)).encode()
    folder = project.sdist_folder if own else "lib-1.0"
    return Parts(name, sdist(files, folder), wheel_, content, files)


FIELDS = (b"Summary: A library", b"Home-page: https://example.org", b"Author: Jo", b"Author-email: jo@example.org")


def completed(content: bytes) -> bytes:
    """Give metadata what it lacks and some tools write no sound spec without."""
    for line in FIELDS:
        field = line.partition(b":")[0]
        head, _, _ = content.partition(b"\n\n")
        if content and not content.startswith(b"\xff\xfe") and field.lower() not in head.lower():
            content = line + b"\n" + content
    return content


def _arguments(name: str, content: bytes, entry_points: str) -> dict[str, Any]:
    """Return what a setup.py would say for this metadata."""
    raw, _ = parse_email(content)
    spelt = {
        "name": "name",
        "version": "version",
        "summary": "description",
        "description": "long_description",
        "author": "author",
        "author_email": "author_email",
        "maintainer": "maintainer",
        "maintainer_email": "maintainer_email",
        "license": "license",
        "home_page": "url",
        "download_url": "download_url",
        "classifiers": "classifiers",
        "platforms": "platforms",
        "keywords": "keywords",
        "requires_dist": "install_requires",
        "requires_python": "python_requires",
        "project_urls": "project_urls",
    }
    said = {theirs: raw[ours] for ours, theirs in spelt.items() if ours in raw}  # type: ignore[literal-required]
    return {"name": name, "version": "1.0", "py_modules": [name], "entry_points": entry_points} | said


def _own_code(project: Project) -> None:
    start = f"import subprocess\nsubprocess.run(['{EVIL}'])\n".encode()
    project.sdist_files |= {"setup.py": start + SETUP, "pyproject.toml": BUILD}


def _nothing(_: Project) -> None:
    """Change nothing."""


FIRST = (
    Case("sound/project", "nothing is hostile", _nothing),
    Case("code/setup-py", "a project whose setup.py starts a program", _own_code),
)


WANTED = {
    "metadata": ["00", "01", "07", "08", "09", "13", "14", "17", "19", "20", "21", "22", "24", "26"],
    "macro": [
        "shell",
        "lua",
        "lua-bare",
        "expand",
        "expression",
        "if-undefined",
        "escaped",
        "define",
        "include",
        "load",
        "open-brace",
        "lone-percent",
    ],
    "section": ["prep", "post", "files", "package", "changelog", "requires", "buildrequires"],
    "line-end": ["cr", "vt", "nel", "ls"],
    "terminal": ["clear", "direction"],
    "shape": [
        "readme-md",
        "readme-rst",
        "two-summaries",
        "folded",
        "summary-quotes",
        "summary-backslash",
        "jinja",
        "not-utf-8",
        "empty",
    ],
    "requires": ["marker", "marker-lua", "extra", "newline", "deep-marker"],
    "entry-point": ["name-macro", "name-shell", "value-code", "many"],
    "file": ["macro-top", "shell-top", "section-top", "glob-top", "newline"],
    "folder": ["macro", "quotes"],
}
"""Of each subject, the cases that a project can bring along and that do not only repeat another."""


def cases() -> list[Case]:
    """Return the cases, the sound project first."""
    every = (*metadata.CASES, *names.CASES, *requirements.CASES)
    return [*FIRST, *(case for case in every if _wanted(case))]


def _wanted(case: Case) -> bool:
    # what a wheel's metadata says, an sdist's says as well
    subject, _, detail = case.id.partition("/")
    kinds = WANTED.get(subject, [])
    return detail[:2] in kinds and detail.endswith("-wheel") if subject == "metadata" else detail in kinds


def run(peer: Peer, bin_: Path, case: Case, folder: Path) -> dict[str, str]:
    """Return what a tool did with a case: its outcome, and a line of evidence."""
    sandbox = Sandbox(folder)
    project = parts(case)
    home = sandbox.home
    if peer.unpacked:
        for path, data in project.tree.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(data)
    else:
        (home / f"{project.name}-1.0.tar.gz").write_bytes(project.sdist)
        (home / f"{project.name}-1.0-py3-none-any.whl").write_bytes(project.wheel)
        (home / "PKG-INFO").write_bytes(project.metadata)
    outside = sandbox.outside()
    env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": f"{folder}/home", "LANG": "C.UTF-8"}
    offline = ("unshare", "--net") if os.geteuid() == 0 else ()
    try:
        done = _start((*offline, *peer.command(project.name, bin_)), home, env)
    except subprocess.TimeoutExpired:
        return {"outcome": "hangs", "why": f"more than {SECONDS} s"}
    said = done.stderr.decode(errors="replace")
    if sandbox.mark.exists():
        return {"outcome": "executed when generating", "why": sandbox.mark.read_text()[:200]}
    if {path for path, value in sandbox.outside().items() if outside.get(path) != value and "/." not in path}:
        return {"outcome": "wrote elsewhere", "why": ""}
    spec = _spec(peer, home, done)
    if spec is None:
        crashed = "Traceback (most recent call last)" in said
        return {"outcome": "traceback" if crashed else "refused", "why": said.strip()[-300:]}
    return _parsed(spec, sandbox, env)


def _start(argv: tuple[str, ...], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, timeout=SECONDS, check=False, stdin=-3)


def _spec(peer: Peer, home: Path, done: subprocess.CompletedProcess[bytes]) -> Path | None:
    if done.returncode != 0:
        return None
    path = home / "SPEC"
    if peer.prints:
        path.write_bytes(done.stdout)
    elif peer.unpacked:
        path = next(iter(sorted(home.glob("*.spec"))), path)
    return path if path.exists() and path.stat().st_size else None


def _parsed(spec: Path, sandbox: Sandbox, env: dict[str, str]) -> dict[str, str]:
    macros = (*macro_options(".fc"), f"--define=_topdir {sandbox.home}/rpm", "--define=autorelease 1")
    try:
        done = _start(("rpmspec", "-P", *macros, str(spec)), sandbox.home, env)
    except subprocess.TimeoutExpired:
        return {"outcome": "spec cannot be parsed", "why": f"more than {SECONDS} s"}
    if sandbox.mark.exists():
        line = next((line for line in spec.read_text(errors="replace").splitlines() if EVIL in line), "")
        return {"outcome": "executed when parsed", "why": line[:200]}
    if done.returncode != 0:
        return {"outcome": "spec cannot be parsed", "why": done.stderr.decode(errors="replace").strip()[-300:]}
    text = done.stdout.decode(errors="replace")
    if "root:x:0" in text:
        return {"outcome": "reads files of the host", "why": "/etc/passwd"}
    reached = [f"{section}: {line}" for section, line in active(text) if EVIL in line]
    if reached:
        return {"outcome": "text became part of the spec", "why": reached[0][:200]}
    return {"outcome": "spec", "why": ""}


def install(peer: Peer, folder: Path) -> tuple[Path, str]:
    """Install a tool into an environment of its own; return the folder of its commands, and its version."""
    place = folder / "environments" / peer.name
    if not place.exists():
        subprocess.run(["uv", "venv", "-q", "--python", "3.11", str(place)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(place), *peer.packages], check=True)
    name = peer.packages[0].partition("<")[0]
    shown = subprocess.run(
        ["uv", "pip", "show", "-q", "--python", str(place), name], check=False, capture_output=True, text=True
    )
    listed = subprocess.run(["uv", "pip", "list", "--python", str(place)], check=True, capture_output=True, text=True)
    version = next((line.split()[1] for line in listed.stdout.splitlines() if line.split()[:1] == [name]), shown.stdout)
    return place / "bin", version


def main() -> None:
    """Run every case with every tool and print how often what happened."""
    folder = Path(sys.argv[1]).resolve()
    wanted = sys.argv[2:]
    results: dict[str, Any] = {}
    for peer in (peer for peer in PEERS if not wanted or peer.name in wanted):
        bin_, version = install(peer, folder)
        work = folder / "work" / peer.name
        shutil.rmtree(work, ignore_errors=True)

        found: dict[str, dict[str, str]] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            places = {case.id: work / case.id.replace("/", "-") for case in cases()}
            jobs = {case.id: pool.submit(run, peer, bin_, case, places[case.id]) for case in cases()}
            for case, job in jobs.items():
                found[case] = job.result()
                shutil.rmtree(places[case], ignore_errors=True)
                result = {"version": version, "cases": found}
                (folder / f"results-{peer.name}.json").write_text(json.dumps(result, indent=1, sort_keys=True))
        results[peer.name] = {"version": version, "cases": found}
        counts = Counter(found["outcome"] for found in results[peer.name]["cases"].values())
        print(peer.name, version, dict(counts))  # noqa: T201
    print(table(results))  # noqa: T201


def table(results: dict[str, Any]) -> str:
    """Return the numbers by tool, outcome and subject, as Markdown."""
    lines = []
    for name, result in results.items():
        by: dict[str, Counter[str]] = defaultdict(Counter)
        for case, found in result["cases"].items():
            by[case.partition("/")[0]][found["outcome"]] += 1
        lines += [f"\n## {name} {result['version']}\n", "| subject | outcomes |", "| --- | --- |"]
        lines += [
            f"| {subject} | {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))} |"
            for subject, counts in sorted(by.items())
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
