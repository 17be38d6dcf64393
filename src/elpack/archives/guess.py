"""Guesses from an sdist's configuration and file names: will it hold machine code, and what is it imported by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from elpack import strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from elpack.archives.sdist import Tree

_COMPILING_REQUIREMENTS = {
    "cython": "Cython compiles it",
    "hatch-cython": "Cython compiles it",
    "hatch-mypyc": "mypyc compiles it",
    "maturin": "maturin compiles Rust",
    "meson-python": "meson compiles it",
    "nanobind": "it binds C++ with nanobind",
    "pybind11": "it binds C++ with pybind11",
    "py-build-cmake": "cmake compiles it",
    "scikit-build": "cmake compiles it",
    "scikit-build-core": "cmake compiles it",
    "setuptools-rust": "setuptools-rust compiles Rust",
}
# Backends that never look at a setup.py, which then is a leftover.
IGNORE_SETUP_PY = ("hatchling", "flit_core", "flit", "uv_build", "poetry.core", "poetry_core", "pdm.backend")
# What their wheels hold is written down, but for the tables that `plain` looks into.
_PLAIN_BACKENDS = ("flit_core.", "hatchling.", "pdm.backend.", "poetry.core.", "uv_build.")
_EXTENSIONS = re.compile(r"^[^#\n]*?\b(ext_modules|cffi_modules|rust_extensions|Extension(?=\())", re.MULTILINE)
# A hatch hook that compiles must say so, or the wheel is tagged as pure.
_TAGGED_HOOK = re.compile(r"^[^#\n]*[\"'](pure_python|infer_tag)[\"']", re.MULTILINE)
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".rs")
_MODULE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def native(tree: Tree, project: Mapping[str, Any], requires: Iterable[str], backend: str) -> str:
    """Return in one sentence why building this will yield machine code, or "" when nothing says so."""
    names = required_names(requires)
    return next(_reasons(tree, _table(project, "tool"), names, backend), "")


def _reasons(tree: Tree, tool: Mapping[str, Any], requires: set[str], backend: str) -> Iterator[str]:
    for name in sorted(requires & _COMPILING_REQUIREMENTS.keys()):
        yield f"{_COMPILING_REQUIREMENTS[name]} (build requirement {name})."
    build = _table(tool, "hatch", "build")
    hooked = any("custom" in _table(table, "hooks") for table in (build, _table(build, "targets", "wheel")))
    if "cffi" in requires and (hooked or any(name.endswith(_SOURCES) for name in tree.members)):
        yield "It compiles CFFI modules (build requirement cffi)."
    if hooked and _TAGGED_HOOK.search(tree.text("hatch_build.py")):
        yield "A hatch build hook tags the wheel as not pure (hatch_build.py)."
    if _table(tool, "setuptools").get("ext-modules"):
        yield "setuptools compiles extension modules (pyproject.toml)."
    if _table(tool, "poetry").get("build") or _table(tool, "pdm", "build").get("run-setuptools"):
        yield "A build script compiles extension modules (pyproject.toml)."
    if backend.startswith(IGNORE_SETUP_PY):
        return
    if match := _EXTENSIONS.search(tree.text("setup.py")):
        yield f"setup.py compiles extension modules ({match[1]})."
    # A backend of the project's own asks for Cython only when it runs.
    if any(name.endswith(".pyx") for name in tree.members):
        yield "It holds Cython sources."


def required_names(requires: Iterable[str]) -> set[str]:
    """Return the normalised names that PEP 508 requirements are about; what is none is left out."""
    return {name for text in requires if (name := _required(text))}


def modules(tree: Tree, project: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the top-level names of the installed dist, sorted; empty when nothing tells."""
    tool = _table(project, "tool")
    for found in (
        _from_hatch(tool),
        _from_flit(tool),
        _from_maturin(tool),
        _from_top_level(tree),
        _named_like(tree, "src/", name),
        _packages(tree, "src/"),
        _named_like(tree, "", name),
    ):
        if kept := sorted({module for module in found if _MODULE.fullmatch(module)}):
            return tuple(kept)
    return ()


def plain(project: Mapping[str, Any], backend: str, modules: Iterable[str]) -> bool:
    """Tell whether the wheel will hold modules, declared scripts and metadata and nothing else."""
    if not f"{backend}.".startswith(_PLAIN_BACKENDS):
        return False
    tool, folders = _table(project, "tool"), tuple(f"{module}/" for module in modules)
    build = _table(tool, "hatch", "build")
    for table in (build, _table(build, "targets", "wheel")):
        placed = table.get("force-include", {})
        inside = isinstance(placed, dict) and all(str(place).startswith(folders) for place in placed.values())
        if not inside or table.get("shared-data") or table.get("shared-scripts") or table.get("extra-metadata"):
            return False
    others = (
        _table(tool, "flit").get("external-data"),
        _table(tool, "pdm", "build").get("wheel-data"),
        _table(tool, "poetry").get("include"),
        _table(tool, "uv", "build-backend").get("data"),
    )
    return not any(others)


def _from_hatch(tool: Mapping[str, Any]) -> list[str]:
    build = _table(tool, "hatch", "build")
    for table in (_table(build, "targets", "wheel"), build):
        for key in ("packages", "only-include"):
            paths = table.get(key)
            if isinstance(paths, list):
                # "src/foo" and "src/foo.py" are both shipped by their last part.
                return [str(path).rstrip("/").rpartition("/")[2].removesuffix(".py") for path in paths]
    return []


def _from_flit(tool: Mapping[str, Any]) -> list[str]:
    name = _table(tool, "flit", "module").get("name")
    return [name.partition(".")[0]] if isinstance(name, str) else []


def _from_maturin(tool: Mapping[str, Any]) -> list[str]:
    # Without this key the name is that of the Rust library, which may differ from the dist's (rpds-py is rpds).
    module = _table(tool, "maturin").get("module-name")
    return [module.partition(".")[0]] if isinstance(module, str) else []


def _from_top_level(tree: Tree) -> list[str]:
    names = [
        line.strip() for name in tree.texts if name.endswith("/top_level.txt") for line in tree.text(name).splitlines()
    ]
    if "ext_package" not in tree.text("setup.py"):
        return names
    # setuptools lists an extension by its own name, although ext_package has it built inside of a package
    there = {*_packages(tree, ""), *_packages(tree, "src/")}
    return [name for name in names if name in there] or names


def _packages(tree: Tree, prefix: str) -> list[str]:
    found = []
    for path in tree.members:
        inside = path.removeprefix(prefix)
        if not path.startswith(prefix) or not tree.is_file(path):
            continue
        if inside.endswith(".py") and "/" not in inside:
            found.append(inside.removesuffix(".py"))
        elif inside.endswith("/__init__.py") and inside.count("/") == 1:
            found.append(inside.partition("/")[0])
    return found


def _named_like(tree: Tree, prefix: str, name: str) -> list[str]:
    wanted = canonicalize_name(name)
    return [found for found in _packages(tree, prefix) if canonicalize_name(found) == wanted]


def _required(text: str) -> str:
    try:
        return canonicalize_name(strict.requirement(text).name)
    except InvalidRequirement:
        return ""


def _table(table: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = table.get(key)
        if not isinstance(value, dict):
            return {}
        table = value
    return table
