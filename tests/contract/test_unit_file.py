"""The WAMP release's service files, judged by systemd's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.config import parse_release
from elpack.run import Command, run
from elpack.service import Service, render_sysusers, render_unit

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
HOSTILE = Service(
    name="hostile",
    description="50% off; $(touch me) #",
    user="hostile",
    exec_start=("/usr/bin/true", ";", "a;b", "%n", "$HOME", 'quo"te', "back\\slash", "'", "two words"),
    state_directory="hostile",
    environment={"A": '%i $B "c"'},
)


@pytest.fixture(scope="module")
def service() -> Service:
    release = parse_release((REPOSITORY / "elpack.toml").read_text())
    assert release.service is not None
    return release.service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root in which programs and targets that units name are there."""
    for target in ("multi-user", "network-online", "sysinit", "basic", "shutdown"):
        unit = tmp_path / "usr/lib/systemd/system" / f"{target}.target"
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text("[Unit]\nDescription=A target\nDefaultDependencies=no\n")
    return tmp_path


def verify(service: Service, root: Path) -> str:
    program = root / service.exec_start[0].lstrip("/")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(mode=0o755)
    unit = root / "usr/lib/systemd/system" / f"{service.name}.service"
    unit.write_text(render_unit(service))
    # Manual pages are looked for on the host, not in the root, hence --man=no.
    options = (f"--root={root}", "--recursive-errors=yes", "--man=no")
    done = run(Command(("systemd-analyze", "verify", *options, f"/usr/lib/systemd/system/{service.name}.service")))
    return done.check().stdout + done.stderr


def test_systemd_finds_nothing_wrong(service: Service, root: Path, needs: Callable[..., None]) -> None:
    needs("systemd-analyze")
    assert verify(service, root) == ""


def test_hostile_text_stays_text(root: Path, needs: Callable[..., None]) -> None:
    needs("systemd-analyze")
    assert verify(HOSTILE, root) == ""


def test_verify_would_have_said_so(root: Path, needs: Callable[..., None]) -> None:
    needs("systemd-analyze")
    unit = root / "usr/lib/systemd/system/bad.service"
    unit.write_text("[Service]\nExecStart=/no/such/program\nNoSuchKey=1\n")
    options = (f"--root={root}", "--recursive-errors=yes", "--man=no")
    done = run(Command(("systemd-analyze", "verify", *options, "/usr/lib/systemd/system/bad.service")))
    assert done.returncode != 0
    assert "NoSuchKey" in done.stderr


def test_exposure_is_low(service: Service, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("systemd-analyze")
    unit = tmp_path / f"{service.name}.service"
    unit.write_text(render_unit(service))
    run(Command(("systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)))).check()


@pytest.mark.parametrize("which", ["release", "hostile"])
def test_sysusers_makes_the_account(which: str, service: Service, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("systemd-sysusers")
    subject = service if which == "release" else HOSTILE
    (tmp_path / "etc").mkdir()
    (tmp_path / "account.conf").write_text(render_sysusers(subject))
    run(Command(("systemd-sysusers", f"--root={tmp_path}", str(tmp_path / "account.conf")))).check()
    account = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert account[0] == subject.user
    # a shell reads the title on EL9: it loses what a shell would act on
    title = subject.description if which == "release" else "50 off (touch me) "
    assert account[4:] == [title, subject.home, "/usr/sbin/nologin"]


def test_node_configuration_listens_on_loopback_only() -> None:
    text = (REPOSITORY / "specs/crossbar/config.json").read_text()
    assert text.count('"interface"') == text.count('"endpoint"') == 1
    assert '"interface": "127.0.0.1"' in text
    assert '"uri": ""' not in text


def test_man_page_has_no_warnings(needs: Callable[..., None]) -> None:
    needs("groff")
    page = REPOSITORY / "specs/crossbar/crossbar.1"
    done = run(Command(("groff", "-man", "-ww", "-z", "-Tutf8", str(page))))
    assert (done.returncode, done.stderr) == (0, "")
