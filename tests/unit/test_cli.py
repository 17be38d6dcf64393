"""The command line: exit codes, what goes to which stream, and that no traceback reaches a user."""

from __future__ import annotations

import errno
import inspect
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from rich.console import Console
from tests.unit.plans import LIB, Case, el9
from typer.testing import CliRunner, Result

from elpack import cli, errors
from elpack.cli.guard import guarded
from elpack.each_arch import carry_out_each
from elpack.errors import ElpackError, Problem
from elpack.model import Way
from elpack.pipeline import PIPELINE, carry_out, need_tools
from elpack.plan.make import make_plan
from elpack.plan.model import NodeId
from elpack.report.console import console_on
from elpack.report.tables import plan_json, plan_table
from elpack.report.terminal import Terminal
from elpack.session import Options, Session
from elpack.steps.closure import Sources
from elpack.steps.watch import Unwatched
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable


COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
ERRORS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, ElpackError)]
PLAN = make_plan(Case().inputs())
ESCAPE = "\x1b"


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli.app, list(arguments))

    return run


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("elpack.steps.clean.clean_up", fail)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_its_text_and_exit_code(
    kind: type[ElpackError], invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(monkeypatch, kind(Problem("it broke", where="here", why="so", fix="mend [it]"), Problem("twice")))
    result = invoke("clean")
    assert result.exit_code == kind.exit_code
    assert result.stdout == ""
    assert result.stderr == f"error: {kind.title}\n• here: it broke\n  why: so\n  fix: mend [it]\n• twice\n"


def test_exit_codes_tell_the_classes_apart() -> None:
    direct = [kind for kind in ERRORS if kind.__base__ is ElpackError]
    codes = [kind.exit_code for kind in direct]
    assert len(set(codes)) == len(codes)
    assert {0, 1, 2, ElpackError.exit_code}.isdisjoint(codes)


def test_ctrl_c(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyboardInterrupt())
    result = invoke("clean")
    assert result.exit_code == 130
    assert result.stderr == "error: interrupted\n• stopped; the next run goes on from what is finished\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(number: int, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, OSError(number, os.strerror(number), "/a/file"))
    result = invoke("clean")
    assert result.exit_code == 19
    assert result.stderr == ("error: the disk is full\n• /a/file: no space left\n  fix: free some, then run again\n")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_what_may_not_be_written(number: int, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, OSError(number, os.strerror(number), "/a/file"))
    result = invoke("clean")
    assert result.exit_code == 17
    assert result.stderr.startswith(f"error: this step needs root\n• /a/file: {os.strerror(number).lower()}\n  why: ")


def test_a_read_only_file_system_is_no_matter_of_root(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(monkeypatch, OSError(errno.EROFS, os.strerror(errno.EROFS), "/a/file"))
    result = invoke("clean")
    assert result.exit_code == 26
    assert "/a/file: read-only file system\n  fix: name other folders by --work and --dist" in result.stderr


def test_a_full_disk_without_a_name_is_named_by_its_folder(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fails_with(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    free = {tmp_path: 0}
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": free.get(folder, 1)}))
    assert f"{tmp_path}: no space left" in invoke("clean").stderr


def test_a_disk_that_fills_while_a_tree_is_copied(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(monkeypatch, shutil.Error([("/a", "/b", "[Errno 28] No space left on device: '/a' -> '/b'")]))
    assert invoke("clean").exit_code == 19


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_run_once_and_let_it_tidy_up(
    number: int, code: int, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied = []

    def work(*_: Any, **__: Any) -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)  # an impatient user
            tidied.append(True)
            raise OSError(errno.EIO, "the terminal is gone")

    before = signal.getsignal(number)
    monkeypatch.setattr("elpack.steps.clean.clean_up", work)
    result = invoke("clean")
    assert (result.exit_code, tidied) == (code, [True])
    assert result.stderr == "error: interrupted\n• stopped; the next run goes on from what is finished\n"
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr("elpack.steps.clean.clean_up", lambda *_, **__: signal.raise_signal(signal.SIGHUP))
        assert invoke("clean").exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_bug_leaves_its_traceback_in_a_file(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fails_with(monkeypatch, ValueError("[bold]odd\nvalue"))
    result = invoke("clean")
    assert result.exit_code == 70
    log = tmp_path / ".elpack" / "crash.log"
    assert result.stderr == f"error: a bug in elpack (ValueError: [bold]odd value); please report it with {log}\n"
    text = log.read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ValueError: [bold]odd\nvalue\n")


def test_a_bug_is_told_in_the_work_folder_that_was_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @guarded
    def broken(file: Path, work: Path) -> None:
        raise ValueError(f"no UTF-8: \udcff {file.name} {work.name}")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        broken(file=tmp_path / "elpack.toml", work=tmp_path / "elsewhere")
    assert ended.value.code == 70
    assert (tmp_path / "elsewhere" / "crash.log").read_text().endswith("no UTF-8: \\udcff elpack.toml elsewhere\n")
    assert not (tmp_path / ".elpack").exists()


def test_a_bug_where_nothing_can_be_written(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".elpack").write_text("a file is in the way")
    fails_with(monkeypatch, ValueError("odd"))
    result = invoke("clean")
    assert result.exit_code == 70
    (log,) = re.findall(r"report it with (\S+)", result.stderr)
    assert "ValueError: odd" in Path(log).read_text()
    Path(log).unlink()


def test_help_names_every_command(invoke: Callable[..., Result]) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_shows_an_example(command: str, invoke: Callable[..., Result]) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"Example: elpack {command}" in " ".join(result.stdout.split())
    assert ESCAPE not in result.stdout


def test_version(invoke: Callable[..., Result]) -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    assert re.fullmatch(r"elpack \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("arguments", [("rpm", "--workers", "-1"), ("rpm", "--nonsense"), ("nonsense",)])
def test_wrong_usage(arguments: tuple[str, ...], invoke: Callable[..., Result]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


@pytest.mark.parametrize("command", ["rpm-all", "rpm", "plan", "check", "spec", "lock", "standin", "smoke"])
def test_without_a_release_file(command: str, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, path=None: f"/usr/bin/{tool}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = invoke(command)
    assert result.exit_code == 10
    assert "there is no release file" in result.stderr
    assert "Traceback" not in result.output


def test_doctor_lists_programs_and_fails_for_missing_ones(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elpack.report.doctor.state", lambda: "[podman is not installed]")
    monkeypatch.setattr("shutil.which", lambda tool, path=None: None if tool == "createrepo_c" else f"/usr/bin/{tool}")
    result = invoke("doctor")
    assert result.exit_code == 16
    assert re.search(r"^ createrepo_c +stand-in, build, repository +missing$", result.stdout, re.MULTILINE)
    assert "• Make the dnf repository: createrepo_c is not installed\n" in result.stderr
    assert result.stderr.count("•") == 1
    assert "[podman is not installed]" in result.stdout
    monkeypatch.setattr("shutil.which", lambda tool, path=None: f"/usr/bin/{tool}")
    assert invoke("doctor").exit_code == 0


def planned(session: Session, last: str) -> None:
    """Play the pipeline up to the plan."""
    with session.screen.phase("Plan and check the whole set") as say:
        say("8 packages")
    session.target, session.plan = PLAN.target, PLAN


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipeline", "each_arch"):
        monkeypatch.setattr(f"elpack.{module}.carry_out", planned)


@pytest.mark.usefixtures("pipeline")
def test_json_is_all_that_stdout_gets(invoke: Callable[..., Result]) -> None:
    result = invoke("plan", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["release"] == "shop"
    assert found["target"] == {"name": "el9", "python": "3.12", "arch": "x86_64"}
    assert found["layout"] == "stack"
    own = next(package for package in found["packages"] if package["node"] == "stack/own")
    assert own["rpm"] == {"name": "shop-python3.12-own", "evr": "1.5.0-1.el9", "arch": "noarch"}
    assert own["cached"] is False


@pytest.mark.usefixtures("pipeline")
def test_a_pipe_gets_one_unfolded_line_per_rpm(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    result = invoke("plan")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "shop 2.0 for el9 / 3.12 / x86_64"
    assert lines[1].split() == ["RPM", "policy", "cached", "why", "source", "waits", "for"]
    assert [line.split()[0] for line in lines[2:]] == [f"{package.nvr}.noarch" for package in PLAN.published()]
    assert ESCAPE not in result.output
    assert not any(line.endswith(" ") for line in lines)
    assert result.stderr.startswith("✓ Plan and check the whole set")
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("pipeline")
def test_all_shows_build_roots_as_well(invoke: Callable[..., Result]) -> None:
    assert "python3.12-hatchling" not in invoke("plan").stdout
    assert "python3.12-hatchling" in invoke("plan", "--all").stdout


@pytest.mark.usefixtures("pipeline")
def test_quiet_says_nothing(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elpack.toml").write_text(RELEASE)
    monkeypatch.setattr("elpack.steps.specs.write_specs", lambda *_, **__: 3)
    loud, quiet = invoke("spec"), invoke("spec", "--quiet")
    assert loud.stdout == "3 specs written\n"
    assert loud.stderr
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.parametrize("command", ["rpm-all", "rpm", "smoke"])
@pytest.mark.usefixtures("pipeline")
def test_quiet_shows_no_summary(command: str, invoke: Callable[..., Result]) -> None:
    result = invoke(command, "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


RELEASE = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
[application]
name = "app"
[first-party]
app = {}
[targets.el9]
arches = ["x86_64", "aarch64"]
[targets.el9-standin]
"""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, str]]:
    """Return what the pipeline was run for, target, architecture, layout and last step; nothing else is done."""
    found: list[tuple[str, str, str, str]] = []

    def carry_out(session: Session, last: str) -> None:
        found.append((session.options.target, session.options.arch, session.options.layout, last))
        planned(session, last)

    monkeypatch.setattr("elpack.pipeline.carry_out", carry_out)
    return found


def test_commands_for_one_architecture_say_so(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "elpack.toml").write_text(RELEASE)
    result = invoke("plan", "--arch", "all")
    assert (result.exit_code, "the release is not made for all" in result.stderr) == (10, True)
    assert "this command takes one at a time" in result.stderr
    typo = invoke("plan", "--target", "el9", "--arch", "arm64")
    assert "one of: x86_64, aarch64" in typo.stderr
    assert "this command takes" not in typo.stderr


def test_check_tells_each_target_in_each_layout_and_ends_with_one_line(
    invoke: Callable[..., Result], seen: list[tuple[str, str, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "elpack.toml").write_text(RELEASE)
    result = invoke("check")
    assert result.exit_code == 0
    targets = [("el9", "x86_64"), ("el9", "aarch64"), ("el9-standin", "x86_64")]
    assert seen == [(*target, layout, "plan") for target in targets for layout in ("stack", "bundle")]
    assert result.stderr.count("✓ Plan and check the whole set") == 6
    assert result.stdout == "nothing is wrong\n"
    seen.clear()
    (tmp_path / "elpack.toml").write_text(RELEASE + "[system]\n")
    assert invoke("check", "--target", "el9", "--arch", "aarch64").exit_code == 0
    assert seen == [("el9", "aarch64", layout, "plan") for layout in ("stack", "bundle", "system")]


def test_who_tries_what_was_cross_compiled_says_so(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Packages of another way would be built first."""
    seen: list[object] = []
    monkeypatch.setattr("elpack.pipeline.carry_out", lambda session, _last: seen.append(session.options.way))
    (tmp_path / "elpack.toml").write_text(RELEASE)
    assert invoke("smoke", "--arch", "aarch64", "--way", "cross", "--quiet").exit_code == 0
    assert seen == [Way.CROSS]


def test_check_tells_what_is_wrong_anywhere_and_each_thing_once(
    invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def carry_out(session: Session, _last: str) -> None:
        found = [errors.Problem("the licence of lib is unclear", where="lib")]
        if session.options.layout == "system":
            found.append(errors.Problem("the target ships lib", where=session.options.arch))
        raise errors.PlanError(*found)

    monkeypatch.setattr("elpack.pipeline.carry_out", carry_out)
    (tmp_path / "elpack.toml").write_text(RELEASE + "[system]\n")
    result = invoke("check", "--target", "el9")
    assert result.exit_code == errors.PlanError.exit_code
    assert [line for line in result.stderr.splitlines() if line.startswith("•")] == [
        "• lib: the licence of lib is unclear",
        "• x86_64: the target ships lib",
        "• aarch64: the target ships lib",
    ]
    assert "nothing is wrong" not in result.output


@pytest.mark.parametrize(
    ("arguments", "layouts"),
    [
        ((), ["stack", "bundle"]),
        (("--layout", "bundle"), ["bundle"]),
        (("--out", "specs-of-one"), [""]),
        (("--out", "specs-of-one", "--layout", "bundle"), ["bundle"]),
    ],
)
def test_specs_are_written_of_every_layout_or_of_one(  # noqa: PLR0917 - fixtures
    arguments: tuple[str, ...],
    layouts: list[str],
    invoke: Callable[..., Result],
    seen: list[tuple[str, str, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("elpack.steps.specs.write_specs", lambda sessions, *_, **__: len(sessions))
    (tmp_path / "elpack.toml").write_text(RELEASE)
    result = invoke("spec", *arguments)
    assert [layout for _, _, layout, _ in seen] == layouts
    assert result.stdout == f"{len(layouts)} specs written\n"


def test_check_of_a_target_that_the_release_has_not(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "elpack.toml").write_text(RELEASE)
    result = invoke("check", "--target", "el8")
    assert result.exit_code == 10
    assert "the release has no target el8\n  fix: one of: el9, el9-standin" in result.stderr
    assert "nothing is wrong" not in result.output


def test_all_mistakes_of_a_release_file_are_printed(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "elpack.toml").write_text(RELEASE.replace("packager", "packger").replace("arches", "archs"))
    result = invoke("check")
    assert result.exit_code == 10
    assert result.stderr == (
        "error: the release file has mistakes\n"
        "• elpack.toml: release.packager: this key is required\n"
        "  fix: add packager = …\n"
        "• elpack.toml: release.packger: unknown key\n"
        "  fix: did you mean packager?\n"
        "• elpack.toml: targets.el9.archs: unknown key\n"
        "  fix: did you mean arches?\n"
    )


def test_a_release_file_that_is_no_text(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "elpack.toml").write_bytes(b"\xff\xfe")
    result = invoke("check")
    assert (result.exit_code, "it is not UTF-8 text" in result.stderr) == (10, True)


def test_files_that_the_release_names_are_looked_for_first(invoke: Callable[..., Result], tmp_path: Path) -> None:
    text = '[[asset]]\nsource = "etc/x"\ndestination = "/etc/x"\n[smoke]\nfiles = "smoke"\n'
    (tmp_path / "elpack.toml").write_text(RELEASE + text)
    result = invoke("check")
    assert result.exit_code == 10
    assert "• elpack.toml: asset source etc/x: the file is not there\n" in result.stderr
    assert "• elpack.toml: smoke.files smoke: the folder is not there\n" in result.stderr


def session(tmp_path: Path, terminal: Terminal) -> Session:
    workspace = Workspace(tmp_path / "elpack.toml", tmp_path / ".elpack", tmp_path / "dist")
    return Session(workspace, Options(), terminal)


def test_missing_tools_are_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, path=None: None)
    out = StringIO()
    with pytest.raises(errors.ToolMissingError) as refusal:
        carry_out(session(tmp_path, Terminal(Console(file=out))), "install")
    tools = {"bwrap", "createrepo_c", "dnf", "rpm", "gpg", "gpg-agent", "gpgconf", "rpmsign", "rpmkeys"}
    assert {problem.what for problem in refusal.value.problems} == {f"{tool} is not installed" for tool in tools}
    assert out.getvalue() == ""


def test_only_a_stand_in_needs_debian_s_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, path=None: None if tool == "mmdebstrap" else f"/usr/bin/{tool}")
    need_tools(PIPELINE)
    with pytest.raises(errors.ToolMissingError, match="mmdebstrap is not installed"):
        need_tools(PIPELINE, standin=True)


def test_no_root_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, path=None: f"/usr/bin/{tool}")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    out = StringIO()
    with pytest.raises(errors.PrivilegeError, match="only root may do"):
        carry_out(session(tmp_path, Terminal(Console(file=out))), "install")
    assert out.getvalue() == ""
    with pytest.raises(errors.ConfigError):  # the plan needs no root
        carry_out(session(tmp_path, Terminal(Console(file=out))), "plan")


def test_what_cannot_be_tried_of_all_architectures_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    asked: list[str] = []

    def need(arch: str) -> None:
        asked.append(arch)
        if arch == "aarch64":
            raise errors.ForeignArchError(errors.Problem("it does not run here"))

    def each(one: Session) -> list[Session]:
        found = [Session(one.workspace, one.options, one.screen, sources=one.sources) for _ in range(2)]
        for session_, arch in zip(found, ("x86_64", "aarch64"), strict=True):
            session_.target = el9(arch=arch)
        return found

    every = session(tmp_path, Terminal(Console(file=StringIO())))
    every.options = replace(every.options, arch="all")
    every.sources = Sources(None, {}, {}, ())
    monkeypatch.setattr("elpack.each_arch.need_tools", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("elpack.each_arch.take_steps", lambda steps, *_: taken.extend(step.name for step in steps))
    monkeypatch.setattr("elpack.each_arch._each_arch", each)
    monkeypatch.setattr("elpack.pipeline.need_emulation", need)
    with pytest.raises(errors.ForeignArchError):
        carry_out_each(every, "install")
    assert (asked, set(taken)) == (["x86_64", "aarch64"], {"read", "fetch", "plan", "base"})


def test_a_failed_phase_is_marked(tmp_path: Path) -> None:
    out = StringIO()
    with pytest.raises(errors.ConfigError):
        carry_out(session(tmp_path, Terminal(Console(file=out, width=200))), "plan")
    assert out.getvalue().startswith("✗ Read the release file")


def test_plain_log_of_a_build() -> None:
    out = StringIO()
    terminal = Terminal(Console(file=out, width=200))
    package = PLAN.by_node()[NodeId("stack/own")]
    lib = PLAN.by_node()[NodeId("stack/lib")]
    with terminal.phase("Build in clean roots") as say, terminal.building(PLAN) as view:
        view.started([package])
        view.finished(package, 1.5, cached=False)
        view.finished(lib, 0.0, cached=True)
        view.started([lib])
        view.failed(lib)
        view.notice("it [is] late")
        say("done [x]")
    lines = out.getvalue().splitlines()
    assert lines[0] == "  building shop-python3.12-own-1.5.0-1.el9"
    assert lines[1].split() == ["built", "shop-python3.12-own-1.5.0-1.el9", "1.5", "s"]
    assert lines[2] == "  building shop-python3.12-lib-0.9.0-1.el9"
    assert lines[3] == "  failed shop-python3.12-lib-0.9.0-1.el9"
    assert lines[4] == "! it [is] late"
    assert re.fullmatch(r"✓ Build in clean roots +0\.\d s  done \[x\]", lines[5])
    assert ESCAPE not in out.getvalue()
    assert (view.built, view.cached, view.broken) == (1, 1, 1)


def test_a_quiet_terminal_is_silent() -> None:
    out = StringIO()
    terminal = Terminal(Console(file=out, force_terminal=True), quiet=True)
    with terminal.phase("x") as say, terminal.building(PLAN) as view:
        view.started(PLAN.packages)
        view.finished(PLAN.packages[0], 1.0, cached=False)
        view.failed(PLAN.packages[1])
        terminal.notice("x")
        say("x")
    assert out.getvalue() == ""


def test_what_is_postponed_no_longer_runs() -> None:
    terminal = Terminal(Console(file=StringIO()))
    with terminal.building(PLAN) as view:
        view.started(PLAN.packages)
        view.postponed(PLAN.packages[2:])
    assert set(view.running) == {package.node for package in PLAN.packages[:2]}
    silent = Unwatched()
    silent.postponed(PLAN.packages)


def test_a_narrow_table_shows_reasons_below_names() -> None:
    out = StringIO()
    Console(file=out, width=90).print(plan_table(PLAN, {NodeId("stack/own")}, {}, everything=False, narrow=True))
    text = out.getvalue()
    at = text.index("shop-python3.12-own-1.5.0-1.el9.noarch")
    below = [line.strip() for line in text[at:].splitlines()]
    assert below[0].split() == ["shop-python3.12-own-1.5.0-1.el9.noarch", "sdist", "yes"]
    assert below[1] == "first-party: compiled from its own source"
    assert below[2].startswith("own-1.5.tar.gz sha256:")
    assert below[3] == "waits for hatchling, pip, runtime"


def test_markup_in_names_from_outside_is_not_obeyed() -> None:
    plan = make_plan(Case().instead(replace(LIB, wheel="py3-none-any")).inputs())
    package = plan.by_node()[NodeId("stack/lib")]
    odd = replace(package, reason="[red]odd[/]")
    out = StringIO()
    plan = replace(plan, packages=(odd,))
    Console(file=out, width=300).print(plan_table(plan, (), {}, everything=True))
    assert "[red]odd[/]" in out.getvalue()


def test_colons_in_names_from_outside_are_no_pictures() -> None:
    out = StringIO()
    console_on(out).print("/etc/a:b: it is wrong")
    assert out.getvalue() == "/etc/a:b: it is wrong\n"


def test_json_of_a_plan_is_the_whole_plan() -> None:
    found = plan_json(PLAN, {NodeId("stack/lib")}, {})
    assert [package["node"] for package in found["packages"]] == [package.node for package in PLAN.packages]
    assert [package["node"] for package in found["packages"] if package["cached"]] == ["stack/lib"]
    assert json.loads(json.dumps(found)) == found


def test_a_real_process_ends_with_text_and_code_only(tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "elpack", "check")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr.startswith("error: the release file has mistakes\n• ")
    assert ESCAPE not in done.stderr


def test_a_terminal_gets_colours(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    argv = (sys.executable, "-m", "elpack", "check")
    process = subprocess.Popen(argv, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment)
    assert process.wait(60) == 10
    os.close(theirs)
    assert ESCAPE.encode() in os.read(ours, 10_000)
    os.close(ours)
