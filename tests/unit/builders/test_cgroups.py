from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from elpack.builders.cgroups import Cgroups, Group, find_cgroups
from elpack.builders.limits import Mechanism
from elpack.builders.seccomp import assemble

if TYPE_CHECKING:
    from pathlib import Path


def proc(folder: Path, cgroup: str, *mounts: str) -> Path:
    (folder / "cgroup").write_text(cgroup)
    (folder / "mountinfo").write_text("".join(f"30 20 0:26 {mount}\n" for mount in mounts))
    return folder


def test_version_1_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    for name in ("memory/mine", "pids"):
        (tmp_path / name).mkdir(parents=True)
    mounts = [f"/ {tmp_path}/{name} rw - cgroup cgroup rw,{name}" for name in ("memory", "pids")]
    found = find_cgroups(proc(tmp_path, "4:memory:/mine\n8:pids:/\n0::/\n", *mounts))
    assert found == Cgroups(tmp_path / "memory" / "mine", tmp_path / "pids")


@pytest.mark.parametrize(("enabled", "usable"), [("cpu memory pids", True), ("cpu", False), (None, False)])
def test_version_2_needs_both_controllers(tmp_path: Path, enabled: str | None, usable: bool) -> None:  # noqa: FBT001
    own = tmp_path / "user.slice"
    own.mkdir()
    if enabled is not None:
        (own / "cgroup.subtree_control").write_text(enabled)  # a plain file takes what the kernel would
    found = find_cgroups(proc(tmp_path, "0::/user.slice\n", f"/ {tmp_path} rw - cgroup2 cgroup2 rw"))
    assert found == (Cgroups(own, own, unified=True) if usable else Cgroups())


def test_what_was_met_is_read_from_the_kernels_counters(tmp_path: Path) -> None:
    group = Group((tmp_path,))
    assert group.reached() == ""
    (tmp_path / "pids.events").write_text("max 3\n")
    assert group.reached() == "processes"
    (tmp_path / "memory.events").write_text("oom 1\noom_kill 2\n")
    assert group.reached() == "memory"


def test_systemd_makes_a_scope_with_the_limits(tmp_path: Path) -> None:
    group, words = Mechanism(scopes=tmp_path).hold("elpack-x-0", 1 << 30, 100)
    assert group.folders == (tmp_path / "elpack-x-0.scope",)
    assert {"--scope", f"MemoryMax={1 << 30}", "TasksMax=100"} <= set(words)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_filter_is_whole_instructions_that_jump_forward_inside(machine: str) -> None:
    program = assemble(machine)
    assert len(program) % 8 == 0
    count = len(program) // 8
    for position in range(count):
        code, yes, no = program[position * 8], program[position * 8 + 2], program[position * 8 + 3]
        assert code in {0x20, 0x15, 0x35, 0x45, 0x06}
        assert position + 1 + max(yes, no) < count or code == 0x06
