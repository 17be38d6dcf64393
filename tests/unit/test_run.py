"""The one door to other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.errors import CommandError, ToolMissingError
from elpack.run import Command, Completed, marked, run, running, stop_logged, tail, talking
from elpack.supervise import Enclosure

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_who_ignores_the_end_of_a_command_s_leader_is_killed_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    stubborn = f"trap '' TERM; echo $$ >{pid}; while :; do sleep 0.1; done"
    command = Command(("sh", "-c", '(exec sh -c "$1") & wait', "sh", stubborn), timeout=1)
    with pytest.raises(CommandError, match="did not end within 1 s"):
        run(command)
    status = Path(f"/proc/{pid.read_text().strip()}/cmdline")
    end = time.monotonic() + 20
    while status.exists() and status.read_bytes():  # one that nobody has waited for yet has none
        assert time.monotonic() < end
        time.sleep(0.05)


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


def test_a_thread_that_ends_the_others_leaves_the_main_thread_its_commands(tmp_path: Path) -> None:
    def stop() -> None:
        stop_logged()
        (tmp_path / "stopped").touch()

    stopped = threading.Timer(0.3, stop)
    stopped.start()
    code = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'stopped')!r}).exists(): time.sleep(0.01)"
    assert run(python(code, log=tmp_path / "log", timeout=30)).returncode == 0
    stopped.join()


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def killed_run(tmp_path: Path, child: str) -> list[int]:
    """Kill a process that waits for a command which writes process ids, and return these."""
    pids = tmp_path / "pids"
    code = (
        "import sys, pathlib; from elpack.run import Command, marked, run\n"
        "with marked(pathlib.Path(sys.argv[1])): run(Command(('sh', '-c', sys.argv[2])))"
    )
    argv = (sys.executable, "-c", code, str(tmp_path / "mark"), child.format(pids=pids))
    with subprocess.Popen(argv, start_new_session=True) as parent:
        wait_for(lambda: pids.exists() and pids.read_text().endswith("end\n"))
        os.killpg(parent.pid, signal.SIGKILL)
    return [int(word) for word in pids.read_text().split()[:-1]]


def test_a_command_dies_with_us_whatever_kills_us(tmp_path: Path) -> None:
    (pid,) = killed_run(tmp_path, "echo $$ end > {pids}; sleep 60")
    wait_for(lambda: not alive(pid))


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    (grandchild,) = killed_run(tmp_path, "setsid sleep 60 & echo $! end > {pids}; wait")
    time.sleep(0.2)
    assert alive(grandchild), "nothing ends it yet, so this test tells something"
    with marked(tmp_path / "mark") as number:
        assert not alive(grandchild)
        assert number == 1
    with marked(tmp_path / "mark") as number:
        assert number == 0


def test_a_mark_says_nothing_of_others(tmp_path: Path) -> None:
    with (tmp_path / "other-mark").open("w") as file, subprocess.Popen(("sleep", "60"), stdout=file) as other:
        with marked(tmp_path / "mark") as number:
            assert number == 0
        assert alive(other.pid)
        other.kill()


def test_sandboxes_get_no_mark(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("bwrap")
    listing = ("bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "ls", "-l", "/proc/self/fd")
    with marked(tmp_path / "mark"):
        assert "mark" in run(Command(("ls", "-l", "/proc/self/fd"))).stdout
        assert "mark" not in run(Command(listing)).stdout


def test_an_agent_that_closes_its_files_is_known_by_its_keyring(tmp_path: Path) -> None:
    script = tmp_path / "agent.sh"
    script.write_text("sleep 60; :")
    homes = {"ours": f"{tmp_path}/work/live/gone/../../keys", "another's": f"{tmp_path}/elsewhere"}
    agents = {
        whose: subprocess.Popen(("gpg-agent", str(script), "--homedir", home), executable="/bin/sh")
        for whose, home in homes.items()
    }
    (tmp_path / "work").mkdir()
    try:
        with marked(tmp_path / "work" / "running") as number:
            assert number == 1
        assert agents["ours"].wait(10) == -signal.SIGKILL
        assert agents["another's"].poll() is None
    finally:
        for agent in agents.values():
            subprocess.run(("pkill", "-KILL", "-P", str(agent.pid)), check=False)
            agent.kill()
            agent.wait(10)


def test_a_program_that_runs_meanwhile_ends_with_all_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "sleep 600 & echo $!; sleep 600"
    with running(Command(("sh", "-c", script), log=log)) as one:
        while not log.read_text():
            assert one.ended(0.02) is None
        state = Path(f"/proc/{int(log.read_text())}/stat")
        assert state.exists()
    assert one.ended(0) is not None
    # the kernel may not have ended it yet, and whoever inherited it may not have waited for it
    wait_for(lambda: _gone(state))
    assert _gone(state)


def _gone(state: Path) -> bool:
    try:
        return state.read_text().split()[2] == "Z"
    except OSError:
        return True


def test_a_program_that_ended_by_itself_tells_how() -> None:
    with running(Command(("sh", "-c", "exit 3"))) as one:
        assert one.ended(10) == 3


def test_a_program_that_is_not_there_cannot_run_meanwhile() -> None:
    with pytest.raises(ToolMissingError), running(Command(("no-such-program",))):
        pass


def talk(code: str, log: Path, seconds: float = 60, listens: int = 1 << 20) -> Command:
    return python(f"import os, sys, time\n{code}", log=log, timeout=seconds, enclosed=Enclosure(listens))


def test_a_talk_takes_more_than_any_pipe_holds(tmp_path: Path) -> None:
    code = "data = sys.stdin.buffer.read(3 << 20)\nsys.stdout.buffer.write(data[::-1])\nprint('well', file=sys.stderr)"
    with talking(talk(code, tmp_path / "log")) as one:
        assert one.say.write(b"ab" * (3 << 19)) == 3 << 20
        assert one.hear.read() == b"ba" * (3 << 19)
        assert one.hang_up(20) == 0
    assert (tmp_path / "log").read_text() == "well\n"


def test_a_talk_with_one_who_says_nothing_ends(tmp_path: Path) -> None:
    with talking(talk("time.sleep(60)", tmp_path / "log", seconds=0.3)) as one:
        with pytest.raises(TimeoutError):
            one.hear.read(1)
        with pytest.raises(TimeoutError):
            one.say.write(bytes(1 << 20))


def test_a_talk_is_over_when_either_side_is_gone(tmp_path: Path) -> None:
    with talking(talk("sys.exit(3)", tmp_path / "log")) as one:
        assert one.hear.read() == b""
        with pytest.raises(BrokenPipeError):
            one.say.write(bytes(1 << 20))
        assert one.hang_up(20) == 3
    with talking(talk("sys.stdin.read(); print('bye', file=sys.stderr)", tmp_path / "log")):
        pass
    assert (tmp_path / "log").read_text() == "bye\n", "it hears that we are gone, and has a moment"


def test_who_complains_without_end_is_not_listened_to(tmp_path: Path) -> None:
    code = "try:\n  while True: os.write(2, bytes(9999))\nexcept OSError: print('enough')"
    with talking(talk(code, tmp_path / "log", listens=50_000)) as one:
        assert one.hear.read() == b"enough\n"
    assert (tmp_path / "log").stat().st_size == 50_000


def test_what_a_talk_leaves_behind_holds_nobody_up(tmp_path: Path) -> None:
    """As ssh does that serves later connections: it has a session of its own, and our pipe for its complaints."""
    code = "import subprocess\nsubprocess.Popen(('sleep', '21.9'), start_new_session=True, stdout=2)\nprint('left')"
    start = time.monotonic()
    with talking(talk(code, tmp_path / "log")) as one:
        assert one.hear.readline() == b"left\n"
    assert time.monotonic() - start < 20


def test_a_talk_needs_a_program() -> None:
    with pytest.raises(ToolMissingError, match="no-such-program"), talking(Command(("no-such-program",))):
        pass
