"""Flavour pypy on a small application with a CFFI extension: compiled for PyPy, unpacked, and run by it."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from elpack.errors import BuildLockError
from elpack.pipeline import carry_out
from elpack.run import run
from elpack.session import Options, Session, Unseen
from elpack.steps.alone import alone
from elpack.steps.buildlock import renew_build_lock
from elpack.steps.images.pypy import pypy_session, with_root
from elpack.steps.images.pypy_program import program, program_parts
from elpack.steps.images.pypy_root import build_root, image_members
from elpack.steps.images.tars import write_layer
from elpack.steps.images.uv_sandbox import uv_program
from elpack.steps.images.uv_tree import uv_layers
from elpack.steps.project import read_project
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.wheels, pytest.mark.root]

RELEASE = """\
[release]
name = "ping"
date = 2026-11-20
packager = "A <a@example.org>"
[application]
name = "ping"
[first-party]
ping = { path = "ping" }
[targets.el9-standin]
python = "3.11"
[images]
flavours = ["pypy"]
[[images.pypy.build-env]]
dist = "ping"
name = "CFLAGS"
value = "-DANSWER=42"
reason = "shows that a build sees it"
"""
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77", "cffi>=1.17"]
build-backend = "setuptools.build_meta"
[project]
name = "ping"
version = "1.0"
license = "MIT"
requires-python = ">=3.11"
dependencies = ["six; platform_python_implementation == 'PyPy'", "msgpack; platform_python_implementation == 'CPython'"]
[project.scripts]
ping = "ping:main"
"""
SETUP = 'from setuptools import setup\nsetup(py_modules=["ping"], cffi_modules=["compile_it.py:ffi"])\n'
COMPILE = """\
import cffi
ffi = cffi.FFI()
ffi.cdef("int answer(void);")
ffi.set_source("_ping", "int answer(void) { return ANSWER; }")
"""
CODE = """\
import platform
def main():
    import _ping, six
    print(platform.python_implementation(), _ping.lib.answer())
"""
LATER = "PyPyModule_FromDefAndSpec2"
MODULE = """\
#include <Python.h>
PyObject *PyPyModule_FromDefAndSpec2(PyModuleDef *def, PyObject *spec, int version);
static int fill(PyObject *module) { return PyModule_AddIntConstant(module, "filled", 7); }
static int keep(PyObject *module)
{
    int *state = PyModule_GetState(module);
    if (!state)
        return PyErr_SetString(PyExc_SystemError, "it has no state"), -1;
    state[15] += 9;
    return PyModule_AddIntConstant(module, "kept", state[15]);
}
static PyObject *nothing(PyObject *spec, PyModuleDef *def) { Py_RETURN_NONE; }
static PyObject *hello(PyObject *self, PyObject *none) { return PyUnicode_FromString("hello"); }
static PyMethodDef hellos[] = {{"hello", hello, METH_NOARGS, NULL}, {NULL}};
static PyModuleDef_Slot filled[] = {{Py_mod_exec, fill}, {0}}, other[] = {{Py_mod_create, nothing}, {0}};
static PyModuleDef_Slot both[] = {{Py_mod_create, nothing}, {Py_mod_exec, fill}, {0}}, strange[] = {{77, fill}, {0}};
static PyModuleDef_Slot kept[] = {{Py_mod_exec, keep}, {0}};
#define DEF(name, doc, size, methods, slots) {PyModuleDef_HEAD_INIT, name, doc, size, methods, slots}
static PyModuleDef defs[] = {
    DEF("inner", "its text", 0, hellos, filled), DEF("other", NULL, 0, NULL, other),
    DEF("small", NULL, -1, NULL, filled), DEF("both", NULL, 0, NULL, both),
    DEF("strange", NULL, 0, NULL, strange), DEF("state", NULL, 64, NULL, kept)};
static PyObject *make(PyObject *self, PyObject *args)
{
    int which;
    PyObject *spec, *made;
    if (!PyArg_ParseTuple(args, "iO", &which, &spec) || !(made = PyPyModule_FromDefAndSpec2(&defs[which], spec, 1013)))
        return NULL;
    if (PyModule_Check(made) && PyModule_ExecDef(made, &defs[which]))
        return NULL;
    return made;
}
static PyMethodDef makes[] = {{"make", make, METH_VARARGS, NULL}, {NULL}};
static PyModuleDef later = {PyModuleDef_HEAD_INIT, "later", NULL, -1, makes};
PyMODINIT_FUNC PyInit_later(void) { return PyModule_Create(&later); }
"""
TRY = """\
import gc, types, later
spec = types.SimpleNamespace(name="outer.inner")
inner = later.make(0, spec)
print(inner.__name__, inner.__doc__, inner.filled, inner.hello())
print(later.make(1, spec), later.make(5, spec).kept)
for which, where in ((2, spec), (3, spec), (4, spec), (0, None)):
    try:
        later.make(which, where)
    except (SystemError, AttributeError) as error:
        print(type(error).__name__, error)
gc.collect()
"""
SAID = """\
outer.inner its text 7 hello
None 9
SystemError module outer.inner: m_size may not be negative
SystemError module outer.inner is none, and asks for what modules alone have
SystemError module outer.inner: slot 77 is unknown or there twice
AttributeError 'NoneType' object has no attribute 'name'
"""
FILES = {
    "elpack.toml": RELEASE,
    "ping/pyproject.toml": PYPROJECT,
    "ping/setup.py": SETUP,
    "ping/compile_it.py": COMPILE,
    "ping/ping.py": CODE,
    "ping/MANIFEST.in": "include compile_it.py\n",
    "ping/LICENSE": "MIT\n",
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Session:
    """Return a planned session of CPython's, of an application that is locked for both."""
    needs("bwrap", "mmdebstrap", "dpkg-deb", "git")
    home = tmp_path_factory.mktemp("pypy")
    for name, text in FILES.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    subprocess.run((uv_program(), "lock", "--quiet", "--project", home / "ping"), check=True)
    workspace = Workspace(home / "elpack.toml", home / ".elpack", home / "dist")
    with alone(workspace):
        renew_build_lock(read_project(workspace), workspace, run)
    found = Session(workspace, Options(target="el9-standin"), Unseen())
    carry_out(found, "plan")
    with pytest.raises(BuildLockError, match=r"pylock\.pypy\.toml"):
        pypy_session(found)
    with alone(workspace):
        renew_build_lock(found.project, workspace, run, pypy=True)
    return found


def test_the_tree_is_pypys_and_runs(session: Session, tmp_path: Path) -> None:
    mine = with_root(pypy_session(session), lambda _: None)
    assert {"six", "ping"} <= mine.plan.versions().keys()
    assert "msgpack" not in mine.plan.versions()
    with alone(session.workspace):
        layers = uv_layers(mine, tmp_path / "layers")
    root = tmp_path / "root"
    debian = build_root(mine.target, mine.workspace, run)
    for layer in (write_layer("base", image_members(debian, mine.target.arch), tmp_path), *layers):
        with tarfile.open(layer.tar) as archive:
            archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made just now
    site = root / "opt/ping/lib/pypy3.11/site-packages"
    assert [path.name for path in site.glob("_ping.*.so")] == ["_ping.pypy311-pp73-x86_64-linux-gnu.so"]
    assert (root / "opt/ping/bin/python").readlink().name == "pypy3.11"
    assert list(site.glob("__pycache__/ping.pypy311.pyc"))
    assert (root / "var/lib/dpkg/status.d/pypy3").read_text().startswith("Package: pypy3\n")
    words = ("bwrap", "--bind", root, "/", "--dev", "/dev", "--proc", "/proc", "--clearenv", "/opt/ping/bin/ping")
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert said == "PyPy 42\n"


def test_two_works_give_the_same_base(session: Session, tmp_path: Path) -> None:
    target = pypy_session(session).target
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        root = build_root(target, Workspace(tmp_path / "x", tmp_path / name / "work", tmp_path), run)
        found.append((root.digest, write_layer("base", image_members(root, target.arch), tmp_path / name).sha256))
    assert found[0] == found[1]


def test_a_program_with_functions_of_a_later_pypy_imports_what_debians_cannot(session: Session, tmp_path: Path) -> None:
    mine = with_root(pypy_session(session), lambda _: None)
    root = build_root(mine.target, mine.workspace, run)
    made = program(root, (LATER, "PyPyModule_New"), mine)
    assert made is not None
    assert made == program(root, (LATER,), mine)
    assert (program(root, ("PyPyModule_New",), mine), program_parts(root, ("PyPyModule_New",), mine)) == (None, ())
    (tmp_path / "pypy").write_bytes(made)
    (tmp_path / "pypy").chmod(0o755)
    (tmp_path / "later.c").write_text(MODULE)
    usr, name = root.folder / "usr", "later.pypy311-pp73-x86_64-linux-gnu.so"

    def inside(*words: str, ours: bool = False) -> subprocess.CompletedProcess[str]:
        seen = ("--ro-bind", usr, "/usr", *(("--ro-bind", tmp_path / "pypy", "/usr/bin/pypy3.11") if ours else ()))
        links = [word for name in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
        rest = ("--dev", "/dev", "--proc", "/proc", "--bind", tmp_path, "/work", "--chdir", "/work", "--clearenv")
        command = ("bwrap", *seen, *links, *rest, "--setenv", "PATH", "/usr/bin", *words)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    compiled = inside("gcc", "-shared", "-fPIC", "-I/usr/include/pypy3.11", "later.c", "-o", name)
    assert compiled.returncode == 0, compiled.stderr
    assert f"undefined symbol: {LATER}" in inside("pypy3.11", "-c", "import later").stderr
    done = inside("pypy3.11", "-c", TRY, ours=True)
    assert (done.stdout, done.stderr) == (SAID, "")
