"""The real release, carried to a host without any network: verified, installed and smoke-tested there. Some 100 s.

It is installed twice into clean roots of the target: with the target's own packages from a repository of the host, as
from its DVD, and with what the delivery brings of them.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.contract.airgap.delivered import Delivered
from tests.contract.airgap.host import Host
from tests.integration.wamp import PROJECT, STANDIN, Run

from elpack.builders.roots import Roots
from elpack.cli.options import session_of
from elpack.pipeline import carry_out
from elpack.run import run
from elpack.smoke import make_session, smoke_of
from elpack.steps.airgap import Made, Wish, deliver
from elpack.steps.base import base
from elpack.steps.sign import signer
from elpack.steps.smoke import SmokeReport, smoke_root
from elpack.tools.dnf import Dnf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from elpack.session import Session

pytestmark = [pytest.mark.root, pytest.mark.integration]


@pytest.fixture(scope="module")
def session(rpm_all: Run) -> Session:
    """Return a session that knows the plan of what was built."""
    return planned(PROJECT)


def planned(project: Path) -> Session:
    session = session_of(project / "elpack.toml", target=STANDIN[1], offline=True, quiet=True)
    carry_out(session, "plan")
    return session


def packed(session: Session, into: Path, *, with_base: bool) -> tuple[Made, Delivered]:
    """Deliver what was built, and unpack it as a customer would."""
    workspace, release = session.workspace, session.project.release
    (made,) = deliver(release, workspace, Wish((session.output,), with_base, offline=True), run)
    made.archive.rename(into / made.archive.name)
    made.fingerprints.unlink()
    made = replace(made, archive=into / made.archive.name)
    return made, Delivered.unpacked(made, signer(release.signing, workspace, run), into / "a stick")


@contextmanager
def minimal_root(session: Session, work: Path) -> Iterator[tuple[Path, str]]:
    """Give a clean root of the target, and the folder of the target's own packages."""
    target = session.target
    repositories = base(target, session.workspace, offline=True).repositories
    dnf = Dnf(repositories, target.arch, str(target.el), work / "dnf")
    with Roots(dnf, target.root, work, run).clean_root() as root:
        yield root.path, repositories[0].location


def smoked(session: Session, root: Path, logs: Path) -> SmokeReport:
    """Take the release's smoke test in an installed root; it has no network either."""
    release, plan = session.project.release, session.plan
    smoke = smoke_of(release, plan)
    steps = make_session(smoke, release.service, plan.places(), plan.versions())
    files = session.workspace.home / smoke.files
    return smoke_root(root, steps, interpreter=plan.target.interpreter, files=files, logs=logs, runner=run)


@pytest.mark.parametrize("bring", ["dvd", "base"])
def test_carried_verified_installed_and_tried(
    bring: str, session: Session, tmp_path: Path, needs: Callable[..., None]
) -> None:
    with_base = bring == "base"
    needs("unshare", "ip", "openssl")
    made, delivered = packed(session, tmp_path, with_base=with_base)
    assert (made.packages, made.base > 0) == (143, with_base)
    done = delivered.verify()
    assert done.code == 0, done.text
    host = Host.new(tmp_path / "host")
    with minimal_root(session, tmp_path / "roots") as (root, dvd):
        if not with_base:
            lacking = host.install(delivered, root=root)
            assert lacking.code == 4
            assert "nothing provides" in lacking.text, lacking.text
            repos = root / "etc" / "yum.repos.d"
            repos.mkdir(parents=True, exist_ok=True)
            # the stand-in's packages are not signed; those of a DVD are
            (repos / "dvd.repo").write_text(f"[dvd]\nname=dvd\nbaseurl=file://{dvd}\ngpgcheck=0\n")
        done = host.install(delivered, *([] if with_base else ["--with-host-repos"]), root=root)
        assert done.code == 0, done.text
        assert "lo: <LOOPBACK>" in done.text
        report = smoked(session, root, tmp_path / "logs")
    assert {step.status for step in report.steps} <= {"ok", "skipped"}
    assert {"client", "start", "version"} <= {step.name for step in report.steps if step.status == "ok"}


def test_one_flipped_byte_is_found_in_the_real_thing(session: Session, tmp_path: Path) -> None:
    _, delivered = packed(session, tmp_path, with_base=False)
    rpm = max((delivered.folder / "repo").glob("*.rpm"), key=lambda path: path.stat().st_size)
    subprocess.run(["dd", "if=/dev/zero", f"of={rpm}", "bs=1", "count=9", "seek=9999", "conv=notrunc"], check=True)
    done = delivered.verify()
    assert done.code == 1
    assert done.problems == {f"repo/{rpm.name}: it is not the file that was signed"}
