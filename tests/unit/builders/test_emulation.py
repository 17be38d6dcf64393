"""What the kernel's list of formats says about other architectures, and which way follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.builders.emulation import SLOWER, Emulation, emulation, need_emulation, patience
from elpack.builders.ways import choose_way
from elpack.errors import ForeignArchError
from elpack.model import Way

if TYPE_CHECKING:
    from pathlib import Path

QEMU = "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
MAGIC = "7f454c460201010000000000000000000200b700"
MASK = "ffffffffffffff00fffffffffffffffffeffffff"
WORKERS = {"aarch64": ("ssh", "arm.example.org", "elpack", "worker")}


def binfmt(folder: Path, entry: str = "", status: str = "enabled\n") -> Path:
    folder.mkdir()
    (folder / "status").write_text(status)
    (folder / "register").write_text("")
    if entry:
        (folder / "qemu-aarch64").write_text(entry)
    return folder


def entry(*, state: str = "enabled", flags: str = "PF", magic: str = MAGIC, mask: str = MASK) -> str:
    lines = [state, f"interpreter {QEMU}", f"flags: {flags}", "offset 0", f"magic {magic}"]
    return "\n".join([*lines, *([f"mask {mask}"] if mask else [])]) + "\n"


def look(proc: Path) -> Emulation:
    return emulation("aarch64", proc, "x86_64")


def test_an_entry_with_the_flag_f_works_wherever_its_interpreter_is(tmp_path: Path) -> None:
    assert look(binfmt(tmp_path / "binfmt", entry())) == Emulation("aarch64", QEMU)


def test_another_entry_that_works_is_found_behind_one_that_does_not(tmp_path: Path) -> None:
    proc = binfmt(tmp_path / "binfmt", entry(flags="PF").replace("qemu", "other"))
    (proc / "aaa").write_text(entry(flags="P"))
    (proc / "python3.11").write_text("enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n")
    (proc / "wine").write_text("enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n")
    assert look(proc) == Emulation("aarch64", QEMU.replace("qemu", "other"))


@pytest.mark.parametrize(
    ("content", "status", "obstacle", "fix"),
    [
        (entry(flags="P"), "enabled\n", "lacks the flag F", "install qemu-user-static"),
        (entry(flags=""), "enabled\n", "lacks the flag F", "install qemu-user-static"),
        (entry(state="disabled"), "enabled\n", "qemu-aarch64 is switched off", "echo 1 >{proc}/qemu-aarch64"),
        (entry(), "disabled\n", "binfmt_misc is switched off", "echo 1 >{proc}/status"),
        (entry(magic=MAGIC.replace("b700", "f300")), "enabled\n", "no binfmt entry", "install qemu-user-static"),
        # only programs of a fixed address, which hardly any is
        (entry(mask=""), "enabled\n", "no binfmt entry", "install qemu-user-static"),
        ("", "enabled\n", "no binfmt entry", "qemu-user-static-aarch64 (Fedora)"),
    ],
)
def test_what_keeps_emulation_from_working(tmp_path: Path, content: str, status: str, obstacle: str, fix: str) -> None:
    proc = binfmt(tmp_path / "binfmt", content, status)
    found = look(proc)
    assert not found.works
    assert obstacle in found.obstacle
    assert fix.format(proc=proc) in found.fix


@pytest.mark.parametrize("there", [True, False])
def test_without_the_mount_it_says_how_to_mount_it(tmp_path: Path, *, there: bool) -> None:
    proc = tmp_path / "binfmt"
    if there:
        proc.mkdir()  # as the kernel has it before anybody mounts it
    found = look(proc)
    assert found.obstacle == f"{proc} is not mounted"
    assert found.fix == f"mount -t binfmt_misc binfmt_misc {proc}"


def test_the_machines_own_programs_need_no_emulator(tmp_path: Path) -> None:
    assert emulation("x86_64", tmp_path / "none", "x86_64") == Emulation("x86_64")
    assert (patience("x86_64", "x86_64"), patience("aarch64", "x86_64")) == (1, SLOWER)


def test_what_needs_an_emulator_says_how_to_get_it(tmp_path: Path) -> None:
    need_emulation("aarch64", binfmt(tmp_path / "binfmt", entry()), "x86_64")
    need_emulation("x86_64", tmp_path / "none", "x86_64")
    with pytest.raises(ForeignArchError) as caught:
        need_emulation("aarch64", tmp_path / "none", "x86_64")
    (problem,) = caught.value.problems
    assert problem.what == "aarch64 programs do not run on this x86_64 machine"
    assert problem.why == f"{tmp_path / 'none'} is not mounted"
    assert problem.fix.startswith(f"mount -t binfmt_misc binfmt_misc {tmp_path / 'none'}\non Debian: apt-get install")
    assert problem.fix.endswith("or build with `elpack rpm` and try the result on a machine that is aarch64")


WORKS = Emulation("aarch64", QEMU)
NOTHING = Emulation("aarch64", "", "no binfmt entry runs aarch64 programs", "install qemu-user-static")


@pytest.mark.parametrize(
    ("wanted", "arch", "workers", "found", "way", "reason"),
    [
        (None, "x86_64", {}, NOTHING, Way.NATIVE, "this machine is x86_64"),
        (Way.CROSS, "x86_64", {}, NOTHING, Way.NATIVE, "this machine is x86_64"),
        (None, "aarch64", WORKERS, WORKS, Way.NATIVE, "[builds.workers] names a worker for aarch64"),
        (None, "aarch64", {}, WORKS, Way.EMULATED, f"{QEMU} runs aarch64 programs here"),
        (Way.NATIVE, "aarch64", WORKERS, WORKS, Way.NATIVE, "it was asked for, and [builds.workers] names"),
        (Way.EMULATED, "aarch64", WORKERS, WORKS, Way.EMULATED, f"it was asked for, and {QEMU} runs"),
        (Way.CROSS, "aarch64", WORKERS, NOTHING, Way.CROSS, "it was asked for"),
    ],
)
def test_the_way_that_is_taken(  # noqa: PLR0917 - one column each
    wanted: Way | None, arch: str, workers: dict[str, tuple[str, ...]], found: Emulation, way: Way, reason: str
) -> None:
    chosen = choose_way(wanted, arch, machine="x86_64", workers=workers, emulation=found)
    assert chosen.way is way
    assert chosen.reason.startswith(reason)


EMULATE_HERE = 'emulation, which works here, 10 to 13 times slower: [builds] way = "emulated"'


@pytest.mark.parametrize(
    ("wanted", "workers", "found", "why"),
    [
        (None, {}, NOTHING, "[builds.workers] names none for aarch64, and no binfmt entry runs aarch64 programs"),
        (Way.NATIVE, {}, WORKS, "[builds.workers] names none for aarch64"),
        (Way.EMULATED, WORKERS, NOTHING, "no binfmt entry runs aarch64 programs"),
    ],
)
def test_no_way_names_all_ways_out(
    wanted: Way | None, workers: dict[str, tuple[str, ...]], found: Emulation, why: str
) -> None:
    with pytest.raises(ForeignArchError) as caught:
        choose_way(wanted, "aarch64", machine="x86_64", workers=workers, emulation=found)
    assert caught.value.exit_code == 33
    (problem,) = caught.value.problems
    assert problem.why == why
    emulate = (
        "what is missing here: no binfmt entry runs aarch64 programs: install qemu-user-static",
        "on Debian: apt-get install qemu-user-static binfmt-support && update-binfmts --enable qemu-aarch64",
        "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
        "on Fedora: dnf install qemu-user-static-aarch64 && systemctl restart systemd-binfmt",
        "on EL9: it has no qemu-user, so take 1 or 3",
    )
    for way_out in (
        '[builds.workers] aarch64 = ["ssh", "HOST", "elpack", "worker"]',
        *((EMULATE_HERE,) if found.works else emulate),
        '[builds] way = "cross"',
    ):
        assert way_out in problem.fix
