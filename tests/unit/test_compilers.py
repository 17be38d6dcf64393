"""Which compilers an sdist is guessed to need, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.test_archives_sdist import DIGEST, make_sdist

from elpack.archives import read_sdist
from elpack.model import BuildTool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HATCH = '[build-system]\nrequires = ["hatchling", "cffi"]\nbuild-backend = "hatchling.build"\n'
HOOK = HATCH + "[tool.hatch.build.hooks.custom]\n"
SETUP = "setup(ext_modules=[Extension('x', [])])"
CFFI = BuildTool("c", "It compiles CFFI modules (build requirement cffi).")
EXTENSION = BuildTool("c", "setup.py compiles extension modules (ext_modules).")
MAKE = BuildTool("make", "cmake writes makefiles where nothing else is asked for.")


def backend(name: str) -> str:
    return f'[build-system]\nrequires = ["{name}"]\nbuild-backend = "{name.replace("-", "_")}"\n'


def cplusplus(path: str) -> BuildTool:
    return BuildTool("c++", f"It is compiled from C++ sources such as {path}.")


def tools(tmp_path: Path, files: Mapping[str, str]) -> list[BuildTool]:
    return list(read_sdist(make_sdist(tmp_path, {name: text.encode() for name, text in files.items()}), DIGEST).tools)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": HATCH, "demo.py": "", "CMakeLists.txt": ""}, []),
        ({"pyproject.toml": HATCH, "demo.py": "", "stray.cpp": ""}, [CFFI]),
        ({"pyproject.toml": HOOK}, [CFFI]),
        ({"pyproject.toml": HOOK, "aside.cpp": ""}, [CFFI]),
        ({"pyproject.toml": HOOK, "hatch_build.py": "which('cmake')"}, [CFFI]),
        ({"pyproject.toml": HOOK, "hatch_build.py": "run('make')", "deps/CMakeLists.txt": ""}, [CFFI]),
        ({"pyproject.toml": HOOK, "hatch_build.py": "# 'cmake' no more", "deps/CMakeLists.txt": ""}, [CFFI]),
        ({"pyproject.toml": HOOK, "hatch_build.py": "which('cmake')", "tests/CMakeLists.txt": ""}, [CFFI]),
        (
            {
                "pyproject.toml": HOOK,
                "hatch_build.py": 'which("cmake")',
                "deps/fb/CMakeLists.txt": "",
                "deps/fb/sub/CMakeLists.txt": "",
                "deps/fb/sub/a.cpp": "",
                "deps/fb/z.cc": "",
                "a.cpp": "",
            },
            [
                CFFI,
                BuildTool("cmake", "The build hook runs it (hatch_build.py) for deps/fb/CMakeLists.txt."),
                MAKE,
                cplusplus("deps/fb/z.cc"),
            ],
        ),
        (
            {"pyproject.toml": HOOK, "hatch_build.py": "run(['cmake'])", "CMakeLists.txt": "", "a.c": ""},
            [CFFI, BuildTool("cmake", "The build hook runs it (hatch_build.py) for CMakeLists.txt."), MAKE],
        ),
        ({"pyproject.toml": HOOK, "setup.py": "'cmake'", "CMakeLists.txt": ""}, [CFFI]),
        ({"setup.py": SETUP, "x.c": ""}, [EXTENSION]),
        ({"setup.py": SETUP, "src/x.cpp": "", "tests/y.cpp": ""}, [EXTENSION, cplusplus("src/x.cpp")]),
        ({"setup.py": SETUP, "tests/y.cpp": "", "docs/z.cc": "", "folder.cpp/a": ""}, [EXTENSION]),
        (
            {"pyproject.toml": backend("scikit-build-core"), "src/a.cxx": ""},
            [
                BuildTool("c", "cmake compiles it (build requirement scikit-build-core)."),
                BuildTool("cmake", "scikit-build-core runs it (build requirement)."),
                MAKE,
                cplusplus("src/a.cxx"),
            ],
        ),
        (
            {"pyproject.toml": backend("pybind11")},
            [
                BuildTool("c", "it binds C++ with pybind11 (build requirement pybind11)."),
                BuildTool("c++", "pybind11 binds C++ (build requirement)."),
            ],
        ),
    ],
)
def test_tools(tmp_path: Path, files: dict[str, str], expected: list[BuildTool]) -> None:
    assert tools(tmp_path, files) == expected
