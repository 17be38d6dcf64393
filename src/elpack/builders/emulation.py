"""Tells whether the kernel hands programs of another architecture to an emulator (binfmt_misc); changes nothing."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import ForeignArchError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

BINFMT = Path("/proc/sys/fs/binfmt_misc")

MACHINE = os.uname().machine
"""This machine's own architecture."""

SLOWER = 15
"""How much longer a program may take emulated, for time limits.

Measured on x86_64 with qemu 7.2: compiling takes 10 to 13 times as long, the start of a large Python application 6
times with bytecode and 16 times without.
"""

_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
_EXECUTABLE, _POSITION_INDEPENDENT = 2, 3  # e_type
_ABIS = (0, 3)  # EI_OSABI: System V, and GNU, of programs with indirect functions
_FIXED = "F"
_FEDORA_NAMES = {"x86_64": "x86"}


@dataclass(frozen=True, slots=True)
class Emulation:
    """What this machine has to run programs of `arch`: the emulator's path, or what keeps it from working and the fix.

    The path is as the kernel tells it: in a container it may be one of the host, where nobody here sees it.
    """

    arch: str
    program: str = ""
    obstacle: str = ""
    fix: str = ""

    @property
    def works(self) -> bool:
        """Tell whether a root of that architecture runs here."""
        return not self.obstacle


@dataclass(frozen=True, slots=True)
class _Entry:
    """One registered format. `flags` are letters; mask and magic are compared with a file from `offset` on."""

    name: str
    enabled: bool
    interpreter: str
    flags: str
    offset: int
    magic: bytes
    mask: bytes

    def takes(self, header: bytes) -> bool:
        """Tell whether a file that begins so is run by this interpreter."""
        part = header[self.offset : self.offset + len(self.magic)]
        if not self.magic or len(part) < len(self.magic):
            return False
        return all((have ^ want) & mask == 0 for have, want, mask in zip(part, self.magic, self.mask, strict=True))


def is_emulated(arch: str, machine: str = MACHINE) -> bool:
    """Tell whether programs of an architecture are emulated where they run on this machine."""
    return arch != machine


def patience(arch: str, machine: str = MACHINE) -> int:
    """Return by how much time limits grow for programs of an architecture on this machine."""
    return SLOWER if is_emulated(arch, machine) else 1


def emulation(arch: str, proc: Path = BINFMT, machine: str = MACHINE) -> Emulation:
    """Return what the kernel's list of formats says about an architecture, as rpm spells it.

    The entry must be fixed (flag F): the kernel then holds the emulator itself, and looks for it in no root. So it
    does not matter either whether its path still leads to a file.
    """
    if not is_emulated(arch, machine):
        return Emulation(arch)
    if not (proc / "status").exists():
        return Emulation(arch, "", f"{proc} is not mounted", _mount(proc))
    if not _read(proc / "status").startswith("enabled"):
        return Emulation(arch, "", "binfmt_misc is switched off", f"echo 1 >{proc}/status")
    found = [entry for entry in _entries(proc) if all(entry.takes(header) for header in _headers(arch))]
    verdicts = [_judged(arch, entry, proc) for entry in found]
    none = Emulation(arch, "", f"no binfmt entry runs {arch} programs", _install(arch))
    return next((verdict for verdict in verdicts if verdict.works), verdicts[0] if verdicts else none)


def _judged(arch: str, entry: _Entry, proc: Path) -> Emulation:
    if not entry.enabled:
        fix = f"echo 1 >{proc / entry.name}"
        return Emulation(arch, entry.interpreter, f"the binfmt entry {entry.name} is switched off", fix)
    if _FIXED not in entry.flags:
        obstacle = f"the binfmt entry {entry.name} lacks the flag F, so {entry.interpreter} is not found in a root"
        return Emulation(arch, entry.interpreter, obstacle, f"{_install(arch)}, whose entry has it")
    return Emulation(arch, entry.interpreter)


def need_emulation(arch: str, proc: Path = BINFMT, machine: str = MACHINE) -> None:
    """Raise `ForeignArchError` when programs of an architecture do not run on this machine; say what helps."""
    found = emulation(arch, proc, machine)
    if not found.works:
        what = f"{arch} programs do not run on this {machine} machine"
        elsewhere = f"or build with `elpack rpm` and try the result on a machine that is {arch}"
        fix = f"{found.fix}\n{how_to_emulate(arch, proc)}\n{elsewhere}"
        raise ForeignArchError(Problem(what, why=found.obstacle, fix=fix))


def how_to_emulate(arch: str, proc: Path = BINFMT) -> str:
    """Return what to type to have the emulator, distribution by distribution."""
    fedora = _FEDORA_NAMES.get(arch, arch)
    return (
        f"on Debian: apt-get install qemu-user-static binfmt-support && update-binfmts --enable qemu-{arch}"
        f" (before that, if nothing is there: {_mount(proc)})\n"
        f"on Fedora: dnf install qemu-user-static-{fedora} && systemctl restart systemd-binfmt\n"
        "on EL9: it has no qemu-user"
    )


def _mount(proc: Path) -> str:
    return f"mount -t binfmt_misc binfmt_misc {proc}"


def _install(arch: str) -> str:
    return f"install qemu-user-static (Debian) or qemu-user-static-{_FEDORA_NAMES.get(arch, arch)} (Fedora)"


def _headers(arch: str) -> Iterator[bytes]:
    """Yield the beginnings of programs: 64 bits, little endian, of each type and of each ABI that Linux runs."""
    for abi in _ABIS:
        for kind in (_EXECUTABLE, _POSITION_INDEPENDENT):
            identity = b"\x7fELF\x02\x01\x01" + bytes((abi,)) + bytes(8)
            yield identity + struct.pack("<HHI", kind, _ELF_MACHINES[arch], 1) + bytes(232)


def _entries(proc: Path) -> Iterator[_Entry]:
    for path in sorted(proc.iterdir()):
        if path.name in {"register", "status"}:
            continue
        entry = _entry(path.name, _read(path))
        if entry:
            yield entry


def _entry(name: str, text: str) -> _Entry | None:
    """Return what the kernel's text says of a format by magic number; None for one by a file name's ending."""
    lines = text.splitlines()
    values = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
    if "magic" not in values:
        return None
    magic = bytes.fromhex(values["magic"])
    mask = bytes.fromhex(values["mask"]) if "mask" in values else b"\xff" * len(magic)
    flags = values.get("flags:", "")
    return _Entry(name, lines[0] == "enabled", values["interpreter"], flags, int(values["offset"]), magic, mask)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # removed, or not for us
        return ""
