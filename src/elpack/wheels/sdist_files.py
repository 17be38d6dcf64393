"""Which tracked files an sdist lacks, which it holds that nobody tracks, and why that is so or a mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from elpack.licence_texts import is_licence_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MADE = re.compile(r"PKG-INFO|setup\.cfg|(?:.*/)?[^/]+\.egg-info(?:/.*)?")
"""What backends write into an sdist."""
_TESTS = re.compile(r"(?:.*/)?tests?/.*|(?:.*/)?(?:test_[^/]*|[^/]*_test|conftest)\.py")
_ROOT = re.compile(r"README[^/]*|pyproject\.toml|setup\.py|MANIFEST\.in|hatch_build\.py", re.IGNORECASE)


class Lack(StrEnum):
    """What a difference is."""

    NEEDED = "tracked files that it needs are missing"
    EXCLUDED = "tracked files are left out on purpose"
    MISSING = "tracked files are missing"
    UNTRACKED = "it holds files that are not tracked"
    SUBMODULE = "a submodule's files are missing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between an sdist and its repository. `paths` are sorted, below the checkout's folder."""

    lack: Lack
    paths: tuple[str, ...]
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What git knows of a checkout's folder, by paths below it.

    submodules: paths of others' repositories inside. ignored: tracked, and yet in .gitignore, which backends that ask
    git leave out. excluded: by the backend's configuration; exported: not, by .gitattributes (export-ignore).
    packages: folders that the wheel is made of; tests: folders and files that pytest is told to look for tests in.
    """

    files: frozenset[str]
    submodules: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    unexported: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    shipped: frozenset[str] = field(default=frozenset())
    """Files that the configuration writes into the sdist whatever git says of them."""


def compare_files(tracked: Tracked, members: Iterable[str]) -> tuple[Difference, ...]:
    """Return how an sdist's files, by their path below its folder, differ from what its repository tracks."""
    held = frozenset(members)
    missing = tracked.files - held
    explained = missing & (tracked.excluded | tracked.unexported)
    needed = {path for path in missing if _is_needed(path, tracked, explained)}
    return tuple(one for one in _differences(tracked, held, missing, needed, explained) if one.paths)


def _differences(
    tracked: Tracked, held: frozenset[str], missing: frozenset[str], needed: set[str], explained: frozenset[str]
) -> Iterator[Difference]:
    hidden = needed & tracked.ignored
    yield Difference(
        Lack.NEEDED,
        tuple(sorted(hidden)),
        ".gitignore matches them: git tracks them still, the build backend leaves them out",
        "narrow the pattern in .gitignore, or name them under artifacts of the backend's sdist configuration",
    )
    out = needed & (tracked.excluded | tracked.unexported) - hidden
    yield Difference(
        Lack.NEEDED,
        tuple(sorted(out)),
        "the backend's configuration or .gitattributes leaves them out, and they are sources, licences or tests "
        "that pyproject.toml names",
        "take them out of exclude, or into include",
    )
    yield Difference(
        Lack.NEEDED,
        tuple(sorted(needed - hidden - out)),
        "nothing in its configuration leaves them out: the sdist was made of another state, or the backend lost them",
        "make it of a clean checkout of that version",
    )
    why = "by the backend's configuration, or export-ignore in .gitattributes"
    yield Difference(Lack.EXCLUDED, tuple(sorted(explained - needed)), why)
    rest = missing - needed - explained
    yield Difference(Lack.MISSING, tuple(sorted(rest & tracked.ignored)), ".gitignore matches them")
    yield Difference(Lack.MISSING, tuple(sorted(rest - tracked.ignored)), "nothing in its configuration says so")
    empty = {path for path in tracked.submodules if not any(file.startswith(f"{path}/") for file in held)}
    fix = "if it compiles what is in there: git submodule update --init, then make it anew"
    yield Difference(Lack.SUBMODULE, tuple(sorted(empty)), "the submodule was not checked out", fix)
    extra = {path for path in held - tracked.files - tracked.shipped if not _is_explained(path, tracked)}
    fix = "make it of a clean checkout; add what belongs to it to git"
    yield Difference(Lack.UNTRACKED, tuple(sorted(extra)), "they lay there when it was made", fix)


def _is_needed(path: str, tracked: Tracked, explained: frozenset[str]) -> bool:
    """Tell whether an sdist without that file cannot be built, tested or passed on as the project intends."""
    if is_licence_file(path) or (_ROOT.fullmatch(path) and path not in explained):
        return True
    in_package = any(path.startswith(f"{folder}/") for folder in tracked.packages)
    if path.endswith((".py", ".pyi", "/py.typed")) and in_package and not _TESTS.fullmatch(path):
        return True
    return any(path == place or path.startswith(f"{place}/") for place in tracked.tests)


def _is_explained(path: str, tracked: Tracked) -> bool:
    return bool(_MADE.fullmatch(path)) or any(path.startswith(f"{place}/") for place in tracked.submodules)
