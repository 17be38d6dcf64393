"""The stand-in's macros and scripts against the real rpm of this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
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
        ("%{python3_pkgversion}", "3"),
        ("%{__python3} %{python3}", "/usr/bin/python3 /usr/bin/python3"),
        ("%{py_dist_name Foo__Bar.baz}", "foo-bar-baz"),
        ("%{py_dist_name Foo[Bar_x]}", "foo[bar-x]"),
        ("%{py3_dist Foo_Bar b.C[d]}", "python3dist(foo-bar) python3dist(b-c[d])"),
        ("%{py3_shbang_opts}%{?py3_shebang_flags}", "-ss"),
        ("%global py3_shbang_opts -Es\n%{?py3_shebang_flags}", "Es"),
        ("%{_pyproject_wheeldir}", "/b/pyproject-wheeldir"),
        ("%{_pyproject_builddir}", "/b/.pyproject-builddir"),
        ("%{python_wheel_dir}", "/usr/share/python3-wheels"),
        ("%{_enable_debug_packages}%{_debugsource_packages}%{_debuginfo_subpackages}", "111"),
        ("%{source_date_epoch_from_changelog}", "1"),
        ("%{_dbpath}", "/var/lib/rpm"),
        ("%{pycached /x/a.py}", "/x/a.py\n/x/__pycache__/a.cpython-3*{,.opt-?}.pyc"),
        ("%{pycached /python3.11/a.py}", "/python3.11/a.py\n/python3.11/__pycache__/a.cpython-311{,.opt-?}.pyc"),
        ("%{__arch_install_post} %{_docdir_fmt}", "/usr/lib/rpm/check-buildroot %{NAME}"),
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


@pytest.mark.parametrize(("macro", "path"), [("python3_sitelib", "purelib"), ("python3_sitearch", "platlib")])
def test_site_packages_stay_where_the_interpreter_has_them(expand: Callable[..., str], macro: str, path: str) -> None:
    text = f"%global _prefix /opt/crossbar\n%{{{macro}}}"
    asked = [sys.executable, "-Ic", f"import sysconfig; print(sysconfig.get_path({path!r}))"]
    expected = subprocess.run(asked, check=True, text=True, capture_output=True).stdout.strip()
    assert expand(text, __python3=sys.executable) == expected


@pytest.mark.parametrize(
    "name", ["pyproject_wheeldir", "python3_cache_tag", "_py3_shebang_s", "_py3_shebang_P", "py3_test_envvars"]
)
def test_names_that_el9_lacks_are_not_there(expand: Callable[..., str], name: str) -> None:
    assert expand(f"%{{?{name}:there}}") == ""


def test_the_spec_alone_says_which_python_is_meant() -> None:
    macros = "".join(path.read_text() for path in FILES.glob("*/usr/lib/rpm/macros.d/*"))
    assert re.findall(r"(?m)^%python3_pkgversion\s+(.*)$", macros) == ["3"]
    packages = tomllib.loads((FILES.parent / "packages.toml").read_text())["rpm"]
    assert packages["python3.11-devel"]["provides"] == ["python3.11-rpm-macros"]


def test_an_import_check_follows_the_shebang_flags(expand: Callable[..., str]) -> None:
    assert "/usr/bin/python3 -s " in expand("%py3_check_import a")
    assert "/usr/bin/python3  /" in expand("%undefine py3_shebang_flags\n%py3_check_import a").replace("\\\n", "")


def test_pytest_has_the_versions_name(expand: Callable[..., str]) -> None:
    assert expand("%pytest -k x").endswith("/usr/bin/pytest -k x")
    versioned = expand(f"%global python3_pkgversion {VERSION}\n%pytest", __python3=sys.executable)
    assert versioned.endswith(f"/usr/bin/pytest-{VERSION}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%py_provides python3.11-y", ["Provides: python3.11-y = 1-2"]),
        ("%py_provides python3.11-y 4", ["Provides: python3.11-y = 4"]),
        (
            "%py_provides python3-y",
            [
                "Provides: python3-y = 1-2",
                "Provides: python3.9-y = 1-2",
                "Provides: python-y = 1-2",
                "Obsoletes: python39-y < 1-2",
            ],
        ),
        ("%python_provide python3.11-y", []),
        (
            "%python_provide python3-y",
            ["Provides: python3.9-y = 1-2", "Provides: python-y = 1-2", "Obsoletes: python-y < 1-2"],
        ),
        (
            "%python_provide python3.9-y",
            ["Provides: python-y = 1-2", "Provides: python3-y = 1-2", "Obsoletes: python-y < 1-2"],
        ),
    ],
)
def test_other_names_are_those_of_el9s_own_python(expand: Callable[..., str], text: str, expected: list[str]) -> None:
    assert expand(text, name="x", version="1", release="2").splitlines() == expected


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
    assert 'buildrequires "python3dist" "/b/pyproject-wheeldir" -R' in expand(
        "%{pyproject_buildrequires -R}", _builddir="/b"
    )


def test_the_wheel_macro_gives_a_compiler_what_el9s_does(expand: Callable[..., str]) -> None:
    lines = expand("%pyproject_wheel", _builddir="/b", __global_ldflags="-Wl,x").splitlines()
    assert lines[0] == 'mkdir -p "/b/.pyproject-builddir"'
    assert lines[1].startswith('CFLAGS="${CFLAGS:-${RPM_OPT_FLAGS}}" LDFLAGS="${LDFLAGS:--Wl,')
    assert not [name for name in ("CXXFLAGS=", "CC=", "CXX=") if f" {name}" in " ".join(lines)]


def test_extras_become_metapackages(expand: Callable[..., str]) -> None:
    given = {"version": "1", "release": "2"}
    text = expand("%python_extras_subpkg -n foo -i /x.dist-info one two,three", **given)
    assert [line for line in text.splitlines() if line.startswith(("%package", "Requires", "%files", "%ghost"))] == [
        line
        for extra in ("one", "two", "three")
        for line in (f"%package -n foo+{extra}", "Requires: foo = 1-2", f"%files -n foo+{extra}", "%ghost /x.dist-info")
    ]
    assert "%files" not in expand("%python_extras_subpkg -n foo -F one", **given)
    ours = expand("%pyproject_extras_subpkg -n foo one", name="foo", _builddir="/b", **given)
    assert "%files -n foo+one -f /b/foo-1-2.x86_64-pyproject-ghost-distinfo" in ours


@pytest.mark.parametrize("options", ["-i /x one", "-n foo one", "-n foo -i /x", "-n foo -i /x -F one", "-n f -F -a o"])
def test_an_extras_subpackage_that_is_not_clear_is_refused(expand: Callable[..., str], options: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        expand(f"%python_extras_subpkg {options}", version="1", release="2")


def test_systemd_scriptlets(expand: Callable[..., str]) -> None:
    assert "systemctl --no-reload preset a.service b.service" in expand("%systemd_post a.service b.service")
    assert "[ $1 -eq 0 ]" in expand("%systemd_preun a.service")
    assert "try-restart a.service" in expand("%systemd_postun_with_restart a.service")
    assert "daemon-reload" not in expand("%systemd_postun a.service")
    assert "Requires(preun): systemd" in expand("%{?systemd_requires}")
    for macro in ("post", "preun", "postun", "postun_with_restart"):
        with pytest.raises(subprocess.CalledProcessError):
            expand(f"%systemd_{macro}")


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
    user = 'u crossbar - "Crossbar\'s router" /var/lib/crossbar'
    conf.write_text(f"# comment\n; too\n\ng wamp 900\n{user}\nm crossbar wamp\nu n 7:wamp\n")
    *lines, numbered = script(SYSUSERS, str(conf)).stdout.splitlines()
    assert lines[0] == "getent group 'wamp' >/dev/null || groupadd -f -g 900 -r 'wamp' || :"
    assert lines[1] == "getent group 'crossbar' >/dev/null || groupadd -r 'crossbar' || :"
    assert "useradd -r -g 'crossbar' -d '/var/lib/crossbar' -s '/usr/sbin/nologin' -c 'Crossbars router'" in lines[2]
    assert lines[-1].startswith("usermod -a -G 'wamp' 'crossbar'")
    assert "useradd -r $(getent passwd 7 >/dev/null || echo -u 7) -g 'wamp'" in numbered
    assert all(line.endswith("|| :") for line in [*lines, numbered])


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
    several = python(PYTHON_MACROS, "import", "csv,re", "ast", cwd=tmp_path).stdout
    assert several.splitlines() == [f"Check import: {name}" for name in ("csv", "re", "ast")]
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


SITE = "/usr/lib/python3.11/site-packages"
INFO = f"{SITE}/demo-1.dist-info"
TAG = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"
COMPILED = f"{TAG}{{,.opt-?}}.pyc"


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a call of %pyproject_save_files for a dist with these files, which must be in `tmp_path`."""
    metadata = tmp_path / f"{INFO}/METADATA".lstrip("/")
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Name: demo\nLicense-File: LICENSE\nLicense-File: legal/COPYING\n")

    def call(names: list[str], *globs: str, dists: int = 1) -> subprocess.CompletedProcess[str]:
        files = [name if name.startswith("/") else f"{SITE}/{name}" for name in names]
        (tmp_path / "record").write_text(json.dumps([{"info": INFO, "files": files}] * dists))
        paths = ("--root", str(tmp_path), "--record", "record", "--sitelib", SITE, "--sitearch", SITE)
        out = ("--prefix", "/usr", "--files", "files", "--modules", "modules", "--")
        return python(PYPROJECT, "save-files", *paths, *out, *globs, cwd=tmp_path)

    return call


def test_saved_files_are_listed_one_by_one(tmp_path: Path, save: Callable[..., object]) -> None:
    names = ["pkg/__init__.py", "pkg/sub/x.abi3.so", "pkg/_a.py", "pkg/a b%.txt", "pkg/locale/de_AT/LC_MESSAGES/p.mo"]
    save([*names, "pkg/__pycache__/a.pyc", "one.py", "_two.so", "other/__init__.py", "stray.pth"], "pkg", "o?e", "_*")
    assert (tmp_path / "files").read_text().splitlines() == [
        f"{SITE}/__pycache__/one.{COMPILED}",
        f"{SITE}/_two.so",
        f"{SITE}/one.py",
        f"%dir {SITE}/pkg",
        f"{SITE}/pkg/__init__.py",
        f"%dir {SITE}/pkg/__pycache__",
        f"{SITE}/pkg/__pycache__/__init__.{COMPILED}",
        f"{SITE}/pkg/__pycache__/_a.{COMPILED}",
        f"{SITE}/pkg/_a.py",
        f'"{SITE}/pkg/a b%%%%%%%%.txt"',
        f"%dir {SITE}/pkg/locale",
        f"%dir {SITE}/pkg/locale/de_AT",
        f"%dir {SITE}/pkg/locale/de_AT/LC_MESSAGES",
        f"%lang(de) {SITE}/pkg/locale/de_AT/LC_MESSAGES/p.mo",
        f"%dir {SITE}/pkg/sub",
        f"{SITE}/pkg/sub/x.abi3.so",
    ]
    assert (tmp_path / "modules").read_text().split() == ["one", "pkg", "pkg.sub", "pkg.sub.x"]


def test_only_the_metadata_marks_licences(tmp_path: Path, save: Callable[..., object]) -> None:
    info = "demo-1.dist-info"
    files = ["METADATA", "COPYING", "licenses/LICENSE", "licenses/NOTICE", "licenses/legal/COPYING"]
    save([f"{info}/{name}" for name in files], "*")
    assert (tmp_path / "files").read_text().splitlines() == [
        f"%dir {INFO}",
        f"{INFO}/COPYING",
        f"{INFO}/METADATA",
        f"%dir {INFO}/licenses",
        f"%license {INFO}/licenses/LICENSE",
        f"{INFO}/licenses/NOTICE",
        f"%dir {INFO}/licenses/legal",
        f"%license {INFO}/licenses/legal/COPYING",
    ]
    assert (tmp_path / "modules").read_text() == ""


def test_auto_adds_what_is_no_module(tmp_path: Path, save: Callable[..., object]) -> None:
    other = ["/usr/bin/demo", "/usr/share/locale/de/LC_MESSAGES/d.mo", "/usr/share/man/man1/demo.1.gz"]
    save(["pkg/a.py", "stray.pth", *other], "+auto")
    assert (tmp_path / "files").read_text().splitlines() == [
        "/usr/bin/demo",
        f"{SITE}/stray.pth",
        "%lang(de) /usr/share/locale/de/LC_MESSAGES/d.mo",
        "/usr/share/man/man1/demo.1*",
    ]


@pytest.mark.parametrize(
    ("names", "globs", "message"),
    [
        (["pkg/a.py"], ["pkg", "typo"], "no module matches typo"),
        ([], ["pkg"], "no module matches pkg"),
        (["pkg/a.py"], ["-l", "pkg"], "not a module name or glob: -l"),
        (["pkg/a.py"], ["pkg.a"], "not a module name or glob: pkg.a"),
    ],
)
def test_what_cannot_be_saved_is_said(
    save: Callable[..., subprocess.CompletedProcess[str]], names: list[str], globs: list[str], message: str
) -> None:
    assert message in save(names, *globs).stderr
    assert "put 2 dists below" in save(["pkg/a.py"], "pkg", dists=2).stderr
