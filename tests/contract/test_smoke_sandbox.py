"""The smoke test's sandbox and driver, for real, with this machine's own root and small programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.errors import SmokeError
from elpack.run import run
from elpack.smoke import Session, SmokeStep
from elpack.steps.smoke import SmokeReport, smoke_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYTHON = "/usr/bin/python3"
SERVE = """
import os, signal, socket, sys, threading
signal.signal(signal.SIGINT, lambda *_: os._exit(0))
server = socket.create_server(("127.0.0.1", 8080))
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
if sys.argv[1:] == ["child"]:
    if os.fork() == 0:
        notify.send(b"READY=1")
        os._exit(0)
elif sys.argv[1:] != ["mute"]:
    notify.send(b"STATUS=nearly\\nREADY=1")
threading.Event().wait()
"""
LOOK = """
import os, socket
print("user", os.getuid() != 0, os.getgroups())
print("interfaces", [name for _, name in socket.if_nameindex()])
try:
    open("/usr/elpack-was-here", "w")
except OSError as error:
    print("root", error.strerror)
open(os.environ["HOME"] + "/mine", "w").close()
print("capabilities", [line for line in open("/proc/self/status") if line.startswith("CapEff")][0].split()[1])
"""

pytestmark = pytest.mark.root


@pytest.fixture
def attempt(tmp_path: Path, needs: Callable[..., None]) -> Callable[..., SmokeReport]:
    needs("bwrap")
    files = tmp_path / "files"
    files.mkdir(mode=0o700)
    (files / "serve.py").write_text(SERVE)
    (files / "look.py").write_text(LOOK)
    (files / "look.py").chmod(0o600)

    def smoke(*steps: SmokeStep) -> SmokeReport:
        root = tmp_path.__class__("/")
        logs = tmp_path / "logs"
        return smoke_root(root, Session(steps), interpreter=PYTHON, files=files, logs=logs, runner=run)

    return smoke


def python(name: str, script: str, *arguments: str, **values: object) -> SmokeStep:
    return SmokeStep(name, run=(PYTHON, f"/run/elpack/files/{script}.py", *arguments), **values)  # type: ignore[arg-type]


def serve(*arguments: str, name: str = "serve", **values: object) -> SmokeStep:
    return python(name, "serve", *arguments, background=True, **{"ready": "notify", "timeout": 10, **values})


def shell(name: str, script: str, **values: object) -> SmokeStep:
    return SmokeStep(name, run=("/bin/sh", "-c", script), **values)  # type: ignore[arg-type]


STOP = SmokeStep("stop", signal="SIGINT", ends="serve", timeout=10)


def test_steps_run_unprivileged_alone_and_in_a_read_only_root(attempt: Callable[..., SmokeReport]) -> None:
    expected = (
        r"^user True \[\]$",
        r"^interfaces \['lo'\]$",
        "^root (Read-only file system|Permission denied)$",
        "^capabilities 0+$",
    )
    attempt(python("look", "look", expect=expected))


def test_a_background_step_is_waited_for_used_and_ended(attempt: Callable[..., SmokeReport]) -> None:
    port = "import socket; socket.create_connection(('127.0.0.1', 8080), 5)"
    use = SmokeStep("use", run=(PYTHON, "-c", port))
    again = serve(name="again", ready="tcp:8080")
    report = attempt(serve(), use, STOP, again, SmokeStep("end", signal="SIGINT", ends="again", timeout=10))
    assert [step.status for step in report.steps] == ["ok"] * 5


def test_a_command_may_end_the_background_step(attempt: Callable[..., SmokeReport]) -> None:
    polite = shell("serve", "echo $$ >~/pid; trap 'exit 0' INT; while :; do sleep 0.1; done", background=True)
    attempt(polite, shell("wait", "sleep 0.5"), shell("stop", "kill -INT $(cat ~/pid)", ends="serve", timeout=10))


@pytest.mark.parametrize("arguments", ["mute", "child"])
def test_ready_counts_only_from_the_main_process(arguments: str, attempt: Callable[..., SmokeReport]) -> None:
    with pytest.raises(SmokeError) as caught:
        attempt(serve(arguments, timeout=2), shell("use", "true"), STOP, shell("after", "true"))
    (problem,) = caught.value.problems
    assert "step 'serve' was not ready (notify) within 2 s" in problem.what


@pytest.mark.parametrize(
    ("script", "values", "message"),
    [
        ("echo said; exit 3", {}, "ended with 3, expected 0\nsaid"),
        ("echo said", {"expect": ("^sad$",)}, "the output does not match '^sad$'"),
        ("sleep 60", {"timeout": 1}, "did not end within 1 s"),
        ("sleep 60 & exit 0", {}, "processes are left: sleep"),
        ("setsid sleep 60 & sleep 0.2", {}, "processes are left: sleep"),
        ("true", {"user": "no-such-user"}, "the packages made no user 'no-such-user'"),
        ("true", {"user": "root"}, "root is root"),
    ],
)
def test_what_goes_wrong_is_told(
    script: str, values: dict[str, object], message: str, attempt: Callable[..., SmokeReport]
) -> None:
    with pytest.raises(SmokeError) as caught:
        attempt(shell("try", script, **values), shell("after", "true"))
    (problem,) = caught.value.problems
    assert message in problem.what


def test_a_background_step_that_does_not_obey_is_told_and_killed(attempt: Callable[..., SmokeReport]) -> None:
    deaf = shell("serve", "trap '' INT; while :; do sleep 1; done", background=True)
    stop = SmokeStep("stop", signal="SIGINT", ends="serve", timeout=1)
    with pytest.raises(SmokeError) as caught:
        attempt(deaf, shell("wait", "sleep 0.5"), stop, shell("after", "true"))
    (problem,) = caught.value.problems
    assert "'serve' still runs" in problem.what


def test_what_a_background_step_leaves_behind_is_told(attempt: Callable[..., SmokeReport]) -> None:
    parent = shell("serve", "sleep 60 & trap 'exit 0' INT; while :; do sleep 0.1; done", background=True)
    with pytest.raises(SmokeError, match="processes are left: sleep"):
        attempt(parent, shell("wait", "sleep 0.5"), STOP)


def test_a_background_step_s_exit_code_counts(attempt: Callable[..., SmokeReport]) -> None:
    bad = shell("serve", "trap 'exit 1' INT; while :; do sleep 0.1; done", background=True)
    with pytest.raises(SmokeError, match="'serve' ended with 1, expected 0"):
        attempt(bad, shell("wait", "sleep 0.5"), SmokeStep("stop", signal="SIGINT", ends="serve", timeout=5))
