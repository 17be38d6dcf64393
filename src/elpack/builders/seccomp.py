"""A filter of system calls for sandboxes: what no build needs, and namespaces do not keep from it.

Namespaces leave out the kernel's keyrings, its log, sockets to the hypervisor, and the doors by which an ordinary
user gets at more of the kernel (user namespaces, bpf, io_uring). What is refused looks as on a kernel without it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from typing import TYPE_CHECKING

from elpack.atomic import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, (16, 24)
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X32 = 0x40000000

_NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW… but the time's, whose bit means something else to clone
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

# number by machine, from <asm/unistd.h>; those above 424 are the same everywhere
_REFUSED = {
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "syslog": (103, 116),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "open_by_handle_at": (304, 265),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
}
_ABSENT = {"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "clone3": (435, 435)}
"""As if the kernel did not have them: their callers know another way. clone3 hides its flags from a filter."""
_CONDITIONAL = {"clone": (56, 220), "unshare": (272, 97), "socket": (41, 198), "ioctl": (16, 29)}

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def filter_file(folder: Path, machine: str = os.uname().machine) -> Path | None:
    """Return a file with the filter below a folder; None for a machine whose numbers are not known here."""
    if machine not in _MACHINES:
        return None
    program = assemble(machine)
    path = folder / f"seccomp-{hashlib.sha256(program).hexdigest()[:12]}.bpf"
    if not path.exists() or path.read_bytes() != program:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, program)
    return path


def assemble(machine: str) -> bytes:
    """Return the program in the kernel's form, for `x86_64` or `aarch64`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in _instructions(*_MACHINES[machine]))


def _instructions(column: int, arch: int) -> Iterator[tuple[int, int, int, int]]:
    absent = _ERRNO | errno.ENOSYS
    yield _LOAD, 0, 0, _ARCH
    yield _EQUAL, 1, 0, arch
    yield _RETURN, 0, 0, absent
    yield _LOAD, 0, 0, _NUMBER
    if column == 0:
        yield _AT_LEAST, 0, 1, _X32
        yield _RETURN, 0, 0, absent
    for names, verdict in ((_REFUSED, _ERRNO | errno.EPERM), (_ABSENT, absent)):
        for numbers in names.values():
            yield _EQUAL, 0, 1, numbers[column]
            yield _RETURN, 0, 0, verdict
    for name in ("clone", "unshare"):
        yield _EQUAL, 0, 4, _CONDITIONAL[name][column]
        yield _LOAD, 0, 0, _ARGUMENT[0]
        yield _ANY_BIT, 0, 1, _NEW_NAMESPACES
        yield _RETURN, 0, 0, _ERRNO | errno.EPERM
        yield _RETURN, 0, 0, _ALLOW
    yield from _one_of(_CONDITIONAL["socket"][column], _ARGUMENT[0], _FAMILIES, _ALLOW, _ERRNO | errno.EAFNOSUPPORT)
    yield from _one_of(_CONDITIONAL["ioctl"][column], _ARGUMENT[1], _TERMINAL_INPUT, _ERRNO | errno.EPERM, _ALLOW)
    yield _RETURN, 0, 0, _ALLOW


def _one_of(
    number: int, argument: int, values: tuple[int, ...], verdict: int, otherwise: int
) -> Iterator[tuple[int, int, int, int]]:
    """Judge a call by whether an argument is one of the values."""
    yield _EQUAL, 0, 2 + 2 * len(values), number
    yield _LOAD, 0, 0, argument
    for value in values:
        yield _EQUAL, 0, 1, value
        yield _RETURN, 0, 0, verdict
    yield _RETURN, 0, 0, otherwise
