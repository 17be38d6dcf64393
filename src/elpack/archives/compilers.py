"""Guesses which compilers and build programs an sdist's build runs, each with what in the sdist says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.archives.guess import IGNORE_SETUP_PY, required_names
from elpack.model import BuildTool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.archives.sdist import Tree

_CMAKE_BACKENDS = ("py-build-cmake", "scikit-build", "scikit-build-core")
_CPLUSPLUS_REQUIREMENTS = ("nanobind", "pybind11")
_HOOKS = ("hatch_build.py", "build.py", "setup.py")
_CPLUSPLUS = (".cc", ".cpp", ".cxx", ".c++")
# A program's name in quotes, as somebody writes it who runs it.
_RUNS_CMAKE = re.compile(r"^[^#\n]*[\"']cmake3?[\"']", re.MULTILINE)
_ASIDE = re.compile(r"(?:^|/)(?:tests?|docs?|examples?|samples?|bench(?:mark)?s?)(?:/|$)", re.IGNORECASE)


def build_tools(tree: Tree, requires: Iterable[str], backend: str, native: str) -> tuple[BuildTool, ...]:
    """Return what compiling the sdist needs of the target; nothing where `native` gives no reason to compile.

    It is a guess from build requirements, file names and what the build hook names, and can be too much: a compiler
    that nobody calls costs some seconds of a build root, a missing one the build.
    """
    if not native:
        return ()
    names = required_names(requires)
    tools = [BuildTool("c", native)]
    cmake, project = _cmake(tree, names, backend)
    if cmake:
        tools.append(BuildTool("cmake", cmake))
        tools.append(BuildTool("make", "cmake writes makefiles where nothing else is asked for."))
    if reason := _cplusplus(tree, names, backend, project):
        tools.append(BuildTool("c++", reason))
    return tuple(tools)


def _cmake(tree: Tree, names: set[str], backend: str) -> tuple[str, str | None]:
    """Return why cmake is run, and the folder of its project in the sdist; None where it is not known to be run."""
    lists = _topmost(path for path in tree.members if _is_project(tree, path))
    folder = lists[0].rpartition("/")[0] if lists else ""
    for name in _CMAKE_BACKENDS:
        if name in names:
            return f"{name} runs it (build requirement).", folder
    hook = next((hook for hook in _hooks(backend) if _RUNS_CMAKE.search(tree.text(hook))), "")
    # A hook may look for sources that only a checkout has, and go on without.
    if hook and lists:
        return f"The build hook runs it ({hook}) for {lists[0]}.", folder
    return "", None


def _cplusplus(tree: Tree, names: set[str], backend: str, project: str | None) -> str:
    for name in _CPLUSPLUS_REQUIREMENTS:
        if name in names:
            return f"{name} binds C++ (build requirement)."
    if project is not None:
        below = f"{project}/" if project else ""
    elif "meson-python" in names or not backend.startswith(IGNORE_SETUP_PY):
        below = ""
    else:
        return ""
    found = (path for path in tree.members if path.endswith(_CPLUSPLUS) and path.startswith(below))
    sources = _topmost(path for path in found if tree.is_file(path) and not _ASIDE.search(path))
    return f"It is compiled from C++ sources such as {sources[0]}." if sources else ""


def _topmost(paths: Iterable[str]) -> list[str]:
    return sorted(paths, key=lambda path: (path.count("/"), path))


def _is_project(tree: Tree, path: str) -> bool:
    return path.rpartition("/")[2] == "CMakeLists.txt" and tree.is_file(path) and not _ASIDE.search(path)


def _hooks(backend: str) -> tuple[str, ...]:
    return _HOOKS[:-1] if backend.startswith(IGNORE_SETUP_PY) else _HOOKS
