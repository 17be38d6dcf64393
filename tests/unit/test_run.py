"""The one door to other programs."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from elpack.errors import CommandError, ToolMissingError
from elpack.run import Command, Completed, run, stop_logged, tail

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str, **rest: object) -> Command:
    return Command((sys.executable, "-c", code), **rest)  # type: ignore[arg-type]


def test_streams_code_and_time() -> None:
    done = run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert 0 < done.seconds < 60


def test_a_command_sees_only_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    code = "import os; print('SECRET' in os.environ, os.environ['TZ'], os.environ['LC_ALL'])"
    assert run(python(code)).stdout == "False UTC C.UTF-8\n"


def test_input_folder_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import os, sys; print(os.getcwd(), flush=True); print(sys.stdin.read(), file=sys.stderr)"
    done = run(python(code, cwd=tmp_path, input="given", log=log))
    assert (done.stdout, done.stderr) == ("", "")
    assert log.read_text().split() == ["before", str(tmp_path), "given"]


def test_a_failure_is_told_with_its_last_lines_and_how_to_see_it_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run(python("import sys; [print('line', n) for n in range(50)]; sys.exit(1)", log=log))
    with pytest.raises(CommandError) as refusal:
        done.check()
    text = str(refusal.value)
    assert text.startswith(f"{log}: {sys.executable} ended with 1\nline 30\n")
    assert "line 49" in text
    assert "line 29" not in text
    assert f"fix: to see it again: {done.command}" in text


def test_success_checks_itself() -> None:
    done = Completed(Command(("x",)), 0, "", "", 0.0)
    assert done.check() is done


def test_a_missing_tool() -> None:
    with pytest.raises(ToolMissingError, match=r"^no-such-program is not installed\n  fix: ") as refusal:
        run(Command(("no-such-program",)))
    assert refusal.value.exit_code == 16


def test_a_tool_is_looked_for_on_the_command_s_own_path(tmp_path: Path) -> None:
    tool = tmp_path / "my-tool"
    tool.write_text("#!/bin/sh\necho here\n")
    tool.chmod(0o755)
    assert run(Command((str(tool),))).stdout == "here\n"
    with pytest.raises(ToolMissingError):
        run(Command(("sh", "-c", ":"), env={"PATH": str(tmp_path)}))


def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, time; subprocess.Popen(['sleep', '0.6']).wait(); open('late', 'w')"
    with pytest.raises(CommandError, match="did not end within 0 s"):
        run(python(code, cwd=tmp_path, timeout=0.3))
    time.sleep(0.5)
    assert not (tmp_path / "late").exists()


def test_tail_reads_the_end_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert tail(path, 2) == "99998\n99999"
    path.write_bytes(b"\xff\n")
    assert tail(path) == "�"


def test_only_what_writes_a_log_is_stopped(tmp_path: Path) -> None:
    done: dict[str, Completed] = {}

    def start(name: str, code: str, log: Path | None) -> threading.Thread:
        def work() -> None:
            done[name] = run(python(code, cwd=tmp_path, log=log))

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    code = "import time; open('{0}', 'w'); time.sleep({1})"
    threads = [
        start("long", code.format("long", 60), tmp_path / "log"),
        start("short", code.format("short", 1), None),
    ]
    while not all((tmp_path / name).exists() for name in ("long", "short")):
        time.sleep(0.01)
    stop_logged()
    for thread in threads:
        thread.join(20)
    assert done["long"].returncode != 0
    assert done["short"].returncode == 0
    stop_logged()
