"""Roots of the other architecture, emulated: what they build has the bytes of any side; what is installed runs."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.builders import BuildJob, Built, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.emulation import MACHINE, patience
from elpack.builders.roots import Roots
from elpack.config.builds import Limits
from elpack.errors import BuildError
from elpack.model import ARCHES
from elpack.run import run
from elpack.smoke import Session, SmokeStep
from elpack.steps.smoke import smoke_root
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target
from elpack.tools.createrepo import create_repository
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import read_headers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.arm64, pytest.mark.root]

# content-addressed, and shared with the program's own runs in this checkout
STANDIN = Path(__file__).parents[2] / ".elpack" / "standin"
OTHER = next(arch for arch in ARCHES if arch != MACHINE)

SPEC = """\
%global python3_pkgversion 3.11
{globals}
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: A trial of another architecture
License: MIT
{tags}
%description
Trial.
%prep
%setup -q -c -T
{build}
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""
NOARCH = """\
%build
echo 'print("%{_arch} %{_target_cpu} %{_lib} %{python3_sitearch}")' >trial.py
touch trial-1.0.tar
%install
install -D -m 644 trial.py %{buildroot}%{python3_sitelib}/trial.py
%py_byte_compile %{python3} %{buildroot}%{python3_sitelib}
%files
%pycached %{python3_sitelib}/trial.py
"""
COMPILED = """\
%build
cat >answer.c <<END
#include <stdio.h>
int main(void) { puts("the answer"); return 0; }
END
$CC $CFLAGS $LDFLAGS -o answer answer.c
%install
install -D -m 755 answer %{buildroot}/opt/trial/bin/answer
%check
test "$(%{buildroot}/opt/trial/bin/answer)" = "the answer"
uname -m
%post
/opt/trial/bin/answer >/opt/trial/said
%files
/opt/trial/bin/answer
"""
CARRIED = """\
%install
install -D -m 755 %{SOURCE0} %{buildroot}/opt/trial/bin/answer
%files
/opt/trial/bin/answer
"""
SERVER = """\
import platform, signal, socket
signal.signal(signal.SIGTERM, lambda *_: exit(0))
with socket.create_server(("127.0.0.1", 4711)) as server:
    while True:
        server.accept()[0].sendall(platform.machine().encode())
"""
CLIENT = "import socket; print(socket.create_connection(('127.0.0.1', 4711)).recv(99).decode())"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture(scope="module")
def builders(needs: Callable[..., None], emulated: str, place: Path) -> dict[str, BwrapBuilder]:
    """Return a builder for each architecture."""
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c")
    assert emulated == OTHER
    made = {}
    for arch in ARCHES:
        target = resolve_target(TargetChoice("el9-standin", "3.11", ARCHES), arch)
        repository = Repository("standin", str(build_standin(target, STANDIN)))
        made[arch] = BwrapBuilder(target, (repository,), place / arch)
    return made


def job(
    folder: Path, name: str, build: str, *, tags: str = "", globals_: str = "", source: Path | None = None
) -> BuildJob:
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / f"{name}.spec"
    sources = (source,) if source else ()
    tags = "\n".join([tags, *(f"Source{number}: {path.name}" for number, path in enumerate(sources))])
    spec.write_text(SPEC.format(name=name, build=build, tags=tags, globals=globals_))
    requires = tuple(re.findall(r"^BuildRequires: (.*)$", spec.read_text(), re.MULTILINE))
    return BuildJob(name, spec, sources, requires, folder / "logs" / f"{name}.log")


def digests(built: Built) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (built.srpm, *built.rpms)}


@pytest.fixture(scope="module")
def compiled(builders: dict[str, BwrapBuilder], place: Path) -> Built:
    """Return what was compiled in an emulated root."""
    (built,) = builders[OTHER].build(
        (job(place / "compiled", "trial", f"%build\n%set_build_flags{COMPILED[6:]}", tags="BuildRequires: gcc"),),
        place / "compiled" / "out",
    )
    return built


@pytest.fixture(scope="module")
def installed(builders: dict[str, BwrapBuilder], compiled: Built, place: Path) -> Path:
    """Return an emulated root with the package and its scriptlet's traces."""
    create_repository(compiled.rpms[0].parent)
    target, base = builders[OTHER].target, builders[OTHER].repositories
    dnf = Dnf(base, target.arch, "9", place / "dnf")
    root = Roots(dnf, target.root, place / "roots").base()
    ours = replace(dnf, repositories=(*base, Repository("trial", str(compiled.rpms[0].parent))))
    ours.install(root, ("trial", target.python_rpm), place / "install.log")
    return root


def test_noarch_packages_have_the_same_bytes_from_either_side(
    builders: dict[str, BwrapBuilder], tmp_path: Path
) -> None:
    tags = "BuildArch: noarch\nBuildRequires: python3.11-devel"
    found = {}
    for arch, builder in builders.items():
        one = replace(job(tmp_path / arch, "trial", NOARCH, tags=tags), arch=ARCHES[0])
        (built,) = builder.build((one,), tmp_path / arch / "out")
        found[arch] = digests(built)
    assert set(found[OTHER]) == {"trial-1.0-1.el9s.src.rpm", "trial-1.0-1.el9s.noarch.rpm"}
    assert found[OTHER] == found[MACHINE]


def test_repackaged_code_has_the_same_bytes_from_either_side(
    builders: dict[str, BwrapBuilder], installed: Path, tmp_path: Path
) -> None:
    source = installed / "opt/trial/bin/answer"
    found = {}
    for arch, builder in builders.items():
        quiet = "%global debug_package %{nil}\n%global __strip /bin/true"
        one = replace(job(tmp_path / arch, "carried", CARRIED, globals_=quiet, source=source), arch=OTHER)
        (built,) = builder.build((replace(one, foreign=False),), tmp_path / arch / "out")
        found[arch] = digests(built)
        (header,) = read_headers(built.rpms)
        assert any(require.startswith("libc.so.6(GLIBC_") for require in header.requires)
    assert set(found[OTHER]) == {"carried-1.0-1.el9s.src.rpm", f"carried-1.0-1.el9s.{OTHER}.rpm"}
    assert found[OTHER] == found[MACHINE]


def test_what_is_compiled_runs_and_has_debug_packages(compiled: Built) -> None:
    assert {path.name.rpartition(".rpm")[0] for path in compiled.rpms} == {
        f"{name}-1.0-1.el9s.{OTHER}" for name in ("trial", "trial-debuginfo", "trial-debugsource")
    }
    assert OTHER in compiled.job.log.read_text().splitlines()


def test_an_emulated_build_is_held_like_any_other(builders: dict[str, BwrapBuilder], tmp_path: Path) -> None:
    look = """\
%build
! unshare --user true
! unshare --mount true
! mount -t tmpfs none /tmp
id
grep -E '^(NoNewPrivs|CapEff|Seccomp)' /proc/self/status
%files
"""
    one = job(tmp_path, "held", look, tags="BuildArch: noarch")
    builders[OTHER].build((one,), tmp_path / "out")
    log = one.log.read_text()
    assert "uid=61000(mockbuild)" in log
    for line in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2"):
        assert line in log.splitlines()


def test_an_emulated_build_that_takes_too_long_is_ended(builders: dict[str, BwrapBuilder], tmp_path: Path) -> None:
    one = replace(job(tmp_path, "slow", "%build\nsleep 471147\n%files\n", tags="BuildArch: noarch"), arch=ARCHES[0])
    with pytest.raises(BuildError, match="it did not end within 8 s") as caught:
        builders[OTHER].build((replace(one, limits=Limits(time=8)),), tmp_path / "out")
    assert caught.value.problems[0].why.startswith("it was emulated")
    running = subprocess.run(("pgrep", "-f", "sleep 471147"), capture_output=True, text=True, check=False)
    assert running.stdout == ""


def test_a_failed_build_gives_a_shell_in_its_emulated_root(builders: dict[str, BwrapBuilder], tmp_path: Path) -> None:
    one = job(tmp_path, "broken", "%build\necho it broke; false\n%files\n", tags="BuildArch: noarch")
    with pytest.raises(BuildError, match="it broke") as caught:
        builders[OTHER].build((one,), tmp_path / "out")
    script = f"{one.log}.sh"
    assert f"sh {script} shell" in caught.value.problems[0].fix
    again = subprocess.run(("sh", script), capture_output=True, text=True, check=False)
    assert again.returncode
    assert "it broke" in again.stdout
    shell = subprocess.run(
        ("sh", script, "shell"), input="uname -m; id -un\n", capture_output=True, text=True, check=False
    )
    assert shell.stdout.split() == [OTHER, "mockbuild"]


def test_scriptlets_of_the_other_architecture_run(installed: Path) -> None:
    assert (installed / "opt/trial/said").read_text() == "the answer\n"


def test_an_installed_root_is_tried_by_its_own_programs(installed: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "server.py").write_text(SERVER)
    python = resolve_target(TargetChoice("el9-standin", "3.11", ARCHES), OTHER).interpreter
    session = Session(
        (
            SmokeStep("answer", ("/opt/trial/bin/answer",), expect=("^the answer$",)),
            SmokeStep("start", (python, "/run/elpack/files/server.py"), background=True, ready="tcp:4711", timeout=10),
            SmokeStep("ask", (python, "-c", CLIENT), expect=(f"^{OTHER}$",), timeout=10),
            SmokeStep("stop", signal="SIGTERM", ends="start", timeout=2),
        )
    ).slower(patience(OTHER))
    report = smoke_root(installed, session, interpreter=python, files=files, logs=tmp_path / "logs", runner=run)
    assert [step.status for step in report.steps] == ["ok"] * 4
    assert platform.machine() == MACHINE
