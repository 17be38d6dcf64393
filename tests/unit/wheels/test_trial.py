"""What is tried of a package, as values: imports, tests, results that are remembered, and the program in there."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from tests.unit.test_archives_wheel import DIGEST, make_wheel

from elpack.archives import read_wheel
from elpack.assets import try_wheel
from elpack.builders.emulation import MACHINE, SLOWER, Emulation
from elpack.errors import CommandError, WheelError
from elpack.model import ArchivedFile, EntryPoint
from elpack.report.tried import tried_json, tried_table
from elpack.run import Command, Completed
from elpack.steps.wheels import trials
from elpack.steps.wheels.interpreters import found_interpreters
from elpack.steps.wheels.manifest import entries, missing_of, write_manifest
from elpack.steps.wheels.trial import (
    Material,
    Trials,
    _imported,
    _wanted,
    materials_of,
    recalled,
    refuse_failed,
    remember,
)
from elpack.wheels.columns import Column
from elpack.wheels.model import INTERPRETERS, Cell, How
from elpack.wheels.trial import Origin, Part, State, Suite, Trial, imports_of, suite_of

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.model import WheelFacts

PASSED = Part("install", State.PASSED)


def trial(*parts: Part, **more: object) -> Trial:
    one = Trial("demo", Origin.WHEEL, "cp311", "3.11.7", "demo-1.0-py3-none-any.whl", "0" * 64, parts, arch="x86_64")
    return replace(one, **more)  # type: ignore[arg-type]


def holding(tmp_path: Path, *paths: str) -> WheelFacts:
    facts = read_wheel(make_wheel(tmp_path), DIGEST)
    return replace(facts, files=tuple(ArchivedFile(path, 1, 0o644) for path in paths))


def test_what_is_imported(tmp_path: Path) -> None:
    facts = holding(
        tmp_path,
        "demo/__init__.py",
        "demo/sub/__init__.py",
        "demo/_x.abi3.so",
        "_y.cpython-311-x86_64-linux-gnu.so",
        "single.py",
        "twisted/plugins/demo.py",
        "demo.libs/libz-1.so",
        "demo-1.0.dist-info/METADATA",
        "not-a-name.py",
        "demo/libplain.so.1",
    )
    assert imports_of(facts) == ("_y", "demo", "demo._x", "single")


def test_where_the_tests_are() -> None:
    sdist = (
        "tests/test_a.py",
        "tests/deep/test_b.py",
        "src/demo/test/test_c.py",
        "examples/tests/test_d.py",
        "docs/x.md",
    )
    wheel = ("demo/__init__.py", "demo/test/test_c.py", "demo/test/sub/test_e.py")
    assert suite_of(sdist, wheel) == Suite(("tests",), ("demo/test",))
    assert suite_of(("setup.py",), ("demo/__init__.py",)) == Suite()


def test_a_suite_s_failures_refuse_nothing() -> None:
    assert trial().state is State.SKIPPED
    assert trial(PASSED, Part("suite", State.FAILED)).state is State.PASSED
    broken = trial(PASSED, Part("imports", State.FAILED, "no module named x"))
    assert broken.state is State.FAILED
    refuse_failed([trial(PASSED, Part("suite", State.FAILED))])
    with pytest.raises(WheelError, match=r"imports: no module named x\n  fix: .* is in tests\.json"):
        refuse_failed([broken])


@pytest.mark.parametrize(
    ("why", "lacking", "state"),
    [
        ("", {}, State.PASSED),
        ("Traceback\nModuleNotFoundError: No module named 'numpy.core'", {"numpy": "no wheel"}, State.SKIPPED),
        ("Traceback\nModuleNotFoundError: No module named 'numpy'", {}, State.FAILED),
        ("Traceback\nModuleNotFoundError: No module named 'demo._x'", {"numpy": "no wheel"}, State.FAILED),
        ("Traceback\nImportError: numpy", {"numpy": "no wheel"}, State.FAILED),
    ],
)
def test_what_cannot_be_imported_without_others_is_not_blamed(
    tmp_path: Path, why: str, lacking: dict[str, str], state: State
) -> None:
    facts = replace(holding(tmp_path, "demo/__init__.py"), console_scripts=(EntryPoint("demo", "demo:main"),))
    python = SimpleNamespace(column=SimpleNamespace(arch=MACHINE))
    said = {"imports": {"demo": why}, "scripts": {"demo": f"broken: {why}" if why else "--help"}}
    parts = tuple(_imported(SimpleNamespace(python=python, ask=lambda _: said), facts, lacking))  # type: ignore[arg-type]
    assert [part.state for part in parts] == [state, state]
    assert trial(PASSED, *parts).state is state


def test_results_are_remembered(tmp_path: Path) -> None:
    other = trial(PASSED, interpreter="cp312")
    remember([trial(reason="not now"), other], tmp_path)
    remember([trial(PASSED)], tmp_path)
    kept = {one["interpreter"]: one["state"] for one in recalled(tmp_path)}
    assert kept == {"cp311": "passed", "cp312": "passed"}
    (tmp_path / "tests.json").write_text("[" * 100_000)
    assert recalled(tmp_path) == []


def test_the_manifest_tells_what_was_tried_of_these_very_bytes(tmp_path: Path) -> None:
    one = trial(PASSED, Part("suite", State.PASSED, counts={"passed": 3}))
    (tmp_path / one.file).write_text("")
    listed = {"file": one.file, "sha256": one.sha256, "kind": "wheel", "package": "demo"}
    gone = {**listed, "file": "gone.whl"}
    cell = Cell(canonicalize_name("demo"), "cp312", "x86_64", "manylinux_2_28", How.NOT, "no registry has it")
    write_manifest(tmp_path, [listed, gone], missing_of([cell], [listed], {}), [])
    remember([one, trial(reason="not here", interpreter="cp313")], tmp_path)
    (told,) = entries(tmp_path)
    assert told["tests"] == [
        {
            "interpreter": "cp311",
            "arch": "x86_64",
            "python": "3.11.7",
            "state": "passed",
            "parts": {"install": "passed", "suite": {"passed": 3}},
        }
    ]
    (missing,) = entries(tmp_path, "missing")
    assert (missing["interpreter"], missing["reason"]) == ("cp312", "no registry has it")
    write_manifest(tmp_path, [{**told, "sha256": "1" * 64}], [], recalled(tmp_path))
    assert "tests" not in entries(tmp_path)[0]
    assert (
        missing_of([cell], [{**listed, "interpreter": "cp312", "arch": "x86_64", "platform": cell.platform}], {}) == []
    )


def test_each_trial_is_kept_as_soon_as_it_ended(tmp_path: Path) -> None:
    """A run that is broken off keeps what was tried."""
    sdist = tmp_path / "demo-1.0.tar.gz"
    materials = [Material(canonicalize_name("demo"), (), sdist), Material(canonicalize_name("other"))]
    kept: list[Trial] = []

    def breaks_off(trial: Trial) -> None:
        kept.append(trial)
        if trial.package == "other":
            raise KeyboardInterrupt

    trials = Trials(None, (2, 36))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        trials.run(materials, {"cp312": None}, keep=breaks_off)
    assert [(one.package, one.origin) for one in kept] == [
        ("demo", Origin.WHEEL),
        ("demo", Origin.SDIST),
        ("other", Origin.WHEEL),
    ]


def test_what_a_suite_wants_beside_the_package() -> None:
    requires = (
        "attrs",
        "pytest-twisted; extra == 'dev'",
        "mock; extra == 'tests'",
        "Zope.Interface>=5; extra == 'all'",
        "sphinx; extra == 'docs'",
    )
    sdist = SimpleNamespace(metadata=SimpleNamespace(requires_dist=requires))
    found = _wanted(sdist, {"attrs", "zope-interface"})  # type: ignore[arg-type]
    assert found == ["pytest-twisted", "mock", "Zope.Interface"]


def test_emulated_commands_may_take_longer(tmp_path: Path) -> None:
    """As everything that is emulated."""
    asked: list[dict[str, object]] = []

    def answer(question: dict[str, object]) -> dict[str, object]:
        asked.append(question)
        return {}

    facts = replace(holding(tmp_path, "demo/__init__.py"), console_scripts=(EntryPoint("demo", "demo:main"),))
    for arch in (MACHINE, "s390x"):
        python = SimpleNamespace(column=SimpleNamespace(arch=arch))
        environment = SimpleNamespace(python=python, ask=answer)
        list(_imported(environment, facts, {}))  # type: ignore[arg-type]
    assert [one["seconds"] for one in asked] == [60, 60 * SLOWER]


def test_reports_tell_what_was_not_run() -> None:
    suite = Part("suite", State.PASSED, counts={"passed": 3, "skipped": 1})
    table = tried_table([trial(PASSED, suite), trial(reason="the interpreter is not here")])
    cells = [list(column.cells) for column in table.columns]
    assert cells[-2] == ["3 passed, 1 skipped", "-"]
    assert cells[-1][1] == "the interpreter is not here"
    assert tried_json([trial(PASSED)])["trials"][0]["parts"][0]["state"] == "passed"


def test_materials_of_packages(tmp_path: Path) -> None:
    wheel, sdist = tmp_path / "demo-1.0-py3-none-any.whl", tmp_path / "demo-1.0.tar.gz"
    name = canonicalize_name("demo")
    older = {name: tmp_path / "demo-0.9.tar.gz", canonicalize_name("x"): tmp_path / "x-1.tar.gz"}
    assert materials_of([wheel, sdist], older, ["Demo"]) == [Material(name, (wheel,), sdist)]
    with pytest.raises(WheelError, match=r"neither a wheel nor an sdist of y"):
        materials_of([wheel], older, ["y"])
    with pytest.raises(WheelError) as raised:
        materials_of([tmp_path / "x.whl", wheel, tmp_path / "x.zip"], {}, [])
    assert [problem.where for problem in raised.value.problems] == [str(tmp_path / name) for name in ("x.whl", "x.zip")]


def test_interpreters_that_are_here(tmp_path: Path) -> None:
    """Shims, other machines and unknown versions are none of them."""
    real = tmp_path / "v" / "bin" / "python3.11"
    real.parent.mkdir(parents=True)
    real.write_text("")
    shim = tmp_path / "shims" / "python3.12"
    shim.parent.mkdir()
    shim.symlink_to(real)
    common = {"os": "linux", "variant": "default", "implementation": "cpython", "arch": _machine(), "libc": "gnu"}
    entries = [
        {**common, "version": "3.11.2", "path": str(real)},
        {**common, "version": "3.11.10", "path": str(real)},
        {**common, "version": "3.12.1", "path": str(shim)},
        {**common, "version": "3.9.1", "path": str(real)},
        {**common, "version": "3.11.99", "path": str(real), "arch": "s390x"},
        {**common, "version": "3.11.99", "path": str(real), "variant": "freethreaded"},
        "nonsense",
    ]
    asked: list[Command] = []

    def answer(command: Command) -> Completed:
        asked.append(command)
        return Completed(command, 0, json.dumps(entries), "", 0.0)

    found = found_interpreters(answer, tmp_path / "uv", {"PATH": "/bin"}, (tmp_path / "else" / "python",))
    assert {tag: one.version for tag, one in found.items()} == {"cp311": "3.11.10"}
    assert found["cp311"].prefix == tmp_path / "v"
    assert asked[0].env["PATH"] == f"{tmp_path}/else:/bin"
    with pytest.raises(CommandError, match="no JSON"):
        found_interpreters(lambda command: Completed(command, 0, "no", "", 0.0), tmp_path, {})


@pytest.mark.parametrize(("said", "release"), [("7.3\n", "7.3"), ("8.0", "8.0"), ("8.0; rm", ""), ("", "")])
def test_a_pypy_is_asked_which_it_is(tmp_path: Path, said: str, release: str) -> None:
    real = tmp_path / "bin" / "pypy3.11"
    real.parent.mkdir()
    real.write_text("")
    entry = {"os": "linux", "variant": "default", "implementation": "pypy", "arch": _machine(), "libc": "gnu"}
    entry |= {"version": "3.11.15", "path": str(real)}

    def answer(command: Command) -> Completed:
        return Completed(command, 0, said if command.argv[0] == str(real) else json.dumps([entry]), "", 0.0)

    (one,) = found_interpreters(answer, tmp_path / "uv", {}).values()
    assert one.column.interpreter.release == release


def _machine() -> str:
    import platform

    return platform.machine()


def test_interpreters_of_another_architecture_need_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Emulation("s390x", "", "no binfmt entry runs s390x programs", "install the emulator")
    monkeypatch.setattr(trials, "emulation", lambda _: found)
    with pytest.raises(WheelError) as caught:
        trials._need_emulation(trials.Wanted(arch="s390x", standin=True))
    (problem,) = caught.value.problems
    assert (problem.what, problem.why) == ("interpreters of s390x do not run here", found.obstacle)
    assert problem.fix.startswith("install the emulator\non Debian: apt-get install")


def test_the_wheel_that_an_installer_would_take(tmp_path: Path) -> None:
    from elpack.steps.wheels.interpreters import Found

    python = Found(Column(INTERPRETERS["cp312"], "x86_64"), "3.12.1", tmp_path, tmp_path)
    names = ("cp311-cp311-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_34_x86_64", "py3-none-any")
    wheels = tuple(tmp_path / f"demo-1.0-{tag}.whl" for tag in names)
    material = Material(canonicalize_name("demo"), wheels)
    assert material.wheel_for(python, (2, 36)) == wheels[1]
    assert material.wheel_for(python, (2, 28)) == wheels[2]
    assert Material(material.package, wheels[:1]).wheel_for(python, (2, 36)) is None


def test_the_program_in_there(tmp_path: Path) -> None:
    """It imports, starts and counts, and answers whatever happens."""
    (tmp_path / "sound.py").write_text("")
    (tmp_path / "leaves.py").write_text("raise SystemExit('no')\n")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n@pytest.mark.skip\ndef test_c(): pass\n"
        "@pytest.fixture\ndef f(): raise OSError\ndef test_d(f): pass\n@pytest.mark.xfail\ndef test_e(): assert 0\n"
    )
    (tests / "test_b.py").write_text("import gone\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    suite = {"folder": str(tmp_path), "configuration": str(tmp_path / "pytest.ini"), "places": [str(tests)]}
    question = {"imports": ["sound", "leaves", "gone"], "scripts": ["no-such-command"], "seconds": 1, "suite": suite}
    (tmp_path / "question").write_text(json.dumps(question))
    argv = [sys.executable, try_wheel.__file__, str(tmp_path / "question"), str(tmp_path / "answer")]
    subprocess.run(argv, check=True, capture_output=True, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"})
    answer = json.loads((tmp_path / "answer").read_text())
    assert answer["imports"]["sound"] == ""
    assert "SystemExit: no" in answer["imports"]["leaves"]
    assert "No module named 'gone'" in answer["imports"]["gone"]
    assert answer["scripts"] == {"no-such-command": "it was not installed"}
    assert answer["suite"]["counts"] == {"error": 2, "failed": 1, "passed": 1, "skipped": 1, "xfailed": 1}
    assert len(answer["suite"]["bad"]) == 3


def test_a_command_is_asked_gently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name, body in {
        "good": "exit 0",
        "helps": '[ "$1" = --help ]',
        "neither": "exit 3",
        "broken": 'echo "Traceback (most recent call last)" >&2; exit 1',
        "killed": "kill -9 $$",
        "slow": "sleep 9",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    names = ("good", "helps", "neither", "broken", "killed")
    said = {name: try_wheel.started(name, 60).partition(":")[0] for name in names}
    assert said == {
        "good": "--version",
        "helps": "--help",
        "neither": "neither",
        "broken": "broken",
        "killed": "broken",
    }
    assert "timed out after 0.1 seconds" in try_wheel.started("slow", 0.1)
