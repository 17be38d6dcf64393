"""Looks at finished images: into each layer once, and at the RPM database that says what is in them."""

from __future__ import annotations

import gzip
import json
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from elpack.archives.elf import HEAD, machine_of
from elpack.atomic import write_text
from elpack.checks.machine_rules import is_loaded
from elpack.errors import ImageError, Problem
from elpack.images.annotations import PLATFORMS
from elpack.images.content import Findings
from elpack.images.libraries import Libraries, needed
from elpack.images.pypy_symbols import LayerSymbols, Symbols, is_interpreter
from elpack.pieces import as_file
from elpack.run import Command
from elpack.sbom import OsPackage
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from elpack.images.oci import Descriptor
    from elpack.run import Runner
    from elpack.steps.images.archive import Archive, Image

_DATABASES = ("var/lib/rpm/", "usr/lib/sysimage/rpm/")
_FORM = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n"
_FIELDS = 4
_FORMAT = 3
"""Raised when a look would find something else in the same layer."""
_REMEMBERED = {"packages", "asked", "there", "code", "symbols"}


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for: tools that are meant to be there, paths that nothing may hold, how many layers are ours.

    prefix: the release's; what programs elsewhere need is the business of the target's own packages. seen: the file
    that remembers which layers were right, and what their databases said. pypy: the base's name, where it has PyPy.
    """

    own: frozenset[str]
    builder: tuple[bytes, ...]
    layers: int
    prefix: str
    seen: Path
    runner: Runner
    pypy: str = ""


def look_at(archive: Archive, image: Image, look: Look) -> tuple[OsPackage, ...]:
    """Return what the newest RPM database in an image names, if there is one.

    Raises `ImageError` with all that our layers hold and should not, the libraries that they need and nothing has,
    what the processors of the image's platform do not run, and what its PyPy cannot import. What was right once is not
    looked at again.
    """
    seen = _read(look.seen)
    layers = image.blobs[1:]
    packages: tuple[OsPackage, ...] = ()
    libraries, symbols = Libraries(), Symbols(look.pypy)
    problems: list[Problem] = []
    for number, layer in enumerate(layers):
        ours = number >= len(layers) - look.layers
        key = f"{_FORMAT} {layer.digest} {ours} {bool(look.pypy)} {sorted(look.own)}"
        if key not in seen:
            seen[key], wrong = _look(archive, layer, look, ours=ours)
            problems += wrong
        packages = tuple(OsPackage(*one) for one in seen[key]["packages"]) or packages
        libraries.add(seen[key]["asked"], seen[key]["there"])
        if look.pypy:
            symbols.add(seen[key]["symbols"])
        problems += _foreign(seen[key]["code"], image)
    problems += [*libraries.missing(), *symbols.missing()]
    if problems:
        raise ImageError(*problems)
    write_text(look.seen, json.dumps(seen))
    return packages


def _foreign(code: Mapping[str, str], image: Image) -> Iterator[Problem]:
    """Yield what is loaded or run below the prefix, and is not for the image's platform."""
    for machine, path in sorted(code.items()):
        if (platform := PLATFORMS.get(machine, machine)) != str(image.descriptor.platform):
            what = f"it is a program for {platform}, and the image is for {image.descriptor.platform}"
            why = "a wheel for another architecture, or for any by its name alone, was chosen or built"
            fix = "the dist that the path belongs to: compile it from its sdist, or lock another version"
            yield Problem(what, path, why, fix)


def _look(archive: Archive, layer: Descriptor, look: Look, *, ours: bool) -> tuple[dict[str, Any], list[Problem]]:
    """Return what to remember of a layer, and what is wrong with it.

    That is packages, libraries that are asked for and that are there, what runs below the prefix (one path for each
    machine), and what PyPy and its extension modules have of the C interface.
    """
    findings, symbols = Findings(look.own, look.builder), LayerSymbols()
    asked: dict[str, str] = {}
    code: dict[str, str] = {}
    there: set[str] = set()
    prefix = f"{look.prefix.strip('/')}/"
    damaged = []
    with tempfile.TemporaryDirectory(prefix="elpack-rpmdb-") as scratch:
        database = Path(scratch)
        for path, mtime, file in _members(archive, layer):
            there |= {path.rpartition("/")[2]} if ".so" in path else set()
            if file is None:
                continue
            if path.startswith(_DATABASES):
                (database / path.rpartition("/")[2]).write_bytes(file.read())
            elif ours or (look.pypy and is_interpreter(path)):
                content = file.read()
                if ours:
                    findings.look(path, mtime, content)
                try:
                    if look.pypy and (path.startswith(prefix) or is_interpreter(path)):
                        symbols.look(path, content)
                    if not ours or not path.startswith(prefix):
                        continue
                    if (machine := machine_of(content[:HEAD])) and (
                        is_loaded(path) or path.startswith(f"{prefix}bin/")
                    ):
                        code.setdefault(machine, path)
                    asked |= {name: path for name in needed(content) if name not in asked}
                except ValueError as error:
                    damaged.append(Problem(str(error), path))
        packages = [[one.name, one.evr, one.arch] for one in _query(database, look.runner)]
    found = {"packages": packages, "asked": asked, "there": sorted(there), "code": code, "symbols": symbols.found()}
    return found, [*findings.all(), *damaged]


def _members(archive: Archive, layer: Descriptor) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Yield files and links of a layer: path without a slash in front, time, and a file's content."""
    try:
        with gzip.open(as_file(archive.pieces(layer))) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            for member in tar:
                if member.isreg() or member.islnk() or member.issym():
                    file = tar.extractfile(member) if member.isreg() else None
                    yield member.name.removeprefix("./").strip("/"), int(member.mtime), file
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise ImageError(Problem(f"a layer cannot be read: {error}", layer.digest)) from error


def _query(database: Path, runner: Runner) -> list[OsPackage]:
    if not any(database.iterdir()):
        return []
    # a database that nobody may write to has no log of its own; a copy may have one
    command = ("rpm", "--dbpath", str(database), "--query", "--all", "--queryformat", _FORM)
    rows = [line.split("\t") for line in runner(Command(command)).check().stdout.splitlines()]
    return sorted(
        OsPackage(name, evr if epoch == "0" else f"{epoch}:{evr}", arch)
        for name, epoch, evr, arch in (row for row in rows if len(row) == _FIELDS)
        if name != "gpg-pubkey"
    )


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json_value(path.read_bytes())
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: one for key, one in entries if isinstance(one, dict) and one.keys() == _REMEMBERED}
