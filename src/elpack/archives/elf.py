"""For which machine the linked code in a wheel was made: the first bytes of each file tell, and no more is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from elpack.archives.members import Kind
from elpack.model import MachineCode
from elpack.sound_elf import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.archives.members import Member
    from elpack.archives.streams import Opener

HEAD = 20
"""Bytes of an ELF file that name its machine: up to the end of e_machine."""
_LINKED = (2, 3)
"""e_type of executables and of shared objects; a compiler's unlinked output runs nowhere."""
_MACHINES = {
    (3, 1, "little"): "i686",
    (8, 1, "big"): "mips",
    (20, 1, "big"): "ppc",
    (21, 2, "big"): "ppc64",
    (21, 2, "little"): "ppc64le",
    (22, 2, "big"): "s390x",
    (40, 1, "little"): "armv7l",
    (62, 1, "little"): "x32",
    (62, 2, "little"): "x86_64",
    (183, 2, "little"): "aarch64",
    (243, 2, "little"): "riscv64",
    (258, 2, "little"): "loongarch64",
}
"""By e_machine, EI_CLASS (1: 32 bits, 2: 64) and byte order, as the names of wheels spell them."""
_SOURCE = re.compile(r"\.pyi?\Z")
"""What Python reads as text, whatever is in it: most of all files."""


def machine_code(members: Iterable[Member], openers: Mapping[str, Opener]) -> tuple[MachineCode, ...]:
    """Return the linked ELF files among the members, by the order of these."""
    found = []
    for member in members:
        if member.kind is Kind.FILE and member.size >= HEAD and not _SOURCE.search(member.name):
            with openers[member.name]() as file:
                head = file.read(HEAD)
            if machine := machine_of(head):
                found.append(MachineCode(member.name, machine))
    return tuple(found)


def machine_of(head: bytes) -> str:
    """Return the machine that a file's first 20 bytes name, "" for what is no linked ELF file."""
    if len(head) < HEAD or not head.startswith(MAGIC) or head[5] not in (1, 2):
        return ""
    order = "little" if head[5] == 1 else "big"
    kind, machine = (int.from_bytes(head[at : at + 2], order) for at in (16, 18))  # type: ignore[arg-type]
    if kind not in _LINKED:
        return ""
    return _MACHINES.get((machine, head[4], order), f"ELF machine {machine} of class {head[4]}, {order} endian")
