"""Packages built on the stand-in as EL9 builds them: debug packages, hardening, extras, dynamic build requirements."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from elpack.builders import BuildJob, Built, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.errors import BuildError
from elpack.steps.repository import About, Packages, publish
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target
from elpack.tools.createrepo import create_repository
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import RpmHeader, read_headers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

# content-addressed, and shared with the program's own runs in this checkout
STANDIN = Path(__file__).parents[2] / ".elpack" / "standin"

HEAD = """\
%global python3_pkgversion 3.11
{globals}
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A trial
License: MIT
"""
TAIL = """
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""
NATIVE = """\
Source0: native-1.0.tar.gz
BuildRequires: gcc
%description
Trial.
%prep
%autosetup -n native-1.0
%build
%set_build_flags
$CC $CFLAGS -fPIC -shared $LDFLAGS {flags} -o libx.so x.c
$CC $CFLAGS $LDFLAGS -o prog main.c
%install
install -D -m 755 libx.so %{{buildroot}}%{{_prefix}}/lib/libx.so
install -D -m 755 prog %{{buildroot}}%{{_prefix}}/bin/prog
%files
%{{_prefix}}/lib/libx.so
%{{_prefix}}/bin/prog
"""
LIBRARY = """#include <stdio.h>
static int helper(int a) { char b[64]; snprintf(b, sizeof b, "%d", a); return b[0]; }
int answer(int a) { return helper(a) + 42; }
"""
PROGRAM = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'

PIP = """\
BuildArch: noarch
BuildRequires: python3.11-devel
BuildRequires: python3.11-pip-wheel
BuildRequires: unzip
%description
Trial.
%prep
%build
%install
mkdir -p %{buildroot}%{python3_sitelib}
unzip -q /usr/share/python-wheels/pip-*.whl -d %{buildroot}%{python3_sitelib}
%files
%{python3_sitelib}/*
"""
DEMO = """\
Source0: demo-1.0.tar.gz
BuildArch: noarch
BuildRequires: python3.11-devel
BuildRequires: pyproject-rpm-macros
%description
Trial.
%pyproject_extras_subpkg -n python3.11-demo fancy
%prep
%autosetup -n demo-1.0
%generate_buildrequires
%pyproject_buildrequires {options}
%build
%pyproject_wheel
%install
%pyproject_install
%pyproject_save_files demo
mkdir -p %{{buildroot}}%{{_datadir}}/demo
printf '#!/usr/bin/env bash\\n' > %{{buildroot}}%{{_datadir}}/demo/script
chmod 755 %{{buildroot}}%{{_datadir}}/demo/script
%check
%pyproject_check_import
%py3_check_import demo.part
%files -f %{{pyproject_files}}
%{{_bindir}}/demo
%{{_datadir}}/demo
"""
BACKEND = """
import pathlib, zipfile
INFO = "demo-1.0.dist-info"
FILES = {
    "demo/__init__.py": "def main(): print(__debug__)\\n",
    "demo/part.py": "",
    f"{INFO}/METADATA": '''Metadata-Version: 2.1
Name: demo
Version: 1.0
Provides-Extra: fancy
Requires-Dist: pip!=1.*,>=20.0
Requires-Dist: pip~=23.0; extra == 'fancy'
''',
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\\ndemo = demo:main\\n",
    f"{INFO}/licenses/LICENSE": "MIT\\n",
}
def prepare_metadata_for_build_wheel(folder, settings=None):
    place = pathlib.Path(folder, INFO)
    place.mkdir()
    (place / "METADATA").write_text(FILES[f"{INFO}/METADATA"])
    return INFO
def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/demo-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{INFO}/RECORD", "".join(f"{name},,\\n" for name in [*FILES, f"{INFO}/RECORD"]))
    return "demo-1.0-py3-none-any.whl"
"""
PROJECT = '[build-system]\nrequires = [{requires}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class Place(NamedTuple):
    """Where packages are built, and from which repositories."""

    builder: BwrapBuilder
    folder: Path


@pytest.fixture(scope="module")
def place(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Place:
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c", "readelf", "eu-unstrip")
    target = resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")
    folder = tmp_path_factory.mktemp("compiled")
    return Place(BwrapBuilder(target, (Repository("standin", str(build_standin(target, STANDIN))),), folder), folder)


def build(place: Place, name: str, spec: str, sources: dict[str, str], extra: tuple[Repository, ...] = ()) -> Built:
    """Build a spec whose source is an archive of these files."""
    digest = hashlib.sha256(repr((spec, sources)).encode()).hexdigest()
    work = place.folder / f"job-{name}-{digest[:8]}"
    work.mkdir(exist_ok=True)
    (work / f"{name}.spec").write_text(spec)
    archives = []
    if sources:
        top = f"{name.rpartition('-')[2]}-1.0"
        archives.append(work / f"{top}.tar.gz")
        for file, text in sources.items():
            (work / top).mkdir(exist_ok=True)
            (work / top / file).write_text(text)
        if not archives[0].exists():  # two builds of one job are to have one source
            with tarfile.open(archives[0], "w:gz") as archive:
                archive.add(work / top, top)
    static = [line.partition(": ")[2] for line in spec.splitlines() if line.startswith("BuildRequires")]
    job = BuildJob(name, work / f"{name}.spec", tuple(archives), tuple(static), work / "build.log")
    builder = BwrapBuilder(place.builder.target, place.builder.repositories, place.folder, extra=extra)
    (built,) = builder.build((job,), work / "out")
    return built


def native(place: Place, flags: str = "") -> Built:
    globals_ = "%global _prefix /opt/demo\n%global _build_id_links alldebug"
    head = HEAD.format(name="demo-native", globals=globals_)
    return build(place, "demo-native", head + NATIVE.format(flags=flags) + TAIL, {"x.c": LIBRARY, "main.c": PROGRAM})


@pytest.fixture(scope="module")
def compiled(place: Place) -> dict[str, RpmHeader]:
    return {header.name: header for header in read_headers(native(place).rpms)}


@pytest.fixture(scope="module")
def installed(place: Place, compiled: dict[str, RpmHeader]) -> Path:
    """Return a root with the package and its debug packages, from a published repository each."""
    debug = [header.path for name, header in compiled.items() if "-debug" in name]
    main = [compiled["demo-native"].path]
    published = place.folder / "published"
    about = About("demo", "demo", "demo for a test", published.as_uri())
    publish(Packages(tuple(main), tuple(debug)), published, about)
    text = (published / "demo.repo").read_text()
    assert "\n[demo-debuginfo]\n" in text
    assert "enabled=0" in text.partition("[demo-debuginfo]")[2]
    repositories = [Repository(name, str(published / name)) for name in ("repo", "debug")]
    root = place.folder / "installed"
    dnf = Dnf((*place.builder.repositories, *repositories), "x86_64", "9", place.folder / "dnf-installed")
    dnf.install(root, [header.name for header in compiled.values()], place.folder / "install.log")
    pure = place.folder / "published-pure"
    publish(Packages(tuple(main)), pure, about)
    assert not (pure / "debug").exists()
    assert "debuginfo" not in (pure / "demo.repo").read_text()
    return root


def tool(*command: str | Path) -> str:
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def build_id(file: Path) -> str:
    return tool("readelf", "-n", file).partition("Build ID: ")[2].split()[0]


def test_what_is_compiled_has_debug_packages(compiled: dict[str, RpmHeader]) -> None:
    assert set(compiled) == {"demo-native", "demo-native-debuginfo", "demo-native-debugsource"}
    assert compiled["demo-native"].files == ("/opt/demo/bin/prog", "/opt/demo/lib/libx.so")
    debug = compiled["demo-native-debuginfo"].files
    assert all(file.startswith("/usr/lib/debug/") for file in debug)
    assert len([file for file in debug if "/.build-id/" in file]) == 4
    source = "/usr/src/debug/demo-native-1.0-1.el9s.x86_64"
    assert compiled["demo-native-debugsource"].files == (f"{source}/main.c", f"{source}/x.c")


def test_debug_packages_belong_to_what_was_stripped(installed: Path) -> None:
    library = installed / "opt/demo/lib/libx.so"
    sections = tool("readelf", "-SW", library)
    assert ".debug_info" not in sections
    assert ".gnu_debugdata" in sections
    number = build_id(library)
    (symbols,) = installed.glob("usr/lib/debug/opt/demo/lib/libx.so-*.debug")
    assert build_id(symbols) == number
    link = installed / f"usr/lib/debug/.build-id/{number[:2]}/{number[2:]}.debug"
    assert link.resolve() == symbols
    assert link.with_suffix("").resolve() == library
    whole = installed / "whole.so"
    tool("eu-unstrip", "-f", library, symbols, "-o", whole)
    lines = tool("readelf", "--debug-dump=decodedline", whole)
    assert "x.c" in lines
    assert (installed / "usr/src/debug/demo-native-1.0-1.el9s.x86_64/x.c").read_text() == LIBRARY


def test_two_builds_give_the_same_debug_packages(place: Place) -> None:
    def digests() -> dict[str, str]:
        built = native(place)
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (built.srpm, *built.rpms)}

    assert digests() == digests()


@pytest.mark.parametrize("file", ["opt/demo/lib/libx.so", "opt/demo/bin/prog"])
def test_the_targets_flags_harden(installed: Path, file: str) -> None:
    program, dynamic = tool("readelf", "-lW", installed / file), tool("readelf", "-dW", installed / file)
    assert "GNU_RELRO" in program
    assert "BIND_NOW" in dynamic
    assert "RWE" not in program
    assert "PATH" not in dynamic
    if file.endswith("prog"):
        assert "PIE" in dynamic
    else:
        symbols = tool("readelf", "--dyn-syms", "-W", installed / file)
        assert "__snprintf_chk" in symbols
        assert "__stack_chk_fail" in symbols
        assert "endbr64" in tool("objdump", "-d", installed / file)


def test_a_path_into_the_build_root_is_refused(place: Place) -> None:
    with pytest.raises(BuildError, match="rpath"):
        native(place, "-Wl,-rpath,/builddir/build/BUILD")


@pytest.fixture(scope="module")
def tools(place: Place) -> Repository:
    """Return a repository with pip, which the stand-in's base has only as a wheel."""
    globals_ = "%global __requires_exclude .*"
    spec = HEAD.format(name="python3.11-pip", globals=globals_) + PIP + TAIL
    built = build(place, "python3.11-pip", spec, {})
    create_repository(built.rpms[0].parent)
    return Repository("tools", str(built.rpms[0].parent), 1)


def demo(place: Place, tools: Repository, options: str = "", requires: str = '"pip>=20"') -> Built:
    spec = HEAD.format(name="python3.11-demo", globals="") + DEMO.format(options=options) + TAIL
    project = {"pyproject.toml": PROJECT.format(requires=requires), "backend.py": BACKEND}
    return build(place, "python3.11-demo", spec, project, (tools,))


def test_a_spec_that_asks_the_backend_gets_what_it_asks_for(place: Place, tools: Repository) -> None:
    built = demo(place, tools, "-x fancy")
    files = (built.srpm, *built.rpms)
    first = {path.name: path.read_bytes() for path in files}
    main, extra = sorted(read_headers(built.rpms), key=lambda header: len(header.name))
    bounds = "(python3.11dist(pip) >= 23 with python3.11dist(pip) < 24)"
    not_one = "((python3.11dist(pip) < 1 or python3.11dist(pip) >= 2) with python3.11dist(pip) >= 20)"
    (source,) = read_headers([built.srpm])
    # what was found while it was built stands in the source package
    assert {bounds, not_one, "python3.11dist(pip) >= 20", "pyproject-rpm-macros"} <= set(source.requires)
    assert extra.name == "python3.11-demo+fancy"
    assert {"python3.11dist(demo[fancy]) = 1"} <= set(extra.provides)
    assert {bounds, "python3.11-demo = 1.0-1.el9s", "python(abi) = 3.11"} <= set(extra.requires)
    assert extra.files == ()
    assert "python3.11dist(demo) = 1" in main.provides
    assert {"python(abi) = 3.11", "/usr/bin/python3.11", "/usr/bin/bash"} <= set(main.requires)
    assert bounds not in main.requires
    site = "/usr/lib/python3.11/site-packages/demo"
    caches = {
        f"{site}/__pycache__/{name}.cpython-311{level}.pyc" for name in ("__init__", "part") for level in ("", ".opt-1")
    }
    assert caches <= set(main.files)
    assert [file for file in main.files if file.endswith((".opt-2.pyc", "RECORD"))] == []
    assert "Check import: demo.part" in built.job.log.read_text()
    demo(place, tools, "-x fancy")
    assert {path.name: path.read_bytes() for path in files} == first


def test_what_cannot_be_had_is_named(place: Place, tools: Repository) -> None:
    with pytest.raises(BuildError, match=r"no repository provides python3\.11dist\(nosuch\[x\]\)") as caught:
        demo(place, tools, "-R", '"nosuch[x]"')
    assert caught.value.problems[0].where == "python3.11-demo"
