"""Smoke tests as values, and what becomes of the driver's report."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from elpack.errors import ConfigError, SmokeError
from elpack.run import Command, Completed
from elpack.service import Service
from elpack.smoke import Session, Smoke, SmokeStep, make_session
from elpack.steps.smoke import smoke_root

if TYPE_CHECKING:
    from pathlib import Path

START = SmokeStep("start", run=("herald", "serve"), background=True, ready="tcp:80")
STOP = SmokeStep("stop", signal="SIGTERM", ends="start")
ASK = SmokeStep("ask", run=("{python}", "{files}/ask.py", "{home}"), expect=("^v {version:herald}$",))
SERVICE = Service(
    name="herald",
    description="Herald",
    user="herald",
    exec_start=("/opt/herald/bin/herald", "serve"),
    kill_signal="SIGINT",
    state_directory="herald",
    start_timeout=7,
)

PLACES = {"prefix": "/opt/x", "python": "/opt/x/bin/python"}
HERALD = {"prefix": "/opt/herald", "python": "/opt/herald/bin/python"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "Bad/Name"}, "small letters"),
        ({"run": ()}, "either runs a command or sends a signal"),
        ({"signal": "SIGTERM"}, "either runs a command or sends a signal"),
        ({"run": (), "signal": "SIGTERM"}, "names its receiver"),
        ({"run": (), "signal": "TERM", "ends": "x"}, "'TERM' is no signal"),
        ({"ready": "notify"}, "for background steps"),
        ({"ready": "udp:1", "background": True}, "'notify' or 'tcp:PORT'"),
        ({"background": True, "ends": "x"}, "cannot end another"),
        ({"timeout": 0}, "above 0"),
        ({"expect": ("(",)}, "no regular expression"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SmokeStep(**{"name": "x", "run": ("true",), **values})


@pytest.mark.parametrize(
    ("steps", "service", "message"),
    [
        ((ASK, ASK), (), "two steps are named 'ask'"),
        ((STOP,), (), "no background step 'start' runs"),
        ((START,), (), "no step ends start"),
        ((START, STOP, dataclasses.replace(STOP, name="again")), (), "no background step 'start' runs"),
        ((ASK,), ("aks",), "there is no step 'aks'"),
    ],
)
def test_steps_that_do_not_fit_together_are_refused(
    steps: tuple[SmokeStep, ...], service: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Smoke(steps, service=service)


def test_placeholders_are_replaced_and_versions_quoted() -> None:
    smoke = Smoke((ASK,), environment={"A": "1", "B": "2"})
    step = make_session(smoke, None, HERALD, {"herald": "1.0+x"}).steps[0]
    assert step.run == ("/opt/herald/bin/python", "/run/elpack/files/ask.py", "/home/smoke")
    assert step.expect == (r"^v 1\.0\+x$",)
    assert step.environment == {"A": "1", "B": "2"}


def test_a_step_s_own_environment_wins() -> None:
    step = dataclasses.replace(START, environment={"A": "own"})
    session = make_session(Smoke((step, STOP), environment={"A": "all"}), None, PLACES, {})
    assert [step.environment for step in session.steps] == [{"A": "own"}, {"A": "all"}]


def test_braces_of_a_pattern_are_left_alone() -> None:
    step = SmokeStep("x", run=("true",), expect=("[0-9a-f]{64}",))
    assert make_session(Smoke((step,)), None, PLACES, {}).steps[0].expect == ("[0-9a-f]{64}",)


def test_a_version_that_the_lock_lacks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the lock holds no herald"):
        make_session(Smoke((ASK,)), None, PLACES, {})


def test_the_service_is_started_asked_and_stopped_as_its_unit_says() -> None:
    session = make_session(Smoke((ASK,), service=("ask",)), SERVICE, HERALD, {"herald": "1"})
    assert [step.name for step in session.steps] == ["ask", "service start", "service ask", "service stop"]
    start, ask, stop = session.steps[1:]
    assert (start.run, start.user, start.state) == (SERVICE.exec_start, "herald", "herald")
    assert (start.directory, start.ready, start.timeout) == ("/var/lib/herald", "notify", 7)
    assert ask.run[0] == "/opt/herald/bin/python"
    assert (stop.signal, stop.ends) == ("SIGINT", "service start")


def entry(name: str, status: str = "ok", **values: Any) -> dict[str, Any]:
    return {"name": name, "status": status, "seconds": 1.5, "detail": "", "log": f"{name}.log", "tail": "", **values}


class Recorder:
    """Stands for bwrap: notes the command and leaves a report as the driver would."""

    def __init__(self, *report: dict[str, Any], ended: str = "") -> None:
        self.report = report
        self.ended = ended
        self.commands: list[Command] = []

    def __call__(self, command: Command) -> Completed:
        self.commands.append(command)
        assert command.log is not None
        command.log.write_text("said by the driver\n")
        if self.report:
            (command.log.parent / "report.json").write_text(json.dumps(self.report))
        return Completed(command, 1, "", "", 3.0, self.ended)


def test_an_emulated_root_gets_more_time_for_everything() -> None:
    session = Session((SmokeStep("start", run=("true",), timeout=20), SmokeStep("ask", run=("true",))))
    slower = session.slower(15)
    assert [step.timeout for step in slower.steps] == [300, 900]
    assert (slower.seconds, slower.as_json()["grace"]) == (1200, 45)
    assert session.as_json()["grace"] == 3


def attempt(runner: Recorder, folder: Path, *, steps: int = 2) -> Any:
    session = Session(tuple(SmokeStep(f"s{number}", run=("true",)) for number in range(steps)))
    return smoke_root(
        folder / "root", session, interpreter="/usr/bin/python3.12", files=None, logs=folder / "logs", runner=runner
    )


def test_the_sandbox_has_no_network_and_a_read_only_root(tmp_path: Path) -> None:
    runner = Recorder(entry("s0"), entry("s1"))
    report = attempt(runner, tmp_path)
    (command,) = runner.commands
    start = command.argv.index("bwrap")
    assert command.argv[start + 3 : start + 6] == ("--ro-bind", str(tmp_path / "root"), "/")
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent", "--clearenv"} <= set(command.argv)
    assert command.enclosed
    assert [(step.name, step.status, step.seconds) for step in report.steps] == [("s0", "ok", 1.5), ("s1", "ok", 1.5)]
    assert str(command).endswith(report.command)


def test_every_failed_step_is_told_at_once_with_its_tail_and_the_command(tmp_path: Path) -> None:
    failed = entry("s0", "failed", detail="ended with 3, expected 0", tail="no such thing")
    also = entry("s2", "failed", detail="did not end within 60 s")
    with pytest.raises(SmokeError) as caught:
        attempt(Recorder(failed, entry("s1"), also, entry("s3", "skipped")), tmp_path, steps=4)
    first, second = caught.value.problems
    assert first.what == "step 's0' ended with 3, expected 0\nno such thing"
    assert first.where == str(tmp_path / "logs" / "s0.log")
    assert "bwrap" in first.fix
    assert second.what == "step 's2' did not end within 60 s"


@pytest.mark.parametrize("report", [(), (entry("s0"),)])
def test_a_session_that_was_cut_short_is_no_success(report: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match="said by the driver"):
        attempt(Recorder(*report), tmp_path)


def test_a_session_that_hangs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match="did not come to its end in time"):
        attempt(Recorder(entry("s0"), entry("s1"), ended="time"), tmp_path)


def test_an_earlier_report_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/report.json").write_text(json.dumps([entry("s0"), entry("s1")]))
    with pytest.raises(SmokeError, match="after 0 steps"):
        attempt(Recorder(), tmp_path)
