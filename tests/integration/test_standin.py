"""Make the stand-in, build a package in a root of it without network, install it in another, import it there."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.model import Target

pytestmark = [pytest.mark.root, pytest.mark.integration]

# Kept between runs: it is content-addressed, and fetching it again tells nothing new.
WORK = Path(__file__).parents[2] / ".elpack" / "standin"
NOBODY = 65534

BACKEND = """
import base64, hashlib, pathlib, subprocess, sysconfig, zipfile

def build_wheel(folder, settings=None, metadata=None):
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    command = f"$CC $CFLAGS -fPIC -shared $LDFLAGS -I{sysconfig.get_path('include')} -o _x{suffix} x.c"
    subprocess.run(command, shell=True, check=True)
    info = "demo-1.0.dist-info"
    files = {
        "demo.py": pathlib.Path("demo.py").read_bytes(),
        f"_x{suffix}": pathlib.Path(f"_x{suffix}").read_bytes(),
        f"{info}/METADATA": b"Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp311-cp311-linux_x86_64\\n",
        f"{info}/entry_points.txt": b"[console_scripts]\\ndemo = demo:main\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{folder}/demo-1.0-cp311-cp311-linux_x86_64.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", record)
    return "demo-1.0-cp311-cp311-linux_x86_64.whl"
"""
EXTENSION = """
#include <Python.h>
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "_x", NULL, -1, NULL };
PyMODINIT_FUNC PyInit__x(void) {
    PyObject *m = PyModule_Create(&module);
    PyModule_AddIntConstant(m, "answer", 42);
    return m;
}
"""
SPEC = """
%global python3_pkgversion 3.11
%{?private:%global _prefix /opt/demo}
%{?private:%global python3_sitelib /opt/demo/lib/python3.11/site-packages}
%{?private:%global python3_sitearch %{python3_sitelib}}
Name: python3.11-demo
Version: 1.0
Release: 1%{?dist}
Summary: Trial of the stand-in
License: MIT
Source0: demo-1.0.tar.gz
%description
Trial.
%prep
%autosetup -n demo-1.0
%build
%set_build_flags
%pyproject_wheel
%install
export PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl)
%{?private:mkdir -p %{buildroot}%{_prefix}/lib; ln -s lib %{buildroot}%{_prefix}/lib64}
%pyproject_install
%{?private:rm %{buildroot}%{_prefix}/lib64}
unset PYTHONPATH
# the backend's wheel holds no modes, and find-debuginfo looks at executable files only
chmod 755 %{buildroot}%{python3_sitearch}/_x*.so
%pyproject_save_files demo _x
%{?private:%py_byte_compile %{python3} %{buildroot}%{python3_sitearch}}
%check
%pyproject_check_import
%files -f %{pyproject_files}
%{_bindir}/demo
%changelog
* Mon Nov 02 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""


@pytest.fixture(scope="module")
def target() -> Target:
    return resolve_target(TargetChoice(name="el9-standin", python="3.11", arches=("x86_64",)), "x86_64")


@pytest.fixture(scope="module")
def repository(needs: Callable[..., None], target: Target) -> Path:
    needs("mmdebstrap", "dpkg-deb", "rpmbuild", "createrepo_c", "dnf", "bwrap", "setpriv")
    return build_standin(target, WORK)


def install(root: Path, repositories: list[Path], packages: tuple[str, ...]) -> None:
    conf = root.with_suffix(".conf")
    lines = ["[main]", "gpgcheck=0", "reposdir=/dev/null", "module_platform_id=platform:el9", "plugins=0"]
    lines += ["install_weak_deps=False", "assumeyes=1", "best=1", f"cachedir={root.parent}/cache"]
    for number, path in enumerate(repositories):
        lines += [f"[r{number}]", f"name=r{number}", f"baseurl=file://{path}"]
    conf.write_text("\n".join(lines) + "\n")
    home = root.parent / "home"
    home.mkdir(exist_ok=True)
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    command = ["dnf", "-q", "-c", str(conf), "--releasever", "9", "--installroot", str(root), "install", *packages]
    subprocess.run(command, check=True, env=os.environ | {"HOME": str(home)}, stdout=subprocess.DEVNULL)


def inside(root: Path, *command: str, builddir: Path | None = None) -> str:
    """Run a command in a root as nobody, without network, with nothing writable but /builddir and /tmp."""
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    bind = ("--bind", str(builddir), "/builddir") if builddir else ()
    sandbox = ("bwrap", "--unshare-all", "--ro-bind", str(root), "/", *bind, "--dev", "/dev", "--proc", "/proc")
    scratch = ("--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--clearenv", "--setenv", "PATH", "/usr/bin:/usr/sbin")
    line = (*become, *sandbox, *scratch, "--setenv", "HOME", "/tmp", *command)
    done = subprocess.run(line, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def rooms() -> Iterator[Path]:
    """Return a folder that nobody may enter, as none of pytest's own: each session closes them anew for all."""
    with tempfile.TemporaryDirectory(prefix="elpack-standin-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def build_root(repository: Path, target: Target, rooms: Path) -> Path:
    root = rooms / "build"
    macros = ("pyproject-rpm-macros", "systemd-rpm-macros")
    install(root, [repository], (*target.buildroot, target.devel_rpm, *macros, "python3.11-pip-wheel", "gcc"))
    (root / "builddir").mkdir()
    return root


def build(build_root: Path, rooms: Path, *options: str) -> Path:
    """Build the trial package and return the folder with its RPM."""
    work = rooms / f"work{len(options)}"
    source = work / "demo-1.0"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(BACKEND)
    (source / "x.c").write_text(EXTENSION)
    (source / "demo.py").write_text("import _x\ndef main():\n    print('demo', _x.answer)\n")
    with tarfile.open(work / "demo-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "demo-1.0")
    (work / "demo.spec").write_text(SPEC)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(work)], check=True)
    defines = ("--define", "_topdir /builddir", "--define", "_sourcedir /builddir", *options)
    inside(build_root, "rpmbuild", "-bb", *defines, "/builddir/demo.spec", builddir=work)
    out = work / "RPMS" / "x86_64"
    subprocess.run(["createrepo_c", "-q", str(out)], check=True)
    return out


def query(out: Path, *what: str) -> list[str]:
    rpm = next(out.glob("python3.11-demo-1.0-*.rpm"))
    return subprocess.run(["rpm", "-qp", *what, str(rpm)], check=True, text=True, capture_output=True).stdout.split(
        "\n"
    )


def test_every_root_of_the_target_resolves(repository: Path, target: Target, rooms: Path) -> None:
    root = rooms / "root"
    install(root, [repository], target.root)
    assert "NOT Enterprise Linux" in (root / "etc/os-release").read_text()
    assert inside(root, "systemctl", "--version").startswith("systemd 252")
    assert "NOT Enterprise Linux" in inside(root, "cat", "/etc/redhat-release")


def test_the_interpreter_is_clean_and_a_venv_of_it_works(build_root: Path) -> None:
    code = "import sys, importlib.util as u; print(u.find_spec('packaging'), *sys.path)"
    found = inside(build_root, "python3.11", "-c", code)
    assert found.startswith("None ")
    assert "/usr/lib64/python3.11/site-packages /usr/lib/python3.11/site-packages" in found
    make = "python3.11 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c 'import sys; print(sys.path[-1])'"
    assert inside(build_root, "sh", "-c", make) == "/tmp/v/lib/python3.11/site-packages\n"


def test_a_package_builds_installs_and_imports(repository: Path, build_root: Path, target: Target, rooms: Path) -> None:
    out = build(build_root, rooms)
    assert "python3.11dist(demo) = 1" in query(out, "--provides")
    requires = query(out, "--requires")
    assert "python(abi) = 3.11" in requires
    assert "/usr/bin/python3.11" in requires
    files = query(out, "--list")
    assert "/usr/lib64/python3.11/site-packages/__pycache__/demo.cpython-311.pyc" in files
    assert not [path for path in files if path.endswith(("RECORD", "direct_url.json"))]
    root = rooms / "installed"
    install(root, [repository, out], (*target.root, "python3.11-demo"))
    assert inside(root, "demo") == "demo 42\n"
    extension = next(root.glob("usr/lib64/python3.11/site-packages/_x*.so"))
    sections = subprocess.run(["readelf", "-SWd", extension], check=True, text=True, capture_output=True).stdout
    assert "debug_info" not in sections
    assert "BIND_NOW" in sections


def test_a_private_prefix_is_honoured(build_root: Path, rooms: Path) -> None:
    out = build(build_root, rooms, "--define", "private 1")
    files = query(out, "--list")
    assert "/opt/demo/bin/demo" in files
    assert "/opt/demo/lib/python3.11/site-packages/demo.py" in files
    assert not [path for path in files if "lib64" in path]


def test_a_second_call_is_instant(repository: Path, target: Target) -> None:
    def refuse(command: object) -> None:
        raise AssertionError(command)

    assert build_standin(target, WORK, refuse) == repository  # type: ignore[arg-type]
