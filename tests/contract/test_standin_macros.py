"""The stand-in's macros and scripts against the real rpm of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import elpack.standin

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(elpack.standin.__file__).parent / "files"
REDHAT = FILES / "redhat-rpm-config/usr/lib/rpm/redhat"
PYPROJECT = FILES / "pyproject-rpm-macros/usr/lib/rpm/elpack/pyproject"
BUILDREQUIRES = PYPROJECT.with_name("pyproject-buildrequires")
PYTHON_MACROS = FILES / "python3-rpm-macros/usr/lib/rpm/elpack/python-macros"
SYSUSERS = FILES / "systemd-rpm-macros/usr/lib/rpm/elpack/sysusers-to-shell"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def expand(needs: Callable[..., None], tmp_path: Path) -> Callable[..., str]:
    needs("rpm")
    dist = FILES / "redhat-release/usr/lib/rpm/macros.d/macros.dist"
    made = tmp_path / "macros.dist"
    made.write_text(dist.read_text().replace("@DIST@", ".el9s").replace("@EL@", "9"))
    ours = sorted(FILES.glob("*/usr/lib/rpm/macros.d/macros.*"))
    vendor = FILES / "redhat-rpm-config/usr/lib/rpm/debian/macros"
    platform = f"/usr/lib/rpm/platform/{os.uname().machine}-linux/macros"
    order = ["/usr/lib/rpm/macros", *(path for path in ours if path != dist), made, platform, vendor]

    def call(text: str, **defines: str) -> str:
        options = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
        command = ["rpm", f"--macros={':'.join(map(str, order))}", *options, "--eval", text]
        return subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()

    return call


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%{dist}", ".el9s"),
        ("%{rhel}", "9"),
        ("%{el9}", "1"),
        ("%{_lib} %{_libdir}", "lib64 /usr/lib64"),
        ("%{_mandir}", "/usr/share/man"),
        ("%{_unitdir}", "/usr/lib/systemd/system"),
        ("%{_sysusersdir}", "/usr/lib/sysusers.d"),
        ("%{_tmpfilesdir}", "/usr/lib/tmpfiles.d"),
        ("%{_localstatedir} %{_sharedstatedir}", "/var /var/lib"),
        ("%{python3_pkgversion}", "3.11"),
        ("%{__python3} %{python3}", "/usr/bin/python3.11 /usr/bin/python3.11"),
        ("%{py_dist_name Foo__Bar.baz}", "foo-bar-baz"),
        ("%{py3_dist Foo_Bar b.C}", "python3.11dist(foo-bar) python3.11dist(b-c)"),
        ("%{?_py3_shebang_s}%{?py3_shebang_flags}", "ss"),
        ("%{pyproject_wheeldir}", "/b/pyproject-wheeldir"),
        ("%{_enable_debug_packages}%{_debugsource_packages}%{_debuginfo_subpackages}", "111"),
        ("%{source_date_epoch_from_changelog}", "1"),
        ("%{_dbpath}", "/var/lib/rpm"),
        ("%{pycached /x/a.py}", "/x/a.py\n/x/__pycache__/a.cpython-*.pyc"),
        ("%{?systemd_postun:there}%{?sysusers_requires_compat}", "thereRequires(pre): shadow-utils"),
    ],
)
def test_values(expand: Callable[..., str], text: str, expected: str) -> None:
    assert expand(text, _builddir="/b") == expected


def test_the_interpreter_follows_the_package_version(expand: Callable[..., str]) -> None:
    assert expand("%global python3_pkgversion 3.12\n%{__python3}") == "/usr/bin/python3.12"


@pytest.mark.parametrize(
    ("macro", "code"),
    [
        ("python3_version", "'%d.%d' % sys.version_info[:2]"),
        ("python3_version_nodots", "'%d%d' % sys.version_info[:2]"),
        ("python3_ext_suffix", "sysconfig.get_config_var('EXT_SUFFIX')"),
        ("python3_platform", "sysconfig.get_platform()"),
    ],
)
def test_the_interpreter_is_asked(expand: Callable[..., str], macro: str, code: str) -> None:
    asked = [sys.executable, "-Ic", f"import sys, sysconfig; print({code})"]
    expected = subprocess.run(asked, check=True, text=True, capture_output=True).stdout.strip()
    assert expand(f"%{{{macro}}}", __python3=sys.executable) == expected


def test_site_packages_move_with_the_prefix(expand: Callable[..., str]) -> None:
    text = "%global _prefix /opt/crossbar\n%{python3_sitelib}"
    assert expand(text, __python3=sys.executable).startswith(f"/opt/crossbar/lib/python{VERSION}/")


def test_the_compiler_flags_harden(expand: Callable[..., str]) -> None:
    cflags = expand("%{build_cflags}", _target_cpu="x86_64").split()
    assert {"-O2", "-g", "-fstack-protector-strong", "-Wp,-D_FORTIFY_SOURCE=2", "-march=x86-64-v2"} <= set(cflags)
    assert "-march=x86-64-v2" not in expand("%{build_cflags}", _target_cpu="aarch64")
    assert expand("%{build_ldflags}") == "-Wl,-z,relro -Wl,--as-needed -Wl,-z,now -Wl,--build-id=sha1"
    assert "-Wl,-z,now" not in expand("%undefine _hardened_build\n%{build_ldflags}")
    exported = expand("%set_build_flags")
    assert all(f"export {name}" in exported for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS", "CC", "CXX"))


def test_a_spec_turns_stripping_off_as_on_el9(expand: Callable[..., str]) -> None:
    assert "brp-strip " in expand("%__os_install_post")
    assert "brp-strip " not in expand("%global __brp_strip %{nil}\n%__os_install_post")
    assert "brp-strip /bin/true" in expand("%global __strip /bin/true\n%__os_install_post")
    off = expand("%global __brp_mangle_shebangs %{nil}\n%global __brp_python_bytecompile %{nil}\n%__os_install_post")
    assert "mangle" not in off
    assert "bytecompile" not in off
    assert '"a|b" "/x"' in expand(
        "%__brp_mangle_shebangs", __brp_mangle_shebangs_exclude="a|b", __brp_mangle_shebangs_exclude_from="/x"
    )


def test_install_asks_for_debug_packages_as_on_el9(expand: Callable[..., str]) -> None:
    unpacked = expand("%install", buildsubdir="demo-1.0")
    assert "%package debuginfo" in unpacked
    assert "%files debugsource -f debugsourcefiles.list" in unpacked
    assert unpacked.endswith("%install")
    assert expand("%install") == "%install"
    assert expand("%global debug_package %{nil}\n%install", buildsubdir="demo-1.0") == "%install"


def test_find_debuginfo_strips_what_gets_debug_packages(expand: Callable[..., str]) -> None:
    assert "find-debuginfo" in expand("%__spec_install_post", __debug_package="1")
    assert "brp-strip " not in expand("%__spec_install_post", __debug_package="1")
    assert "find-debuginfo" not in expand("%__spec_install_post")
    assert "check-rpaths" in expand("%__spec_install_post")


def test_a_spec_turns_the_python_generators_off_as_on_el9(expand: Callable[..., str]) -> None:
    assert "--package-name foo+bar --requires" in expand("%{__pythondist_requires}", name="foo+bar")
    assert "extras-subpackages" not in expand("%{__pythondist_requires}", _python_no_extras_requires="1")
    assert expand("%python_disable_dependency_generator\n[%{__pythondist_provides}%{__pythondist_requires}]") == "[]"


def test_pyproject_macros_call_the_helper(expand: Callable[..., str]) -> None:
    assert ' wheel "/b/pyproject-wheeldir" -Ckey=1' in expand("%pyproject_wheel -Ckey=1", _builddir="/b")
    assert '--prefix "/opt/x"' in expand("%global _prefix /opt/x\n%pyproject_install", __python3=sys.executable)
    assert expand("%{pyproject_save_files a b +auto}", __python3=sys.executable).endswith("-- a b +auto")
    assert "import -f " in expand("%{pyproject_check_import -t}", __python3=sys.executable)
    assert "-t" in expand("%{pyproject_check_import -t}", __python3=sys.executable).split()
    assert 'buildrequires "python3.11dist" "/b/pyproject-wheeldir" -R' in expand(
        "%{pyproject_buildrequires -R}", _builddir="/b"
    )
    assert expand("%py_provides python3.11-y", name="x", version="1", release="2") == "Provides: python3.11-y = 1-2"


def test_extras_become_metapackages(expand: Callable[..., str]) -> None:
    given = {"version": "1", "release": "2"}
    text = expand("%python_extras_subpkg -n foo -i /x.dist-info -a one two,three", **given)
    assert [line for line in text.splitlines() if line.startswith(("%package", "Requires", "%files", "%ghost"))] == [
        line
        for extra in ("one", "two", "three")
        for line in (f"%package -n foo+{extra}", "Requires: foo = 1-2", f"%files -n foo+{extra}", "%ghost /x.dist-info")
    ]
    assert text.count("BuildArch: noarch") == 3
    assert "%files" not in expand("%python_extras_subpkg -n foo -F one", **given)
    ours = expand("%pyproject_extras_subpkg -n foo one", name="foo", _builddir="/b", **given)
    assert "%files -n foo+one -f /b/foo-1-2.x86_64-pyproject-ghost-distinfo" in ours


@pytest.mark.parametrize(
    "options", ["-i /x one", "-n foo one", "-n foo -i /x", "-n foo -i /x -F one", "-n f -F -a -A o"]
)
def test_an_extras_subpackage_that_is_not_clear_is_refused(expand: Callable[..., str], options: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        expand(f"%python_extras_subpkg {options}", version="1", release="2")


def test_systemd_scriptlets(expand: Callable[..., str]) -> None:
    assert "systemctl --no-reload preset a.service b.service" in expand("%systemd_post a.service b.service")
    assert "[ $1 -eq 0 ]" in expand("%systemd_preun a.service")
    assert "try-restart a.service" in expand("%systemd_postun_with_restart a.service")
    assert "daemon-reload" not in expand("%systemd_postun a.service")
    assert "Requires(preun): systemd" in expand("%{?systemd_requires}")


def test_cmake_configures_builds_and_installs(expand: Callable[..., str]) -> None:
    assert "-DCMAKE_INSTALL_PREFIX:PATH=/usr" in expand("%cmake -DX=1", _prefix="/usr")
    assert expand("%cmake -DX=1").endswith("-DX=1")
    assert expand("%cmake_install", buildroot="/r").startswith('DESTDIR="/r" ')


def script(path: Path, *arguments: str, root: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | more
    if root is not None:
        environment["RPM_BUILD_ROOT"] = str(root)
    return subprocess.run(["bash", str(path), *arguments], check=False, text=True, capture_output=True, env=environment)


def executable(root: Path, path: str, text: str) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#!/usr/bin/env bash", "#!/usr/bin/bash"),
        ("#!/usr/bin/env -S perl -w", "#!/usr/bin/perl -w"),
        ("#!/bin/sh -e", "#!/usr/bin/sh -e"),
        ("#! /usr/bin/python3", "#!/usr/bin/python3"),
        ("#!/opt/x/bin/python", "#!/opt/x/bin/python"),
    ],
)
def test_shebangs_are_mangled(tmp_path: Path, before: str, after: str) -> None:
    file = executable(tmp_path, "usr/bin/it's", f"{before}\nexit\n")
    os.utime(file, (1, 1))
    assert script(REDHAT / "brp-mangle-shebangs", "", "", root=tmp_path).returncode == 0
    assert file.read_text() == f"{after}\nexit\n"
    assert file.stat().st_mtime == 1
    assert os.access(file, os.X_OK)


@pytest.mark.parametrize("line", ["#!/usr/bin/python", "#!/usr/bin/env python", "#!/bin/python -s"])
def test_ambiguous_python_is_refused(tmp_path: Path, line: str) -> None:
    executable(tmp_path, "usr/bin/x", f"{line}\n")
    done = script(REDHAT / "brp-mangle-shebangs", "", "", root=tmp_path)
    assert done.returncode == 1
    assert "ambiguous python shebang in /usr/bin/x" in done.stderr
    assert script(REDHAT / "brp-mangle-shebangs", "", "^/usr/bin/", root=tmp_path).returncode == 0
    assert script(REDHAT / "brp-mangle-shebangs", "python", "", root=tmp_path).returncode == 0


def test_text_without_a_shebang_loses_its_executable_bit(tmp_path: Path) -> None:
    text = executable(tmp_path, "a b.txt", "hello\n")
    binary = executable(tmp_path, "x.so", "\x7fELF\0\0\0")
    assert script(REDHAT / "brp-mangle-shebangs", "", "", root=tmp_path).returncode == 0
    assert not os.access(text, os.X_OK)
    assert os.access(binary, os.X_OK)


def test_byte_code_fits_the_clamped_source(tmp_path: Path) -> None:
    source = tmp_path / "usr/lib/python3/site-packages/m.py"
    source.parent.mkdir(parents=True)
    source.write_text("x = 1\n")
    command = (sys.executable, str(tmp_path / "usr"))
    assert script(REDHAT / "byte-compile", *command, root=tmp_path, SOURCE_DATE_EPOCH="1000000000").returncode == 0
    assert source.stat().st_mtime == 1_000_000_000
    compiled = sorted(source.parent.glob("__pycache__/*.pyc"))
    assert len(compiled) == 2
    assert int.from_bytes(compiled[0].read_bytes()[8:12], "little") == 1_000_000_000
    assert str(tmp_path).encode() not in compiled[1].read_bytes()
    source.write_text("x = (\n")
    assert script(REDHAT / "byte-compile", *command, root=tmp_path).returncode != 0


def test_sysusers_become_accounts(tmp_path: Path) -> None:
    conf = tmp_path / "x.conf"
    conf.write_text('# comment\n\ng wamp 900\nu crossbar - "Crossbar\'s router" /var/lib/crossbar\nm crossbar wamp\n')
    lines = script(SYSUSERS, str(conf)).stdout.splitlines()
    assert lines[0] == "getent group 'wamp' >/dev/null || groupadd -f -g 900 -r 'wamp'"
    assert lines[1] == "getent group 'crossbar' >/dev/null || groupadd -f -r 'crossbar'"
    assert "useradd -r -g 'crossbar' -d '/var/lib/crossbar' -s '/usr/sbin/nologin' -c 'Crossbars router'" in lines[2]
    assert lines[-1].startswith("usermod -a -G 'wamp' 'crossbar'")


def python(path: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-sB", str(path), *arguments], check=False, text=True, capture_output=True, cwd=cwd
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#!/usr/bin/python", "#!/py -s"),
        ("#!/usr/bin/env python3", "#!/py -s"),
        ("#!/usr/bin/python3.11 -I", "#!/py -Is"),
        ("#!/usr/bin/bash", "#!/usr/bin/bash"),
    ],
)
def test_python_shebangs_are_fixed(tmp_path: Path, before: str, after: str) -> None:
    file = executable(tmp_path, "x", f"{before}\npass\n")
    assert python(PYTHON_MACROS, "shebangs", "/py", "s", str(file), cwd=tmp_path).returncode == 0
    assert file.read_text() == f"{after}\npass\n"


def test_an_import_check_that_checks_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "modules").write_text("json\njson.decoder\n")
    assert python(PYTHON_MACROS, "import", "-f", "modules", "-t", cwd=tmp_path).stdout == "Check import: json\n"
    assert "would check nothing" in python(PYTHON_MACROS, "import", "-f", "modules", "-e", "json*", cwd=tmp_path).stderr
    assert python(PYTHON_MACROS, "import", "no_such_module", cwd=tmp_path).returncode == 1


BACKEND = """
import pathlib
def build_wheel(folder, settings=None, metadata=None):
    with open("calls", "a") as file: file.write("x")
    pathlib.Path(folder, "demo-1-py3-none-any.whl").touch()
    return "demo-1-py3-none-any.whl"
def get_requires_for_build_wheel(settings=None):
    print("noise")
    return ["cmake>=3; python_version>='3'"]
"""
PROJECT = """
[build-system]
requires = ["flit_core ~=3.2"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "demo"
dependencies = ["Foo_Bar==1.*", "never; python_version<'3'"]
optional-dependencies = { x = ["extra!=2"] }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return tmp_path


def test_the_backend_is_called_once(project: Path) -> None:
    assert python(PYPROJECT, "wheel", "out", cwd=project).returncode == 0
    assert (project / "calls").read_text() == "x"
    assert (project / "out/demo-1-py3-none-any.whl").exists()


def test_saved_files_are_listed_with_licences_and_languages(tmp_path: Path) -> None:
    site = "/usr/lib/python3.11/site-packages"
    names = [
        "pkg/__init__.py",
        "pkg/a.py",
        "pkg/x.abi3.so",
        "pkg/locale/de/LC_MESSAGES/p.mo",
        "one.py",
        "other/__init__.py",
    ]
    names += ["demo-1.dist-info/METADATA", "demo-1.dist-info/licenses/LICENSE"]
    (tmp_path / "record").write_text(json.dumps([[f"{site}/{name}" for name in names] + ["/usr/bin/demo"]]))

    def save(*globs: str) -> subprocess.CompletedProcess[str]:
        paths = ("--record", "record", "--sitelib", site, "--sitearch", site, "--prefix", "/usr")
        out = ("--files", "files", "--modules", "modules", "--")
        return python(PYPROJECT, "save-files", *paths, *out, *globs, cwd=tmp_path)

    assert save("pkg", "o?e").returncode == 0
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"
    assert (tmp_path / "files").read_text().splitlines() == [
        f"{site}/__pycache__/one.{tag}*.pyc",
        f"%dir {site}/demo-1.dist-info",
        f"{site}/demo-1.dist-info/METADATA",
        f"%license {site}/demo-1.dist-info/licenses/LICENSE",
        f"{site}/one.py",
        f"{site}/pkg",
        f"%lang(de) {site}/pkg/locale/de/LC_MESSAGES/p.mo",
    ]
    assert (tmp_path / "modules").read_text().split() == ["one", "pkg", "pkg.a", "pkg.x"]
    assert save("+auto").returncode == 0
    assert "/usr/bin/demo" in (tmp_path / "files").read_text().split()
    assert "no module matches typo" in save("pkg", "typo").stderr
    assert "not a module name" in save("-l", "pkg").stderr
