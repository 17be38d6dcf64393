"""Reads one sdist (PEP 517, 621, 625, 643) as facts for the plan, without running any of it."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement
from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from elpack import strict
from elpack.archives.compilers import build_tools
from elpack.archives.guess import modules, native, plain
from elpack.archives.members import LIMITS, Gate, Kind, Limits, Member, Refusals, name_fault
from elpack.archives.metadata import parse_entry_points, parse_metadata, same_dist, scripts
from elpack.archives.streams import read_capped, walk
from elpack.licence_texts import LONGEST, is_licence_file, recognise
from elpack.model import CoreMetadata, EntryPoint, SdistFacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.model import Sha256

# PEP 517: what a project without these keys asks for.
_DEFAULT_REQUIRES = ("setuptools>=40.8.0",)
_DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
_LICENCES = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
_READ = re.compile(
    r"PKG-INFO|pyproject\.toml|setup\.py|hatch_build\.py|build\.py"
    r"|(?:[^/]+/)?[^/]+\.egg-info/(?:top_level|entry_points)\.txt"
)


@dataclass(slots=True)
class Tree:
    """An sdist's members and the few files that tell about it, by their path below its folder."""

    folder: str
    members: dict[str, Member] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a file's text, "" when it is missing; wrong bytes are replaced."""
        return self.texts.get(name, b"").decode(errors="replace")

    def is_file(self, name: str) -> bool:
        """Say whether a regular file of that path is there."""
        member = self.members.get(name)
        return member is not None and member.kind is Kind.FILE


def read_sdist(path: Path, sha256: Sha256, *, limits: Limits = LIMITS) -> SdistFacts:
    """Read an sdist (tar.gz or zip) without unpacking it.

    `sha256` is what `fetch` has verified; it is passed on, not checked again. `native` and `modules` are read from
    configuration and file names and are as good as these: a hook may do what it likes. Raises `ArchiveError` with
    all that is wrong.
    """
    refusals = Refusals(path.name)
    tree = _read_tree(path, refusals, limits)
    metadata = replace(_metadata(tree, path.name, refusals), licences_read=_licences_read(tree))
    project = _pyproject(tree, refusals)
    build = _build_system(project, refusals)
    compiled = native(tree, project, build.requires, build.backend)
    imported = modules(tree, project, metadata.name)
    facts = SdistFacts(
        filename=path.name,
        sha256=sha256,
        folder=tree.folder,
        metadata=metadata,
        build_requires=build.requires,
        backend=build.backend,
        backend_path=build.path,
        scripts=_scripts(tree, project, refusals),
        native=compiled,
        modules=imported,
        licence_files=_licence_files(tree, metadata),
        readme_files=_root_files(tree, ("README*",)),
        has_uv_lock=tree.is_file("uv.lock"),
        tools=build_tools(tree, build.requires, build.backend, compiled),
        plain=plain(project, build.backend, imported),
    )
    refusals.check()
    return facts


def _read_tree(path: Path, refusals: Refusals, limits: Limits) -> Tree:
    gate = Gate(refusals, path.stat().st_size, limits)
    texts = {}
    for member, opener in walk(path, gate):
        if member.kind is Kind.FILE and _is_read(member.name.partition("/")[2], member.size):
            texts[member.name] = read_capped(opener, refusals, member, limits)
    members = gate.finish()
    folders = sorted({name.partition("/")[0] for name in members})
    if len(folders) != 1 or (folders[0] in members and members[folders[0]].kind is not Kind.FOLDER):
        raise refusals.stop(f"holds {len(folders)} entries at its top, not one folder")
    cut = len(folders[0]) + 1
    return Tree(
        folders[0],
        {name[cut:]: member for name, member in members.items() if name[cut:]},
        {name[cut:]: text for name, text in texts.items()},
    )


def _is_read(name: str, size: int) -> bool:
    return bool(_READ.fullmatch(name)) or (size <= LONGEST and is_licence_file(name))


def _metadata(tree: Tree, filename: str, refusals: Refusals) -> CoreMetadata:
    try:
        name, version = parse_sdist_filename(filename)
    except InvalidSdistFilename as error:
        raise refusals.stop(f"is no file name of an sdist: {error}") from error
    if "PKG-INFO" not in tree.texts:
        raise refusals.stop("lacks PKG-INFO", tree.folder, "it is no sdist, but maybe a forge's source archive")
    metadata = parse_metadata(tree.texts["PKG-INFO"], "PKG-INFO", refusals)
    if metadata.name and not same_dist(metadata.name, metadata.version, name, version):
        found = ascii(f"{metadata.name} {metadata.version}")
        refusals.add(f"is about {found}, not what the file name says", "PKG-INFO")
    return metadata


def _pyproject(tree: Tree, refusals: Refusals) -> dict[str, Any]:
    try:
        return strict.toml(tree.texts.get("pyproject.toml", b""))
    except ValueError as error:
        refusals.add(f"is {error}", "pyproject.toml")
        return {}


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """How a project is built, by PEP 517 and 518: requirements, the backend object, and where that lives."""

    requires: tuple[str, ...] = _DEFAULT_REQUIRES
    backend: str = _DEFAULT_BACKEND
    path: tuple[str, ...] = ()


def _build_system(project: Mapping[str, Any], refusals: Refusals) -> BuildSystem:
    table = project.get("build-system", {})
    if not isinstance(table, dict):
        refusals.add("has a build-system that is no table", "pyproject.toml")
        return BuildSystem()
    requires = _texts(table, "requires", _DEFAULT_REQUIRES, refusals)
    backend = table.get("build-backend", _DEFAULT_BACKEND)
    if not isinstance(backend, str) or not re.fullmatch(r"\w+(\.\w+)*(:\w+(\.\w+)*)?", backend, re.ASCII):
        refusals.add(f"has the build-backend {backend!a}, which is no Python object", "pyproject.toml")
        backend = _DEFAULT_BACKEND
    for text in requires:
        try:
            direct = strict.requirement(text).url is not None
        except InvalidRequirement:
            refusals.add(f"requires {text!a} to build, which is no requirement", "pyproject.toml")
            continue
        if direct:
            refusals.add(f"requires {text!a} to build, which is outside of any index", "pyproject.toml")
    folders = _texts(table, "backend-path", (), refusals)
    for folder in folders:
        # PEP 517: the backend's folders are inside the source
        if folder != "." and (reason := name_fault(folder.removesuffix("/"))):
            refusals.add(f"has the backend-path {folder!a}, which {reason}", "pyproject.toml")
    return BuildSystem(requires, backend, folders)


def build_system(project: Mapping[str, Any], where: str) -> BuildSystem:
    """Return what a pyproject.toml says of a project's build. Raises `ArchiveError` with all that is wrong there."""
    refusals = Refusals(where)
    found = _build_system(project, refusals)
    refusals.check()
    return found


def _texts(table: Mapping[str, Any], key: str, default: tuple[str, ...], refusals: Refusals) -> tuple[str, ...]:
    value = table.get(key, default)
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return tuple(value)
    refusals.add(f"has a build-system.{key} that is no list of strings", "pyproject.toml")
    return default


def _scripts(tree: Tree, project: Mapping[str, Any], refusals: Refusals) -> tuple[EntryPoint, ...]:
    tool = project.get("tool")
    tool = tool if isinstance(tool, dict) else {}
    for section in (project.get("project"), tool.get("poetry"), tool.get("flit")):
        table = section.get("scripts") if isinstance(section, dict) else None
        if isinstance(table, dict):
            # Poetry also knows tables here, for files that are installed as they are.
            items = {name: value for name, value in table.items() if isinstance(value, str)}
            return scripts(items, "pyproject.toml", refusals)
    for name in sorted(tree.texts):
        if name.endswith("/entry_points.txt"):
            return parse_entry_points(tree.text(name), name, refusals).get("console_scripts", ())
    return ()


def _licences_read(tree: Tree) -> tuple[str, ...]:
    """Return what each licence file is, by the order of their paths; one that is too large is an unknown text."""
    names = (name for name in sorted(tree.members) if tree.is_file(name) and is_licence_file(name))
    return tuple(recognise(tree.text(name)) for name in names)


def _licence_files(tree: Tree, metadata: CoreMetadata) -> tuple[str, ...]:
    declared = tuple(sorted({name for name in metadata.licence_files if tree.is_file(name)}))
    return declared or _root_files(tree, _LICENCES)


def _root_files(tree: Tree, patterns: tuple[str, ...]) -> tuple[str, ...]:
    names = (name for name in tree.members if "/" not in name and tree.is_file(name))
    return tuple(sorted(n for n in names if any(fnmatch.fnmatchcase(n.upper(), p) for p in patterns)))
