"""The bundle of the real release: the stack's own tree in one RPM, and hosts that go from one to the other and back.

It is made of what the stack's RPMs hold, so nothing is compiled for it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.version import Version
from tests.integration.wamp import DISTS, OUTPUT, PROJECT, STANDIN, Run, ask, elpack, in_root, rpms
from tests.rpmtools import rpmlint

from elpack.builders import Repository
from elpack.builders.roots import Roots
from elpack.requirements import provided_version
from elpack.run import run
from elpack.steps.base import base, choose_target
from elpack.steps.project import read_project
from elpack.tools.dnf import Dnf
from elpack.tools.rpm import read_headers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.integration]

BUNDLE = OUTPUT / "bundle"
RPM = "crossbar-bundle-26.10.1-1.el9s.x86_64.rpm"
# All that rpm notes of a file's identity and treatment. The path comes last, because it may hold blanks.
FILES = (
    "[%{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME} %{LONGFILESIZES} %{FILEMTIMES} %{FILEFLAGS}"
    " %{FILEVERIFYFLAGS} .%{FILEDIGESTS} .%{FILECAPS} .%{FILELANGS} .%{FILELINKTOS}\\t%{FILENAMES}\\n]"
)
FOLDER = "40"
LICENCE = 1 << 7

CONFIG, DATA = "etc/crossbar/config.json", "var/lib/crossbar/key.priv"
ENABLED = "etc/systemd/system/multi-user.target.wants/crossbar.service"
STACK_TO_BUNDLE = ("swap", "crossbar", "crossbar-bundle")
BUNDLE_TO_STACK = ("swap", "crossbar-bundle", "crossbar")
# Of an installed system, what transactions write for themselves.
NOT_OURS = (
    "var/lib/rpm/",
    "var/lib/dnf/",
    "var/cache/",
    "var/log/",
    "run/",
    "tmp/",
    "proc/",
    "dev/",
    "etc/ld.so.cache",
)


@pytest.fixture(scope="module")
def bundle(rpm_all: Run) -> Run:
    """Make the bundle of what `rpm-all` built."""
    done = elpack("rpm-all", *STANDIN, "--layout", "bundle")
    assert done.returncode == 0, done.stderr[-6000:]
    return Run(done.stdout + done.stderr, json.loads((BUNDLE / "manifest.json").read_text()))


def test_rpmlint_finds_nothing(bundle: Run) -> None:
    assert bundle.artefacts("rpm")
    assert rpmlint(*rpms(BUNDLE / "repo")) == []


def tree(paths: list[Path]) -> dict[str, set[str]]:
    """Return what packages own: by path, what rpm notes of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in ask(FILES, paths):
        facts, _, path = line.rpartition("\t")
        found[path].add(facts)
    return found


def test_nothing_is_built_but_the_bundle(bundle: Run) -> None:
    assert set(re.findall(r"^ *building (\S+)", bundle.text, re.MULTILINE)) <= {RPM.removesuffix(".x86_64.rpm")}
    assert [entry["name"] for entry in bundle.artefacts("rpm")] == [RPM]
    assert [path.name for path in rpms(BUNDLE / "repo")] == [RPM]


def test_its_tree_is_that_of_the_stack_file_by_file(bundle: Run) -> None:
    ours, theirs = tree([BUNDLE / "repo" / RPM]), tree(rpms())
    assert len(theirs) > 10_000
    assert ours.keys() ^ theirs.keys() == set()
    several = {path: facts for path, facts in theirs.items() if len(facts) > 1}
    # folders that several packages of the stack own differ in nothing but their times, of which the bundle has one
    assert all(fact.startswith(FOLDER) for facts in several.values() for fact in facts), several
    assert {path: facts for path, facts in ours.items() if len(facts) != 1 or not facts <= theirs[path]} == {}


def test_every_licence_text_of_the_stack_is_marked_in_it(bundle: Run) -> None:
    marked = [path for path, facts in tree([BUNDLE / "repo" / RPM]).items() if int(_flags(facts)) & LICENCE]
    dists = {match[1] for path in marked if (match := re.search(r"/([^/]+)\.dist-info/", path))}
    assert len(marked) > len(dists) > 120


def _flags(facts: set[str]) -> str:
    (fact,) = facts
    return fact.split(" ")[5]


def test_it_says_which_dists_are_in_it(rpm_all: Run, bundle: Run) -> None:
    (header,) = read_headers([BUNDLE / "repo" / RPM])
    locked = [entry["dist"].split("==") for entry in rpm_all.artefacts("rpm") if entry["node"] != "runtime"]
    assert len(locked) == DISTS
    dists = {f"bundled(python3.11dist({name})) = {provided_version(Version(version))}" for name, version in locked}
    vendored = {provide for header in read_headers(rpms()) for provide in header.provides if "bundled(" in provide}
    assert any("bundled(lmdb)" in provide for provide in vendored)
    assert {provide for provide in header.provides if provide.startswith("bundled(")} == dists | vendored


def test_it_offers_what_the_stack_offers_and_nothing_else(bundle: Run) -> None:
    (header,) = read_headers([BUNDLE / "repo" / RPM])
    own = {provide.split(" ")[0] for provide in header.provides if not provide.startswith("bundled(")}
    assert own == {
        "python3-crossbar", "crossbar-bundle", "crossbar-bundle(x86-64)", "config(crossbar-bundle)", "user(crossbar)",
        "group(crossbar)",
    } & own  # fmt: skip
    assert {"python3-crossbar", "crossbar-bundle"} <= own


def test_it_requires_of_the_target_what_the_stack_requires(bundle: Run) -> None:
    (header,) = read_headers([BUNDLE / "repo" / RPM])
    stack = {require for header in read_headers(rpms()) for require in header.requires}
    outside = {require for require in stack if not re.match(r"(config\()?crossbar", require)}
    assert {require for require in header.requires if not require.startswith("config(crossbar-bundle)")} == outside


def test_its_licence_is_that_of_every_part(bundle: Run) -> None:
    (whole,) = ask("%{LICENSE}\\n", [BUNDLE / "repo" / RPM])
    assert canonicalize_license_expression(whole) == whole
    terms = set(whole.split(" AND "))
    for part in ask("%{LICENSE}\\n", rpms()):
        pieces = {f"({part})"} if " OR " in part and "(" not in part else set(part.split(" AND "))
        assert pieces <= terms, part


@dataclass(frozen=True)
class Host:
    """A clean root with both repositories at hand."""

    root: Path
    tool: Dnf
    log: Path

    def dnf(self, *arguments: str) -> None:
        """Have one transaction, documentation included, as on a host."""
        done = run(self.tool.command(self.root, ("--setopt=tsflags=", *arguments), self.log))
        assert done.returncode == 0, done.tail(40)
        text = self.log.read_text()
        assert "scriptlet failed" not in text
        # rpm says so when it removes a package; that a switch saves nothing, `files` tells
        assert set(re.findall(r"warning: .*", text)) <= {f"warning: /{CONFIG} saved as /{CONFIG}.rpmsave"}

    def packages(self) -> set[str]:
        """Return the names of our packages that are installed."""
        names = in_root(self.root, "rpm", "-qa", "--queryformat", "%{NAME}\\n").split()
        return {name for name in names if name.startswith("crossbar")}

    def files(self) -> set[str]:
        """Return the paths of what is there, but for what transactions write for themselves."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()}
        return {path for path in found if not path.startswith(NOT_OURS)}

    def kept(self) -> dict[str, object]:
        """Return all that a switch may not touch."""
        state: dict[str, object] = {}
        for name in (CONFIG, DATA):
            path = self.root / name
            facts = path.stat()
            state[name] = (path.read_bytes(), facts.st_mode, facts.st_uid, facts.st_gid, facts.st_mtime_ns)
        state["enabled"] = (self.root / ENABLED).readlink()
        state["is-enabled"] = in_root(self.root, "systemctl", "is-enabled", "crossbar.service")
        for name in ("passwd", "group", "shadow"):
            state[name] = (self.root / "etc" / name).read_text()
        return state

    def used(self) -> dict[str, object]:
        """Do what an administrator and a running node do after the first installation; return `kept`."""
        config = self.root / CONFIG
        config.write_text(config.read_text().replace("realm1", "realm-of-mine"))
        data = self.root / DATA
        data.parent.mkdir()
        data.write_bytes(bytes(range(256)))
        in_root(self.root, "chown", "-R", "crossbar:crossbar", "/var/lib/crossbar")
        data.chmod(0o600)
        in_root(self.root, "systemctl", "enable", "crossbar.service")
        return self.kept()

    def check(self) -> None:
        """Check that what is installed is whole, and that it runs."""
        unbuffered = {"PYTHONUNBUFFERED": "1"}  # without a terminal crossbar loses what it prints last
        assert "26.10.1" in in_root(self.root, "crossbar", "version", env=unbuffered)
        changed = in_root(self.root, "rpm", "-V", *sorted(self.packages()), ok=False).splitlines()
        assert [line.split() for line in changed] == [["S.5....T.", "c", f"/{CONFIG}"]]


@pytest.fixture(scope="module")
def switches(bundle: Run) -> Workspace:
    """Return the workspace whose repositories hosts are switched between."""
    return Workspace(PROJECT / "elpack.toml", PROJECT / ".elpack", PROJECT / "dist")


@contextmanager
def host(workspace: Workspace, log: Path) -> Iterator[Host]:
    """Give a clean root of the target, with both repositories at hand."""
    target, _ = choose_target(read_project(workspace).release, "el9-standin", "x86_64")
    system = base(target, workspace).repositories
    ours = (Repository("stack", str(OUTPUT / "repo")), Repository("bundle", str(BUNDLE / "repo")))
    work = workspace.work / "roots"
    tool = Dnf((*system, *ours), target.arch, str(target.el), work / "dnf")
    roots = Roots(Dnf(system, target.arch, str(target.el), work / "dnf"), target.root, work)
    with roots.clean_root() as root:
        yield Host(root.path, tool, log)


@pytest.mark.parametrize(
    ("to_bundle", "to_stack"),
    [
        pytest.param(STACK_TO_BUNDLE, BUNDLE_TO_STACK, id="swap"),
        pytest.param(
            ("install", "--allowerasing", "crossbar-bundle"), ("install", "--allowerasing", "crossbar"), id="erasing"
        ),
    ],
)
def test_a_host_goes_to_the_bundle_and_back_by_one_transaction_each(
    switches: Workspace, to_bundle: tuple[str, ...], to_stack: tuple[str, ...], tmp_path: Path
) -> None:
    with host(switches, tmp_path / "dnf.log") as place:
        place.dnf("install", "crossbar")
        stack = place.packages()
        assert len(stack) == DISTS + 1
        kept, files = place.used(), place.files()
        for command, installed in ((to_bundle, {"crossbar-bundle"}), (to_stack, stack)):
            place.dnf(*command)
            assert place.packages() == installed
            assert place.kept() == kept
            assert place.files() ^ files == set()  # no .rpmsave and no .rpmnew either
            place.check()
        place.dnf("remove", "crossbar")
        assert place.packages() == set()
        assert not (place.root / ENABLED).is_symlink()
        assert (place.root / f"{CONFIG}.rpmsave").exists()
        assert (place.root / DATA).exists()
        assert not (place.root / "opt" / "crossbar").exists()


def test_with_both_repositories_the_customers_name_gives_the_stack(switches: Workspace, tmp_path: Path) -> None:
    with host(switches, tmp_path / "dnf.log") as place:
        place.dnf("install", "python3-crossbar")
        assert "crossbar-bundle" not in place.packages()


SYSTEMCTL = '#!/bin/sh\necho "$@" >> /tmp/systemctl.calls\n'


def test_on_a_running_system_a_switch_restarts_the_service_and_removal_stops_it(
    switches: Workspace, tmp_path: Path
) -> None:
    with host(switches, tmp_path / "dnf.log") as place:
        calls = place.root / "tmp" / "systemctl.calls"
        program = place.root / "usr" / "bin" / "systemctl"
        program.unlink()
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        (place.root / "run" / "systemd" / "system").mkdir(parents=True)

        def asked(*arguments: str) -> list[str]:
            calls.write_text("")
            place.dnf(*arguments)
            return [line for line in calls.read_text().splitlines() if "crossbar" in line]

        assert asked("install", "crossbar-bundle") == ["--no-reload preset crossbar.service"]
        assert asked(*BUNDLE_TO_STACK) == ["try-restart crossbar.service"]
        assert asked(*STACK_TO_BUNDLE) == ["try-restart crossbar.service"]
        assert asked("remove", "crossbar-bundle") == ["--no-reload disable --now crossbar.service"]
