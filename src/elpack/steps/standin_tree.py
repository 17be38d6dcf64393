"""Turn Debian's tree into the one that the stand-in's RPMs are cut from."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.run import Command
from elpack.standin.partition import Kind, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.model import Target
    from elpack.run import Runner
    from elpack.standin.mapping import StandinMapping

_DATA = Path(__file__).parent.parent / "standin"
_BUNDLE = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
_CERTIFICATES = "usr/share/ca-certificates/mozilla"


def stage_tree(
    tree: Path, stage: Path, target: Target, mapping: StandinMapping, runner: Runner
) -> dict[str, tuple[str, str]]:
    """Make `stage` from hard links to `tree` and lay elpack's own files over it.

    Returns what was laid over, as `partition` wants it. The tree itself is not changed: a file of ours takes
    the place of a link, it is never written through one.
    """
    runner(Command(("cp", "-al", str(tree), str(stage)))).check()
    for old, new in mapping.moves.items():
        (stage / new[1:]).parent.mkdir(parents=True, exist_ok=True)
        (stage / old[1:]).rename(stage / new[1:])
    ours: dict[str, tuple[str, str]] = {}
    for path, name in mapping.appends.items():
        text = (stage / path[1:]).read_text() + (_DATA / "appended" / name).read_text()
        ours[path] = ("", _put(stage, path, text, 0o644))
    for link in mapping.links:
        _remove(stage / link.path[1:])
        (stage / link.path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (stage / link.path[1:]).symlink_to(link.to)
        ours[link.path] = (link.rpm, link.to)
    for path, mode in mapping.folders.items():
        (stage / path[1:]).mkdir(parents=True, exist_ok=True)
        (stage / path[1:]).chmod(mode)
    certificates = sorted((stage / _CERTIFICATES).glob("*.crt"))
    bundle = "".join(path.read_text() for path in certificates)
    ours[_BUNDLE] = ("ca-certificates", _put(stage, _BUNDLE, bundle, 0o644))
    return ours | _lay_over(stage, target)


def walk(stage: Path, mapping: StandinMapping) -> Iterator[Node]:
    """Yield every path below `stage` that may enter an RPM; links to folders are links."""
    for text, folders, names in os.walk(stage):
        folder = Path(text)
        base = "/" / folder.relative_to(stage)
        for name in list(folders):
            path = str(base / name)
            if (folder / name).is_symlink():
                yield Node(path, Kind.LINK)
            elif mapping.leaves_out(path):
                folders.remove(name)
            else:
                yield Node(path, Kind.FOLDER)
        for name in names:
            yield Node(str(base / name), Kind.LINK if (folder / name).is_symlink() else Kind.FILE)


def set_times(stage: Path, epoch: int) -> None:
    """Give every folder one time; unpacking and linking left those of today. rpm clamps newer files itself."""
    for folder, _, _ in os.walk(stage, topdown=False):
        os.utime(folder, (epoch, epoch))


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def _lay_over(stage: Path, target: Target) -> dict[str, tuple[str, str]]:
    """Copy ``files/<rpm>/<path>``; a script is what starts with ``#!``."""
    words = {
        "@DIST@": target.dist_tag,
        "@EL@": str(target.el),
    }
    ours = {}
    root = _DATA / "files"
    for source in sorted(path for path in root.rglob("*") if path.is_file()):
        rpm, *parts = source.relative_to(root).parts
        text, path = source.read_text(), "/" + "/".join(parts)
        for word, value in words.items():
            text = text.replace(word, value)
        ours[path] = (rpm, _put(stage, path, text, 0o755 if text.startswith("#!") else 0o644))
    return ours


def _put(stage: Path, path: str, text: str, mode: int) -> str:
    """Write a file anew, never through the hard link that stands there; return its digest."""
    place = stage / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove(place)
    place.write_text(text)
    place.chmod(mode)
    return hashlib.sha256(text.encode()).hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif path.is_symlink() or path.exists():
        path.unlink()
