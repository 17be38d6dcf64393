"""Compares the tree of flavour `uv` with that of the stack's RPMs: each difference has a reason, or is an error."""

from __future__ import annotations

import hashlib
import stat
import tarfile
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.archives.cpio import read_payload
from elpack.errors import ImageError, Problem
from elpack.plan.model import Role
from elpack.tools.rpm import write_payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.images.model import Layer
    from elpack.plan.model import Plan
    from elpack.session import Session


class Reason(StrEnum):
    """Why two trees of one plan are not the same, as reports say it."""

    BYTECODE = "bytecode: an image's is never stale by hash, an RPM's by its source's time"
    RECORD = "RECORD: uv's list of a dist's files; of an RPM's files rpm's database has the list"
    INSTALLER = "INSTALLER: rpm, where rpm installed it"
    COMMAND = "commands of entry points: each installer words them in its way, for the same function"
    DROPPED = "entry points without a command that an override drops, since uv would make it"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path: `f`, `x` (executable) or `l`, and the digest of the content or the link's goal."""

    kind: str
    content: str
    text: bytes = b""
    """The content of what is small and below bin/."""


def compare_trees(session: Session, layers: Iterable[Layer], work: Path) -> Mapping[Reason, int]:
    """Return how many differences there are between layers and RPMs below the prefix, by reason.

    work: an empty folder for payloads. Raises `ImageError` with every path that differs without a reason.
    """
    prefix = session.project.release.prefix
    ours = {path: one for layer in layers for path, one in _of_tar(layer.tar, prefix).items()}
    theirs = _of_rpms(session, prefix, work)
    reasons: Counter[Reason] = Counter()
    problems = []
    for path in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(path), theirs.get(path)
        if mine == other:
            continue
        reason = why(path, mine, other, session.plan)
        if reason is None:
            problems.append(
                Problem(f"{_spelled(mine)} in the image, {_spelled(other)} in the RPMs", f"{prefix}/{path}")
            )
        else:
            reasons[reason] += 1
    if problems:
        fix = "report it: no layout may hold what another does not"
        raise ImageError(*problems[:40], Problem(f"{len(problems)} files differ without a reason", fix=fix))
    return dict(reasons)


def why(path: str, mine: Found | None, other: Found | None, plan: Plan) -> Reason | None:
    """Return why an image (`mine`) and the RPMs (`other`) may differ at a path below the prefix; None: they may not."""
    folder, _, name = path.rpartition("/")
    if mine is None or other is None:
        in_info = folder.endswith(".dist-info")
        if in_info and name == "RECORD" and mine:
            return Reason.RECORD
        return Reason.INSTALLER if in_info and name == "INSTALLER" and other else None
    if mine.kind != other.kind:
        return None
    reasons = (
        (Reason.BYTECODE, folder.endswith("__pycache__") and name.endswith(".pyc")),
        (Reason.DROPPED, folder.endswith(".dist-info") and name == "entry_points.txt" and _drops_command(folder, plan)),
        (Reason.COMMAND, folder == "bin" and _imports(mine.text) == _imports(other.text) != ()),
    )
    return next((reason for reason, holds in reasons if holds), None)


def _drops_command(folder: str, plan: Plan) -> bool:
    info = folder.rpartition("/")[2].removesuffix(".dist-info").rpartition("-")[0]
    names = {str(one.dist) for one in plan.packages if any(path.startswith("bin/") for path in one.drop)}
    return info.lower().replace("_", "-").replace(".", "-") in names


def _imports(script: bytes) -> tuple[bytes, ...]:
    """Return the interpreter's line of a command, what it imports and what it calls; nothing of what is no script."""
    lines = [line.strip() for line in script.splitlines()]
    said = [line for line in lines if line.startswith((b"#!", b"from ", b"sys.exit("))]
    return tuple(said) if len(said) == len(("interpreter", "import", "call")) else ()


def _spelled(found: Found | None) -> str:
    if found is None:
        return "nothing"
    what = {"f": "a file", "x": "an executable file", "l": "a link to"}[found.kind]
    return f"{what} {found.content[:16]}"


def _found(mode: int, content: bytes, path: str) -> Found:
    small = content if path.startswith("bin/") and content.startswith(b"#!") else b""
    return Found("x" if mode & 0o111 else "f", hashlib.sha256(content).hexdigest(), small)


def _of_tar(tar: Path, prefix: str) -> dict[str, Found]:
    found = {}
    top = f"{prefix.lstrip('/')}/"
    with tarfile.open(tar) as archive:
        for member in archive:
            path = member.name.removeprefix(top)
            if path == member.name or member.isdir():
                continue
            if member.issym():
                found[path] = Found("l", member.linkname)
            else:
                file = archive.extractfile(member)
                found[path] = _found(member.mode, file.read() if file else b"", path)
    return found


def _of_rpms(session: Session, prefix: str, work: Path) -> dict[str, Found]:
    found = {}
    for package in session.plan.packages:
        if not package.role.at_run_time or package.role is Role.BUNDLE:
            continue
        for rpm in session.results[package.node].rpms:
            payload = work / "payload.cpio"
            write_payload(rpm, payload, session.runner)
            for file in read_payload(payload):
                path = file.path.removeprefix(f"{prefix}/")
                if path == file.path:
                    continue
                if stat.S_ISLNK(file.mode):
                    found[path] = Found("l", file.content.decode(errors="replace"))
                else:
                    found[path] = _found(file.mode, file.content, path)
            payload.unlink()
    return found
