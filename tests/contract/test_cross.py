"""The cross builder with the real compiler, CMake and rpmbuild, on the stand-in; what it makes runs under emulation."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.cross import CrossBuilder
from elpack.builders.emulation import MACHINE, emulation
from elpack.cross import pretence
from elpack.cross.toolchain import toolchain
from elpack.errors import BuildError, ForeignArchError
from elpack.steps.cross_toolchain import cross_repositories
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.arm64]

STANDIN = Path(__file__).parents[2] / ".elpack" / "standin"
CHOICE = TargetChoice("el9-standin", "3.11", ("x86_64", "aarch64"))

# A C extension module whose name and headers Python tells, and a C++ program that CMake compiles.
SPEC = """\
%global python3_pkgversion 3.11
Name: trial
Version: 1.0
Release: 1%{?dist}
Summary: A trial of the cross builder
License: MIT
Source0: trial.c
Source1: trial.cc
Source2: CMakeLists.txt
BuildRequires: cmake
BuildRequires: gcc
BuildRequires: gcc-c++
BuildRequires: python3.11-devel
%description
Trial.
%prep
%setup -q -c -T
cp %{sources} .
%build
%set_build_flags
include=$(python3.11 -Ic "import sysconfig; print(sysconfig.get_path('include'))")
$CC $CFLAGS $LDFLAGS -fPIC -shared -I$include trial.c -o trial%{python3_ext_suffix} -lm
cmake -S . -B build && cmake --build build --verbose
@BUILD@
%install
install -D trial%{python3_ext_suffix} %{buildroot}%{python3_sitearch}/trial%{python3_ext_suffix}
install -D build/trial %{buildroot}%{_bindir}/trial
%check
%{py3_check_import trial}
%files
%{python3_sitearch}/trial*
%{_bindir}/trial
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""
MODULE = """\
#include <Python.h>
#include <math.h>
static PyObject *machine(PyObject *self, PyObject *value) {
#ifdef __aarch64__
    return PyUnicode_FromFormat("aarch64 %d", (int)cbrt(PyFloat_AsDouble(value)));
#else
    return PyUnicode_FromString("another");
#endif
}
static PyMethodDef methods[] = {{"machine", machine, METH_O, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trial", "", -1, methods};
PyMODINIT_FUNC PyInit_trial(void) { return PyModule_Create(&module); }
"""
PROGRAM = """\
#include <iostream>
#include <stdexcept>
#include <vector>
int main() {
    try { std::vector<int>().at(1); } catch (const std::out_of_range &) { std::cout << "caught" << std::endl; }
}
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.20)
project(trial CXX)
message(STATUS "crossing ${CMAKE_CROSSCOMPILING} to ${CMAKE_SYSTEM_PROCESSOR}")
add_executable(trial trial.cc)
"""


@pytest.fixture(scope="module")
def builder(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> CrossBuilder:
    if MACHINE != "x86_64":
        pytest.skip("the stand-in's cross compiler runs on x86_64")
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c")
    target, home = resolve_target(CHOICE, "aarch64"), resolve_target(CHOICE, "x86_64")
    chain = toolchain(target.name, target.arch, home.arch)
    return CrossBuilder(
        target,
        home,
        (Repository("standin", str(build_standin(target, STANDIN))),),
        (Repository("standin", str(build_standin(home, STANDIN))),),
        cross_repositories(chain, home, STANDIN),
        chain,
        tmp_path_factory.mktemp("cross"),
    )


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., BuildJob]:
    def make(build: str = "") -> BuildJob:
        folder = tmp_path / "job"
        folder.mkdir()
        texts = {"trial.spec": SPEC.replace("@BUILD@", build), "trial.c": MODULE, "trial.cc": PROGRAM}
        for name, text in {**texts, "CMakeLists.txt": CMAKE}.items():
            (folder / name).write_text(text)
        sources = tuple(folder / name for name in ("trial.c", "trial.cc", "CMakeLists.txt"))
        requires = ("cmake", "gcc", "gcc-c++", "python3.11-devel")
        return BuildJob("trial", folder / "trial.spec", sources, requires, tmp_path / "logs" / "trial.log")

    return make


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.rpm"))}


def test_a_module_and_a_program_of_the_other_architecture(
    builder: CrossBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = make_job()
    (built,) = builder.build((job,), tmp_path / "first")
    names = [path.name for path in built.rpms]
    assert names == [f"trial{part}-1.0-1.el9s.aarch64.rpm" for part in ("", "-debuginfo", "-debugsource")]
    main, debug, _ = read_headers(built.rpms)
    assert "/usr/lib64/python3.11/site-packages/trial.cpython-311-aarch64-linux-gnu.so" in main.files
    assert {"libstdc++.so.6()(64bit)", "libm.so.6(GLIBC_2.17)(64bit)"} <= set(main.requires)
    assert "trial(aarch-64) = 1.0-1.el9s" in main.provides
    assert any(path.endswith(".cpython-311-aarch64-linux-gnu.so-1.0-1.el9s.aarch64.debug") for path in debug.files)
    log = job.log.read_text()
    assert "crossing TRUE to aarch64" in log
    assert "-mbranch-protection=standard" in log
    assert "-m64" not in log
    assert f"{pretence.NOT_RUN} trial" in log
    builder.build((job,), tmp_path / "second")
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    if emulation("aarch64").works:
        assert _said_in_a_root(builder, built.rpms[0], tmp_path) == ["aarch64 3", "caught"]
    assert list((builder.work / "live").iterdir()) == []
    assert list((builder.work / "sysroots" / "live").iterdir()) == []


def _said_in_a_root(builder: CrossBuilder, rpm: Path, tmp_path: Path) -> list[str]:
    """Install the package into a root of the other architecture, and return what it says there."""
    root = tmp_path / "root"
    dnf = Dnf(builder.repositories, "aarch64", "9", tmp_path / "dnf")
    dnf.install(root, ("coreutils", "python3.11", str(rpm)), tmp_path / "dnf.log")
    code = "import trial; print(trial.machine(27.0))"
    said = []
    for words in (("python3.11", "-c", code), ("trial",)):
        done = subprocess.run(("chroot", str(root), *words), check=True, capture_output=True, text=True)
        said.append(done.stdout.strip())
    return said


@pytest.mark.parametrize(
    ("build", "why"),
    [
        ("./build/trial", "it ran, or tried to run, what it had compiled for the other architecture"),
        # by its path, as no wrapper can help it
        ("/usr/bin/g++ -g trial.cc -o build/trial", "it took this machine's own compiler"),
        ("cp /usr/bin/true build/trial", "did not take the compiler that it was given"),
    ],
)
def test_what_cannot_be_cross_compiled_is_told(
    builder: CrossBuilder, make_job: Callable[..., BuildJob], tmp_path: Path, build: str, why: str
) -> None:
    with pytest.raises(ForeignArchError) as refusal:
        builder.build((make_job(build),), tmp_path / "out")
    assert why in str(refusal.value)
    assert 'way = "emulated"' in str(refusal.value)
    assert not list(tmp_path.glob("out/*/*.rpm"))


def test_a_missing_requirement_is_told_with_the_sysroot_s_name(
    builder: CrossBuilder, make_job: Callable[..., BuildJob], tmp_path: Path
) -> None:
    job = replace(make_job(), requires=("python3.11-devel", "nowhere-devel"))
    with pytest.raises(BuildError, match="the sysroot of trial: no repository provides nowhere-devel"):
        builder.build((job,), tmp_path / "out")
