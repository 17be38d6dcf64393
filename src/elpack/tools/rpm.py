"""The rpm database tools: what a package says of itself, several packages by one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.run import Command, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elpack.run import Runner

_MARK = "\x1f"
_GHOST = 1 << 6


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """What one RPM offers, asks for and holds; requirements as rpm spells them, ``rpmlib(...)`` left out."""

    name: str
    path: Path
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]
    folders: tuple[str, ...]


def read_headers(paths: Sequence[Path], runner: Runner = run) -> list[RpmHeader]:
    """Return the headers of RPM files, in order. Raises `CommandError` when rpm cannot read one of them."""
    if not paths:
        return []
    form = (
        f"{_MARK}N %{{NAME}}\\n"
        "[P %{PROVIDENEVRS}\\n]"
        "[R %{REQUIRENEVRS}\\n]"
        "[F %{FILEFLAGS} %{FILEMODES:perms} %{FILENAMES}\\n]"
    )
    command = Command(("rpm", "--query", "--package", "--nosignature", "--queryformat", form, *map(str, paths)))
    text = runner(command).check().stdout
    blocks = text.split(_MARK)[1:]
    return [_header(path, block.splitlines()) for path, block in zip(paths, blocks, strict=True)]


def build_times(paths: Sequence[Path], runner: Runner = run) -> list[int]:
    """Return when RPM files were built, in seconds since 1970 and in order. Raises `CommandError` as above."""
    if not paths:
        return []
    form = "%{BUILDTIME}\\n"
    command = Command(("rpm", "--query", "--package", "--nosignature", "--queryformat", form, *map(str, paths)))
    return [int(line) for line in runner(command).check().stdout.split()]


def identities(paths: Sequence[Path], runner: Runner = run) -> list[str]:
    """Return what tells RPM files apart, whoever signed them: the digests of their headers, in order.

    A header holds the digest of the payload. Raises `CommandError` as above.
    """
    if not paths:
        return []
    form = "%{SHA256HEADER}\\n"
    command = Command(("rpm", "--query", "--package", "--nosignature", "--queryformat", form, *map(str, paths)))
    return runner(command).check().stdout.split()


def file_names(paths: Sequence[Path], runner: Runner = run) -> list[str]:
    """Return what RPM files are to be called by what they hold, in order. Raises `CommandError` as above."""
    if not paths:
        return []
    form = "%{NAME}-%{VERSION}-%{RELEASE}.%|SOURCERPM?{%{ARCH}}:{src}|.rpm\\n"
    command = Command(("rpm", "--query", "--package", "--nosignature", "--queryformat", form, *map(str, paths)))
    return runner(command).check().stdout.splitlines()


def write_payload(rpm: Path, into: Path, runner: Runner = run) -> None:
    """Write the payload of an RPM file into a file, as a cpio archive. Raises `CommandError` when it has none."""
    # rpm2cpio writes binary, which is for a file and not for a log
    runner(Command(("sh", "-c", 'rpm2cpio "$1" >"$2"', "sh", str(rpm), str(into)))).check()


def _header(path: Path, lines: list[str]) -> RpmHeader:
    name, *rest = lines
    files: list[str] = []
    folders: list[str] = []
    for line in rest:
        if line.startswith("F "):
            _, flags, perms, file = line.split(" ", 3)
            if int(flags) & _GHOST:
                continue  # in the package's name only
            (folders if perms.startswith("d") else files).append(file)
    return RpmHeader(
        name=name.removeprefix("N "),
        path=path,
        provides=tuple(line[2:] for line in rest if line.startswith("P ")),
        requires=tuple(line[2:] for line in rest if line.startswith("R ") and not line.startswith("R rpmlib(")),
        files=tuple(files),
        folders=tuple(folders),
    )
