"""The peers: generators of spec files from PyPI, each run the way that its own documentation gives for local files."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uv

from benchmarks.measure import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Cost

TIMEOUT = 180.0
# what the peers start (pip, setup.py) is to fail at once without network, not after retries
ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "SOURCE_DATE_EPOCH": "1763596800",
}


@dataclass(frozen=True, slots=True)
class Dist:
    """One distribution and what a peer may read of it. Files have normalised names: peers look for them by name."""

    name: str
    version: str
    sdist: Path | None
    wheel: Path | None


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to run one generator.

    requirements: its pinned release, and what it forgets to require. wants: why a dist is not for it, or "".
    every: it is given each so-manieth dist only, because it is slow.
    """

    name: str
    program: str
    requirements: tuple[str, ...]
    arguments: Callable[[Dist, Path], tuple[str, ...]]
    wants: Callable[[Dist], str]
    every: int = 1
    tarball: bool = True
    stdout: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What a peer gave for one dist: a spec, or none and the last thing that it said."""

    dist: Dist
    cost: Cost
    spec: Path | None
    said: str


def install(peer: Peer, into: Path) -> Path:
    """Put the peer into a throw-away environment of its own; return its program."""
    python, tool = into / "bin" / "python", uv.find_uv_bin()
    venv = (tool, "venv", "--quiet", str(into))
    packages = (tool, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *peer.requirements)
    for argv in (venv, packages):
        _, code, text = run(argv)
        if code:
            raise SystemExit(f"{peer.name} cannot be installed:\n{text}")
    # rpmdevtools' helper, which pyp2rpm asks who the packager is; not every distribution has it
    helper = into / "bin" / "rpmdev-packager"
    helper.write_text("#!/bin/sh\necho 'A Packager <packager@example.org>'\n")
    helper.chmod(0o755)
    return into / "bin" / peer.program


def make(peer: Peer, program: Path, dist: Dist, folder: Path) -> Made:
    """Let a peer write the spec of one dist, in a folder that holds nothing but the dist's files."""
    folder.mkdir(parents=True)
    stem = f"{dist.name.replace('-', '_')}-{dist.version}"
    if dist.sdist and peer.tarball:
        os.link(dist.sdist, folder / f"{stem}.tar.gz")
    if dist.wheel:
        os.link(dist.wheel, folder / f"{stem}-{dist.wheel.name.split('-', 2)[2]}")
    if dist.sdist:
        _pkg_info(dist.sdist, folder / "PKG-INFO")
    alone = ("unshare", "--net") if os.geteuid() == 0 else ()
    environment = {**ENV, "HOME": str(folder), "PATH": f"{program.parent}:{ENV['PATH']}"}
    cost, code, text = run(
        [*alone, str(program), *peer.arguments(dist, folder)], cwd=folder, env=environment, timeout=TIMEOUT
    )
    spec = folder / "made.spec"
    if peer.stdout and code == 0:
        spec.write_text(text[max(0, text.find("# Created by pyp2rpm")) :])
    lines = [line for line in text.strip().splitlines() if line.strip()] or ["nothing"]
    ok = code == 0 and spec.exists()
    return Made(dist, cost, spec if ok else None, lines[-1])


def _pkg_info(sdist: Path, into: Path) -> None:
    with tarfile.open(sdist) as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith("/PKG-INFO"):
                content = archive.extractfile(member)
                into.write_bytes(content.read() if content else b"")
                return


def _wants_wheel(dist: Dist) -> str:
    return "" if dist.wheel else "no wheel, which --path needs"


def _wants_sdist(dist: Dist) -> str:
    return "" if dist.sdist else "no sdist"


def _pyp2spec(dist: Dist, folder: Path) -> tuple[str, ...]:
    return ("--path", str(folder), "--automode", "-p", "3.11", "-c", "made.conf", "-o", "made.spec", dist.name)


def _py2pack(dist: Dist, _: Path) -> tuple[str, ...]:
    return ("generate", "--localfile", "PKG-INFO", "-t", "fedora.spec", "-f", "made.spec", dist.name, dist.version)


def _pyp2rpm(dist: Dist, folder: Path) -> tuple[str, ...]:
    stem = f"{dist.name.replace('-', '_')}-{dist.version}"
    return ("--no-venv", "-b", "3", "-d", str(folder / "saved"), f"{stem}.tar.gz")


PEERS = (
    Peer("pyp2spec 0.16.0", "pyp2spec", ("pyp2spec==0.16.0",), _pyp2spec, _wants_wheel),
    Peer(
        "py2pack 0.9.1, metadata only",
        "py2pack",
        ("py2pack==0.9.1", "setuptools==80.9.0"),
        _py2pack,
        _wants_sdist,
        every=3,
        tarball=False,
    ),
    Peer("py2pack 0.9.1", "py2pack", ("py2pack==0.9.1", "setuptools==80.9.0"), _py2pack, _wants_sdist, every=10),
    # it imports pkg_resources, which setuptools 81 took away, and does not require it
    Peer("pyp2rpm 3.3.10", "pyp2rpm", ("pyp2rpm==3.3.10", "setuptools==80.9.0"), _pyp2rpm, _wants_sdist, stdout=True),
)
